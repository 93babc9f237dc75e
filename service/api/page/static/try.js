import { newId, post } from "./api.js";
import { number, percent, value } from "./values.js";

const PAUSE_MS = 250;
const SEEN = 0.0005; // an effect that is not written as 0.0
const $ = (id) => document.getElementById(id);

export function startTry(served, seen) {
  const form = $("lead");
  const inputs = [...form.querySelectorAll("[data-name]")];
  const byName = new Map(inputs.map((input) => [input.dataset.name, input]));
  const leadId = newId();
  let pending;
  let running;
  $("lead-id").textContent = leadId;

  function wrong(input, message) {
    const place = $(`${input.id}-error`);
    place.textContent = message;
    place.hidden = !message;
    if (message) {
      input.setAttribute("aria-invalid", "true");
      input.setAttribute("aria-describedby", place.id);
    } else {
      input.removeAttribute("aria-invalid");
      input.removeAttribute("aria-describedby");
    }
  }

  function features() {
    const given = {};
    let first;
    for (const input of inputs) {
      const [found, problem] = value(input.value, input.dataset.kind);
      wrong(input, problem && `${problem}.`);
      if (problem) first ??= input;
      if (found !== undefined) given[input.dataset.name] = found;
    }
    return [given, first];
  }

  function failed(message) {
    $("try-error").textContent = message;
    $("try-error").hidden = !message;
  }

  async function score(focusWrong) {
    clearTimeout(pending);
    running?.abort();
    running = new AbortController();
    const { signal } = running;
    const [given, first] = features();
    if (first) {
      failed("Not scored: correct the marked field.");
      if (focusWrong) first.focus();
      return;
    }
    try {
      const body = JSON.stringify({ leads: [{ lead_id: leadId, features: given }] });
      const answer = await post(body, { explain: true, signal });
      if (signal.aborted) return;
      failed("");
      // A service of a release before contact rules, as during a roll-out, names no line: its line is the threshold.
      show(answer.scores[0], given, answer.line ?? served.threshold);
      seen(answer.scores[0].model_version);
    } catch (error) {
      if (error.name === "AbortError" || signal.aborted) return;
      let named = false;
      for (const { path, message } of error.errors ?? []) {
        const name = inputs.map((input) => input.dataset.name).find((each) => path.endsWith(`.${each}`) || path.endsWith(`['${each}']`));
        if (name) {
          wrong(byName.get(name), `${message}.`);
          named = true;
        }
      }
      failed(named ? "Not scored: correct the marked field." : `Not scored: ${error.message}`);
    }
  }

  function show(scored, given, line) {
    const { conversion_value: worth, contact_cost: cost } = served.economics;
    const decision = scored.decision === "contact" ? "Contact" : "Skip";
    const expected = scored.score * worth - cost;
    $("prompt").hidden = true;
    $("answer").hidden = false;
    $("score").textContent = percent(scored.score);
    $("decision").textContent = decision;
    $("decision").className = `decided-${scored.decision}`;
    $("band").textContent = `Band ${scored.band}`;
    for (const part of ["score", "decision", "band"]) {
      $(`now-${part}`).textContent = $(part).textContent;
      $(`now-${part}`).hidden = false;
    }
    $("now-decision").className = $("decision").className;
    for (const row of document.querySelectorAll("#try [data-band]"))
      row.classList.toggle("here", row.dataset.band === scored.band);
    $("needle").style.width = percent(scored.score).replace(" ", "");
    $("threshold").style.left = percent(line).replace(" ", "");
    const pays = line > served.threshold ? `, as many as the team can contact; a contact pays from ${percent(served.threshold)} on. ` : ". ";
    $("meaning").textContent =
      `Worth contacting from ${percent(line)} on, the mark on the bar${pays}` +
      `A contact is expected to ${expected < 0 ? "lose" : "earn"} ${number(Math.abs(expected))}.`;
    const moved = scored.reasons.filter(({ effect }) => Math.abs(effect) >= SEEN);
    reasons(moved, given);
    const [main] = moved;
    const because = main ? `, most of all for ${label(main.feature)}` : "";
    $("said").textContent = `Score ${percent(scored.score)}. ${decision}. Band ${scored.band}${because}.`;
  }

  const label = (name) => byName.get(name)?.labels[0].textContent ?? name;
  const said = (what) =>
    what === undefined || what === null
      ? "not known"
      : what === true
        ? "yes"
        : what === false
          ? "no"
          : typeof what === "number"
            ? what.toLocaleString("en", { maximumSignificantDigits: 15 })
            : what;

  function reasons(found, given) {
    const top = Math.max(...found.map(({ effect }) => Math.abs(effect)), 0.01);
    $("reasons").replaceChildren(
      ...found.map(({ feature, choice, effect, typical }) => {
        const up = effect > 0;
        const size = `${up ? "+" : "−"}${Math.abs(100 * effect).toFixed(1)}`;
        const item = element("li", up ? "up" : "down");
        // A choice is told where it differs from the typical lead's.
        const what = choice === undefined ? said(given[feature]) : `${choice}, ${typical ? "not chosen" : "chosen"}`;
        const name = element("span", "name", `${label(feature)}: ${what}`);
        name.append(element("small", "", `typical: ${said(typical)}`));
        const push = element("span", "push");
        push.setAttribute("aria-hidden", "true");
        const bar = element("span");
        bar.style.width = `${(50 * Math.abs(effect)) / top}%`;
        push.append(bar);
        item.append(name, push, element("span", "size", size));
        return item;
      }),
    );
    if (!found.length) $("reasons").append(element("li", "", "Nothing: in every field this lead is as good as a typical one."));
  }

  form.addEventListener("input", () => {
    clearTimeout(pending);
    pending = setTimeout(score, PAUSE_MS);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    score(true);
  });
  const fill = (text) => {
    for (const input of inputs) input.value = text(input);
    score();
  };
  $("typical").addEventListener("click", () => fill((input) => input.dataset.typical));
  $("clear").addEventListener("click", () => fill(() => ""));
}

function element(kind, className = "", text = "") {
  const made = document.createElement(kind);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}
