// The leads of a file: rows of raw cells. The service says where the columns are and reads the cells.

import { check } from "./api.js";
import { Broken, breathe, decode, parse } from "./csv.js";
import { number, plural } from "./values.js";

const SAMPLE = 1_000; // rows that are checked before any is scored
const LAST_ROWS = 20; // among which the service looks for totals and footers
const LISTED = 200;
const AT_ONCE = 20_000;
const ID_NAMES = ["lead_id", "leadid", "id", "lead", "customer_id", "contact_id"];
const OWN_ID = "id of the page"; // a column that the page adds where the file has none with ids

export class Leads {
  /** The leads of a file's bytes, which are cut as the layout says. Throws Broken where there are none. */
  static async read(bytes, layout, maxRows, limits) {
    const text = decode(bytes, layout).slice(layout.start);
    const rows = await parse(text, layout.delimiter, layout.row + 1);
    if (rows.length > maxRows) throw new Broken(`The file has more than ${number(maxRows)} rows: score it with scripts/score.`);
    const leads = new Leads(layout, limits);
    await leads.#sort(rows);
    return leads;
  }

  constructor(layout, limits) {
    this.layout = layout;
    this.limits = limits;
    this.header = layout.header;
    this.rows = [];
    this.numbers = []; // the rows' places in the file, as a spreadsheet counts them
    this.leftOut = []; // rows that are no leads or not whole: { row, number, why }
    this.blank = 0;
    this.bytes = new TextEncoder();
  }

  /** Sets rows aside that are blank or not as long as the header, and asks where the columns are. */
  async #sort(rows) {
    const width = this.header.length;
    for (let i = 0; i < rows.length; i += 1) {
      const number = this.layout.row + 1 + i;
      if (rows[i].every((cell) => cell.trim() === "")) this.blank += 1;
      else if (rows[i].length !== width)
        this.#leaveOut(rows[i], number, [["", `has ${plural(rows[i].length, "cell")} where the header has ${width}`]]);
      else {
        this.rows.push(rows[i]);
        this.numbers.push(number);
      }
      if (i % AT_ONCE === 0) await breathe();
    }
    const found = await check({ columns: this.header, rows: [], last: this.rows.slice(-LAST_ROWS) });
    const end = this.rows.length - found.below;
    for (const [i, row] of this.rows.splice(end).entries())
      this.#leaveOut(row, this.numbers[end + i], [["", "is a total or a line below the table, no lead"]]);
    this.numbers.length = end;
    if (!this.rows.length) throw new Broken("The file has column names and no leads.");
    this.places = found.places;
    this.absent = found.absent;
    this.decimal = found.decimal ?? (this.layout.delimiter === ";" ? "," : ".");
    const used = new Set(Object.values(found.places));
    this.ignored = this.header.map((_, i) => i).filter((i) => !used.has(i));
    this.idColumn = found.id_place ?? this.header.findIndex((name) => ID_NAMES.includes(name.toLowerCase()));
  }

  #leaveOut(row, number, problems) {
    this.leftOut.push({ row, number, problems });
  }

  /** Asks which of the first rows cannot be read. */
  async check() {
    const [columns, rows] = this.#part(0, SAMPLE, "check");
    const found = await check({ columns, rows, id_column: this.#idName });
    const list = this.leftOut.flatMap(({ number: at, problems }) => problems.map(([column, why]) => [at, column, why]));
    for (const { row, column, message } of found.problems) list.push([this.numbers[row], column, message]);
    this.sample = rows.length;
    this.unreadable = found.wrong_rows;
    this.unlike = found.unlike;
    this.wrong = list.sort(([a], [b]) => a - b).slice(0, LISTED);
  }

  get #idName() {
    return this.idColumn < 0 ? OWN_ID : this.header[this.idColumn];
  }

  /** The columns that are sent, and the cells of rows from `from` on: at most so many, and no more than a body holds. */
  #part(from, most, prefix) {
    const sent = [...new Set([...Object.values(this.places), ...(this.idColumn < 0 ? [] : [this.idColumn])])];
    const own = this.idColumn < 0;
    const columns = sent.map((place) => this.header[place]).concat(own ? [OWN_ID] : []);
    const rows = [];
    let size = this.bytes.encode(JSON.stringify(columns)).length + 200;
    for (let i = from; i < this.rows.length && rows.length < most; i += 1) {
      const cells = sent.map((place) => this.rows[i][place]).concat(own ? [`${prefix}-${this.numbers[i]}`] : []);
      size += this.bytes.encode(JSON.stringify(cells)).length + 1;
      if (rows.length && size > this.limits.max_body_bytes) break;
      rows.push(cells);
    }
    return [columns, rows];
  }

  /** Rows from `from` on as a request's body, as many as one may hold; and the row after them. */
  body(from, prefix) {
    const [columns, rows] = this.#part(from, this.limits.max_explained, prefix);
    return [JSON.stringify({ columns, rows, id_column: this.#idName }), from + rows.length];
  }

  /** Sentences on what was found. */
  facts() {
    const names = (which) => which.map((name) => `“${name}”`).join(", ");
    const { delimiter, encoding_name: encoding, row } = this.layout;
    const mark = { "\t": "tab" }[delimiter] ?? `“${delimiter}”`;
    const known = Object.keys(this.places).length;
    const said = [`${plural(this.rows.length, "row")} to score.`];
    said.push(`${number(known)} of the ${known + this.absent.length} columns that the model reads are there.`);
    if (this.absent.length) said.push(`Not there, so not known: ${names(this.absent)}.`);
    if (this.ignored.length) said.push(`Kept, but not read by the model: ${names(this.ignored.map((i) => this.header[i]))}.`);
    if (encoding !== "UTF-8" || delimiter !== ",") said.push(`Read as ${encoding} text with the delimiter ${mark}.`);
    if (row > 1) said.push(`Left out above the column names: ${plural(row - 1, "row")}.`);
    if (this.blank) said.push(`Left out because nothing is in them: ${plural(this.blank, "row")}.`);
    return said;
  }
}
