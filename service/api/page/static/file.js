import { newId, post } from "./api.js";
import { Broken, breathe, decode, delimiterOf, line, parse } from "./csv.js";
import { Leads } from "./leads.js";
import { number, percent, plural } from "./values.js";
import { Worth } from "./worth.js";

const MAX_BYTES = 100_000_000;
const MAX_ROWS = 500_000;
const SHOWN = 100;
const CARRIED = 3; // columns of the file that stand in the list beside the score
const TRIES = 5;
const $ = (id) => document.getElementById(id);

export function startFile(served, seen) {
  let leads;
  let name;
  let delimiter;
  let result;
  let running;
  let reading = 0;
  let shown = SHOWN;
  let chosen = 0;
  let link;
  const worth = new Worth(served.economics, (k) => {
    chosen = k;
    colour();
  });

  function say(text) {
    $("file-said").textContent = text;
  }

  function fail(text) {
    $("file-error").textContent = text;
    $("file-error").hidden = !text;
  }

  async function read(file) {
    const mine = ++reading;
    running?.abort();
    result = undefined;
    fail("");
    for (const id of ["checked", "list", "progress"]) $(id).hidden = true;
    try {
      if (file.size > MAX_BYTES) throw new Broken(`${file.name} is larger than 100 MB: score it with scripts/score.`);
      say(`Reading ${file.name}.`);
      const [text, note] = decode(await file.arrayBuffer());
      if (text.trim() === "") throw new Broken(`${file.name} is empty.`);
      const separator = delimiterOf(text);
      const rows = await parse(text, separator);
      if (rows.length > MAX_ROWS) throw new Broken(`${file.name} has more than ${number(MAX_ROWS)} rows: score it with scripts/score.`);
      const found = new Leads(rows, served.lead_schema.features);
      await found.check(() => {});
      if (mine !== reading) return;
      [leads, name, delimiter] = [found, file.name, separator];
      checked(note);
    } catch (error) {
      if (mine !== reading) return;
      if (!(error instanceof Broken) && error.name !== "NotReadableError") throw error;
      say("");
      fail(error instanceof Broken ? error.message : `${file.name} cannot be read. Is it still there?`);
    }
  }

  function checked(note) {
    $("checked").hidden = false;
    $("checked-title").textContent = name;
    const facts = note ? [...leads.facts(), `It was ${note}.`] : leads.facts();
    $("facts").replaceChildren(...facts.map((fact) => element("li", fact)));
    $("wrong").hidden = !leads.wrongRows;
    const more = leads.wrongRows && leads.wrong.length >= 200 ? "; the first are" : "";
    $("wrong-title").textContent = `${plural(leads.wrongRows, "row")} left out for errors${more}`;
    $("wrong-rows").replaceChildren(
      ...leads.wrong.map(([row, column, problem]) =>
        tableRow([element("td", number(row)), element("td", column || "(all)"), element("td", problem)]),
      ),
    );
    const none = new Option("their row in the file", "-1");
    $("id-column").replaceChildren(none, ...leads.header.map((column, i) => new Option(column || `column ${i + 1}`, i)));
    $("id-column").value = leads.idColumn;
    $("id-column").disabled = false;
    $("settings").hidden = false;
    $("start").hidden = false;
    $("start").disabled = !leads.rows.length;
    $("start").textContent = `Score ${plural(leads.rows.length, "lead")}`;
    $("stop").hidden = true;
    say(`${name}: ${leads.facts()[0]} ${leads.wrongRows ? `${plural(leads.wrongRows, "row")} left out for errors.` : ""}`);
    $("checked-title").focus();
  }

  async function score() {
    fail("");
    leads.idColumn = Number($("id-column").value);
    const count = leads.rows.length;
    result ??= { done: 0, prefix: newId(), scores: new Float64Array(count), decisions: [], bands: [], versions: [] };
    const mine = result;
    running = new AbortController();
    const { signal } = running;
    $("start").hidden = true;
    $("stop").hidden = false;
    $("id-column").disabled = true;
    $("progress").hidden = false;
    $("bar").max = count;
    const focused = document.activeElement === document.body || document.activeElement === $("start");
    if (focused) $("stop").focus();
    let told = 0;
    try {
      while (mine.done < count) {
        const [body, next] = leads.body(mine.done, mine.prefix, served.limits);
        const { scores } = await patiently(body, signal);
        for (const each of scores) {
          mine.scores[mine.done] = each.score;
          mine.decisions.push(each.decision);
          mine.bands.push(each.band);
          mine.versions.push(each.model_version);
          mine.done += 1;
        }
        if (mine.done !== next) throw new Error("the service answered for other leads than were sent");
        seen(scores[0].model_version);
        $("bar").value = mine.done;
        $("progress-text").textContent = `${number(mine.done)} of ${number(count)} scored`;
        const quarter = Math.floor((4 * mine.done) / count);
        if (quarter > told && quarter < 4) say(`${25 * (told = quarter)} % scored.`);
        await breathe();
      }
      $("settings").hidden = true;
      $("progress").hidden = true;
      finished();
    } catch (error) {
      if (mine !== result) return;
      $("stop").hidden = true;
      $("start").hidden = false;
      $("start").disabled = false;
      $("start").textContent = `Go on with the other ${number(count - mine.done)}`;
      if (error.name === "AbortError") say("Stopped.");
      else {
        const where = (error.errors ?? []).slice(0, 5).map(({ path, message }) => {
          const [, index, rest] = /^leads\[(\d+)\]\.?(.*)$/.exec(path) ?? [];
          return index ? `Row ${leads.numbers[mine.done + Number(index)]}, ${rest}: ${message}` : `${path}: ${message}`;
        });
        fail([`Stopped after ${plural(mine.done, "lead")}: ${error.message}`, ...where].join("\n"));
      }
      $("start").focus();
    }
  }

  /** Asks again where the service is busy for a while: a file takes long enough to meet a restart. */
  async function patiently(body, signal) {
    for (let tries = 1; ; tries += 1) {
      try {
        return await post(body, { signal });
      } catch (error) {
        if (![0, 429, 502, 503, 504].includes(error.status) || tries === TRIES) throw error;
        const seconds = Math.min(30, error.retry || 2 ** tries);
        $("progress-text").textContent = `The service is busy; asking again in ${plural(seconds, "second")}`;
        await new Promise((go, stop) => {
          const timer = setTimeout(go, 1000 * seconds);
          signal.addEventListener("abort", () => {
            clearTimeout(timer);
            stop(new DOMException("stopped", "AbortError"));
          }, { once: true });
        });
      }
    }
  }

  function finished() {
    result.order = Uint32Array.from(result.scores.keys()).sort((a, b) => result.scores[b] - result.scores[a] || a - b);
    shown = SHOWN;
    $("list").hidden = false;
    const carried = leads.ignored.filter((i) => i !== leads.idColumn && leads.header[i]).slice(0, CARRIED);
    const heads = [["Rank", "number"], ["Lead"], ["Score", "number"], ["Band"], ["Decision"], ...carried.map((i) => [leads.header[i]])];
    $("list-head").replaceChildren(
      ...heads.map(([text, className]) => {
        const head = element("th", text, className);
        head.scope = "col";
        return head;
      }),
    );
    $("list-rows").replaceChildren();
    result.carried = carried;
    fill();
    worth.show(Float64Array.from(result.order, (i) => result.scores[i]));
    const versions = [...new Set(result.versions)];
    if (versions.length > 1) fail(`A new model came into service meanwhile: the scores are of ${versions.join(" and ")}. Score the file again for one of one model.`);
    offer();
    say(`Done: ${plural(result.done, "lead")} scored. The list is below, best first.`);
    $("list-title").focus({ preventScroll: true });
    $("list").scrollIntoView({ block: "start" });
  }

  function fill() {
    const { order, carried } = result;
    const from = $("list-rows").children.length;
    const made = [];
    for (let rank = from; rank < Math.min(shown, order.length); rank += 1) {
      const i = order[rank];
      made.push(
        tableRow([
          element("td", number(rank + 1), "number"),
          element("td", leads.id(i, result.prefix)),
          element("td", percent(result.scores[i]), "number"),
          element("td", result.bands[i]),
          element("td", result.decisions[i] === "contact" ? "Contact" : "Skip"),
          ...carried.map((column) => element("td", leads.rows[i][column])),
        ]),
      );
    }
    $("list-rows").append(...made);
    $("shown").textContent = `${number(Math.min(shown, order.length))} of ${number(order.length)} shown; the download has all`;
    $("more").hidden = shown >= order.length;
    colour();
  }

  function colour() {
    [...$("list-rows").children].forEach((row, rank) => row.classList.toggle("beyond", rank >= chosen));
  }

  /** The file as it was, in the list's order, with the scores behind. */
  function offer() {
    const unnamed = leads.idColumn < 0;
    const added = [...(unnamed ? ["lead_id"] : []), "rank", "score", "decision", "band", "model_version"];
    const named = added.map((column) => (leads.header.includes(column) ? `model_${column}` : column));
    const parts = [line([...leads.header, ...named], delimiter)];
    result.order.forEach((i, rank) => {
      const own = [String(rank + 1), String(result.scores[i]), result.decisions[i], result.bands[i], result.versions[i]];
      if (unnamed) own.unshift(leads.id(i, result.prefix));
      parts.push(line([...leads.rows[i], ...own], delimiter));
    });
    if (link) URL.revokeObjectURL(link);
    link = URL.createObjectURL(new Blob(["\ufeff", ...parts], { type: "text/csv;charset=utf-8" }));
    $("download").href = link;
    $("download").download = `${name.replace(/\.[^.]*$/, "")}-best-first.csv`;
  }

  $("choose").addEventListener("change", () => {
    const [file] = $("choose").files;
    $("choose").value = ""; // so that the same file, corrected, can be chosen again
    if (file) read(file);
  });
  for (const kind of ["dragenter", "dragover"])
    $("drop").addEventListener(kind, () => $("drop").classList.add("over"));
  for (const kind of ["dragleave", "drop"])
    $("drop").addEventListener(kind, () => $("drop").classList.remove("over"));
  // A file dropped beside the place for it must not replace the page.
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    const [file] = event.dataTransfer?.files ?? [];
    if (file) {
      location.hash = "#file";
      read(file);
    }
  });
  $("start").addEventListener("click", score);
  $("stop").addEventListener("click", () => running?.abort());
  $("more").addEventListener("click", () => {
    shown += SHOWN;
    fill();
  });
}

function element(kind, text = "", className = "") {
  const made = document.createElement(kind);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

function tableRow(cells) {
  const row = document.createElement("tr");
  row.append(...cells);
  return row;
}
