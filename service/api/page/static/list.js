// The scored leads of a file: the list on the page, best first, and the file that it can be downloaded as.

import { bestThatFit } from "./contacts.js";
import { line } from "./csv.js";
import { amount, number, percent, plural } from "./values.js";

const SHOWN = 100;
const REASONS = 3;
export const CHOSEN = 3; // columns of the file that stand in the list beside the score
const ADDED = ["rank", "score", "band", "decision", "expected_value", "reason_1", "reason_2", "reason_3", "model_version", "left_out"];
const $ = (id) => document.getElementById(id);

export class List {
  /** `results` has for each row of `leads` what the service answered; rows with problems are left out. */
  constructor(leads, results, name) {
    this.leads = leads;
    this.results = results;
    this.name = name;
    const scored = [...results.keys()].filter((i) => results[i].score !== undefined);
    this.order = scored.sort((a, b) => results[b].score - results[a].score || a - b);
    this.shown = SHOWN;
    this.beyond = 0;
    this.show([]);
  }

  get scores() {
    return Float64Array.from(this.order, (i) => this.results[i].score);
  }

  /** How many leads are worth a contact: the best of these, as many as the team can make, are to be contacted. */
  pays(threshold) {
    return this.order.filter((i) => this.results[i].score >= threshold).length;
  }

  /** Rows without a score, in the file's order: { row, number, problems }. */
  get leftOut() {
    const unread = [...this.results.keys()].filter((i) => this.results[i].score === undefined);
    const found = unread.map((i) => ({
      row: this.leads.rows[i],
      number: this.leads.numbers[i],
      problems: (this.results[i].problems ?? []).map(({ path, message }) => [path, message]),
    }));
    return [...this.leads.leftOut, ...found].sort((a, b) => a.number - b.number);
  }

  /** Shows the list with these columns of the file. At most `pays` leads are contacted for their rank, and `most`
   * together with the explored ones. */
  show(columns, pays = 0, most = pays) {
    this.columns = columns;
    this.best = bestThatFit(this.order.map((i) => this.results[i].drawn), pays, most);
    const named = columns.map((i) => [this.leads.header[i]]);
    const heads = [["Rank", "number"], ["Lead"], ...named, ["Score", "number"], ["Band"], ["Decision"], ["Expected value", "number"], ["Why"]];
    $("list-head").replaceChildren(
      ...heads.map(([text, className]) => {
        const head = element("th", text, className);
        head.scope = "col";
        return head;
      }),
    );
    $("list-rows").replaceChildren();
    this.#fill();
  }

  more() {
    this.shown += SHOWN;
    this.#fill();
  }

  /** Greys the leads from this rank on. */
  grey(from) {
    this.beyond = from;
    [...$("list-rows").children].forEach((row, rank) => row.classList.toggle("beyond", rank >= from && this.#policy(rank) !== "explore"));
  }

  /** Why the lead of this rank is contacted; "" where it is not. */
  #policy = (rank) => (rank < this.best ? "line" : this.results[this.order[rank]].drawn ? "explore" : "");

  #decision = (rank) => (this.#policy(rank) ? "contact" : "skip");

  #fill() {
    const { leads, order, results } = this;
    const made = [];
    for (let rank = $("list-rows").children.length; rank < Math.min(this.shown, order.length); rank += 1) {
      const i = order[rank];
      const { lead_id: id, score, band, expected_value: value, because } = results[i];
      made.push(
        tableRow([
          element("td", number(rank + 1), "number"),
          element("td", id, "id"),
          ...this.columns.map((column) => shortened(leads.rows[i][column])),
          element("td", percent(score), "number"),
          element("td", band),
          element("td", { line: "Contact", explore: "Contact to learn", "": "Skip" }[this.#policy(rank)]),
          element("td", amount(value), "number"),
          reasons(because),
        ]),
      );
    }
    $("list-rows").append(...made);
    const left = this.leftOut.length;
    const also = left ? `, and at its end the ${plural(left, "row")} left out, with the reason` : "";
    $("shown").textContent = `${number(Math.min(this.shown, order.length))} of ${number(order.length)} shown; the download has all${also}`;
    $("more").hidden = this.shown >= order.length;
    this.grey(this.beyond);
  }

  /** The file as it was, in the list's order, with what the model says behind; then the rows left out. */
  download() {
    const { leads, order, results } = this;
    const { header, decimal } = leads;
    const { delimiter } = leads.layout;
    const written = (value) => String(value).replace(".", decimal);
    const unnamed = leads.idColumn < 0;
    const explores = order.some((i) => results[i].policy);
    const added = explores ? ADDED.flatMap((column) => (column === "decision" ? [column, "policy"] : [column])) : ADDED;
    const names = [...(unnamed ? ["lead_id"] : []), ...added].map((column) => (header.includes(column) ? `model_${column}` : column));
    const parts = [line([...header, ...names], delimiter)];
    order.forEach((i, rank) => {
      const { lead_id: id, score, band, expected_value: value, because, model_version: version } = results[i];
      const said = Array.from({ length: REASONS }, (_, place) => because[place] ?? "");
      const own = [...(unnamed ? [id] : []), String(rank + 1), written(score), band, this.#decision(rank), ...(explores ? [this.#policy(rank)] : []), written(Number(value.toFixed(2))), ...said, version, ""];
      parts.push(line([...leads.rows[i], ...own], delimiter));
    });
    const width = header.length;
    for (const { row, number: at, problems } of this.leftOut) {
      const cells = row.length > width ? [...row.slice(0, width - 1), row.slice(width - 1).join(delimiter)] : row;
      const why = problems.map(([column, problem]) => `${column ? `${column}: ` : ""}${problem}`).join("; ");
      const blanks = Array(width - cells.length + names.length - 1).fill("");
      parts.push(line([...cells, ...blanks, `row ${at}: ${why}`], delimiter));
    }
    return [new Blob(["\ufeff", ...parts], { type: "text/csv;charset=utf-8" }), `${this.name.replace(/(\.(csv|tsv|txt|gz))+$/i, "")}-best-first.csv`];
  }
}

/** A cell of the file, of which at most three lines are seen. */
function shortened(text) {
  const cell = element("td");
  const seen = element("span", text);
  seen.title = text;
  cell.append(seen);
  return cell;
}

function reasons(because) {
  const cell = element("td");
  const list = element("ul", "", "why");
  list.append(...because.map((sentence) => element("li", sentence)));
  cell.append(list);
  return cell;
}

export function element(kind, text = "", className = "") {
  const made = document.createElement(kind);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

export function tableRow(cells) {
  const row = document.createElement("tr");
  row.append(...cells);
  return row;
}
