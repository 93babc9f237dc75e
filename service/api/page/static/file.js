import { layoutOf, newId, postCells, Refused } from "./api.js";
import { Broken, breathe, unpacked } from "./csv.js";
import { Leads } from "./leads.js";
import { CHOSEN, element, List, tableRow } from "./list.js";
import { number, plural } from "./values.js";
import { Worth } from "./worth.js";

const MAX_BYTES = 100_000_000;
const MAX_ROWS = 200_000;
const HEAD = 1 << 20; // bytes by which the service tells how the file is cut
const LISTED = 200;
const TRIES = 5;
const $ = (id) => document.getElementById(id);

export function startFile(served, seen) {
  let leads;
  let name;
  let list;
  let result;
  let running;
  let reading = 0;
  let link;
  const worth = new Worth(served.economics, (k) => list.grey(k));

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
      say(`Reading ${file.name}.`);
      const bytes = await unpacked(file, MAX_BYTES);
      const layout = await layoutOf(bytes.subarray(0, HEAD));
      const found = await Leads.read(bytes, layout, MAX_ROWS, served.limits);
      await found.check();
      if (mine !== reading) return;
      [leads, name] = [found, file.name];
      checked();
    } catch (error) {
      if (mine !== reading) return;
      say("");
      if (error instanceof Broken || error instanceof Refused) fail(error.message);
      else if (error.name === "NotReadableError") fail(`${file.name} cannot be read. Is it still there?`);
      else throw error;
    }
  }

  function checked() {
    $("checked").hidden = false;
    $("checked-title").textContent = name;
    told();
    const none = new Option("their row in the file", "-1");
    const columns = leads.header.map((column, i) => new Option(column, i));
    $("id-column").replaceChildren(none, ...columns);
    $("id-column").value = leads.idColumn;
    $("id-column").disabled = false;
    offerColumns();
    $("settings").hidden = false;
    $("start").hidden = false;
    $("start").disabled = false;
    $("start").textContent = `Score ${plural(leads.rows.length, "lead")}`;
    $("stop").hidden = true;
    $("checked-title").focus();
  }

  /** The columns that may stand in the list; at first those that the model does not read. */
  function offerColumns() {
    for (let i = 1; i <= CHOSEN; i += 1) {
      const offered = leads.header.map((column, place) => new Option(column, place));
      $(`show-${i}`).replaceChildren(new Option("nothing", "-1"), ...offered);
      $(`show-${i}`).value = leads.ignored.filter((place) => place !== leads.idColumn)[i - 1] ?? "-1";
    }
  }

  /** Says what was found in the file and what is wrong with its first rows. */
  function told() {
    $("facts").replaceChildren(...leads.facts().map((fact) => element("li", fact)));
    $("unlike").hidden = !leads.unlike.length;
    $("unlike").textContent = leads.unlike.map(({ column, message }) => `“${column}”: ${message}.`).join("\n");
    const all = leads.sample === leads.rows.length;
    const wrong = leads.unreadable + leads.leftOut.length;
    wrongRows(`${plural(wrong, "row")}${all ? "" : ` of the first ${number(leads.sample)}`} cannot be scored`, leads.wrong, wrong);
    say(`${name}: ${leads.facts()[0]} ${wrong ? `${$("wrong-title").textContent}.` : ""}`);
  }

  function wrongRows(title, found, count) {
    $("wrong").hidden = !count;
    $("wrong-title").textContent = found.length >= LISTED ? `${title}; the first are` : title;
    $("wrong-rows").replaceChildren(
      ...found.map(([row, column, problem]) =>
        tableRow([element("td", number(row)), element("td", column || "(all)"), element("td", problem)]),
      ),
    );
  }

  async function score() {
    fail("");
    const count = leads.rows.length;
    result ??= { rows: [], prefix: newId() };
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
      while (mine.rows.length < count) {
        const [body, next] = leads.body(mine.rows.length, mine.prefix);
        const { rows } = await patiently(body, signal);
        mine.rows.push(...rows.map(({ reasons, ...kept }) => kept));
        if (mine.rows.length !== next) throw new Error("the service answered for other leads than were sent");
        const version = rows.find((row) => row.model_version)?.model_version;
        if (version) seen(version);
        $("bar").value = mine.rows.length;
        $("progress-text").textContent = `${number(mine.rows.length)} of ${number(count)} scored`;
        const quarter = Math.floor((4 * mine.rows.length) / count);
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
      $("start").textContent = `Go on with the other ${number(count - mine.rows.length)}`;
      if (error.name === "AbortError") say("Stopped.");
      else {
        const where = (error.errors ?? []).slice(0, 5).map(({ path, message }) => `${path}: ${message}`);
        fail([`Stopped after ${plural(mine.rows.length, "lead")}: ${error.message}`, ...where].join("\n"));
      }
      $("start").focus();
    }
  }

  /** Asks again where the service is busy for a while: a file takes long enough to meet a restart. */
  async function patiently(body, signal) {
    for (let tries = 1; ; tries += 1) {
      try {
        return await postCells(body, signal);
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
    list = new List(leads, result.rows, name);
    const left = list.leftOut;
    const found = left.flatMap(({ number: at, problems }) => problems.map(([column, why]) => [at, column, why]));
    wrongRows(`${plural(left.length, "row")} left out`, found.slice(0, LISTED), left.length);
    if (!list.order.length) {
      fail("No row could be scored.");
      return;
    }
    $("list").hidden = false;
    worth.show(list.scores, list.pays(served.threshold));
    columns();
    offer();
    const versions = [...new Set(result.rows.map((row) => row.model_version).filter(Boolean))];
    if (versions.length > 1) fail(`A new model came into service meanwhile: the scores are of ${versions.join(" and ")}. Score the file again for one of one model.`);
    say(`Done: ${plural(list.order.length, "lead")} scored${left.length ? `, ${plural(left.length, "row")} left out` : ""}. The list is below, best first.`);
    $("list-title").focus({ preventScroll: true });
    $("list").scrollIntoView({ block: "start" });
  }

  /** Shows the list with the chosen columns. */
  function columns() {
    const chosen = Array.from({ length: CHOSEN }, (_, i) => Number($(`show-${i + 1}`).value));
    list.show([...new Set(chosen.filter((place) => place >= 0))], worth.pays, worth.team);
  }

  function offer() {
    if (link) URL.revokeObjectURL(link);
    const [blob, file] = list.download();
    link = URL.createObjectURL(blob);
    $("download").href = link;
    $("download").download = file;
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
  $("more").addEventListener("click", () => list.more());
  $("id-column").addEventListener("change", async () => {
    const mine = reading;
    leads.idColumn = Number($("id-column").value);
    result = undefined;
    offerColumns();
    try {
      await leads.check();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      fail(error.message);
    }
    if (mine === reading) told();
  });
  for (let i = 1; i <= CHOSEN; i += 1) $(`show-${i}`).addEventListener("change", columns);
}
