// What contacting the best leads is expected to bring: the slider, its figures and its curve.

import { mostContacts } from "./contacts.js";
import { compact, number, plural } from "./values.js";

const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const [HEIGHT, BOTTOM, TOP, RIGHT, LETTER] = [200, 26, 12, 12, 7.2]; // in pixels; LETTER is the width of a digit
const NEAR = 15; // two numbers that are so near would overlap

/** `scores` best first; `contacts` are those that the model would contact; `told` gets every new number. */
export class Worth {
  constructor({ conversion_value: worth, contact_cost: cost, contacts_per_1000_leads: capacity }, told) {
    this.worth = worth;
    this.cost = cost;
    this.capacity = capacity;
    this.told = told;
    $("contacts").addEventListener("input", () => this.set($("contacts").valueAsNumber));
    $("contacts-number").addEventListener("input", () => {
      if ($("contacts-number").value !== "") this.set($("contacts-number").valueAsNumber, false);
    });
    $("contacts-number").addEventListener("change", () => this.set(this.chosen));
    $("all-that-pay").addEventListener("click", () => this.set(this.pays));
    $("team-makes").addEventListener("click", () => this.set(this.team));
    new ResizeObserver(() => this.#drawn()).observe($("worth-chart"));
  }

  /** `pays` is how many of the best leads are worth a contact. */
  show(scores, pays) {
    const count = scores.length;
    this.expected = new Float64Array(count + 1);
    for (let i = 0; i < count; i += 1) this.expected[i + 1] = this.expected[i] + scores[i];
    this.count = count;
    this.pays = pays;
    this.team = mostContacts(count, pays, this.capacity);
    for (const id of ["contacts", "contacts-number"]) $(id).max = count;
    $("of-all").textContent = `of ${plural(count, "lead")}`;
    $("all-that-pay").textContent = `All that pay: ${number(this.pays)}`;
    $("team-makes").textContent = `What the team can make: ${number(this.team)}`;
    $("team-makes").hidden = this.capacity >= 1000;
    this.width = 0;
    this.chosen = 0;
    this.#drawn();
    this.set(this.contacts);
  }

  /** How many leads are to be contacted: those that pay, as many as the team can make. */
  get contacts() {
    return Math.min(this.pays, this.team);
  }

  value(contacts) {
    return this.worth * this.expected[contacts] - this.cost * contacts;
  }

  set(contacts, both = true) {
    const k = Math.max(0, Math.min(this.count, Math.round(contacts) || 0));
    this.chosen = k;
    $("contacts").value = k;
    if (both) $("contacts-number").value = k;
    const atRandom = (k * this.value(this.count)) / this.count;
    const converts = this.expected[k];
    const rate = k ? ` (${((100 * converts) / k).toFixed(1)} %)` : "";
    const rows = [
      ["Expected value", number(this.value(k)), "big"],
      ["The same number at random", number(atRandom), ""],
      ["Expected to convert", `${number(converts)}${rate}`, ""],
      ["Of all conversions expected", `${((100 * converts) / (this.expected[this.count] || 1)).toFixed(0)} %`, ""],
    ];
    $("worth").replaceChildren(
      ...rows.flatMap(([term, said, className]) => {
        const dt = document.createElement("dt");
        const dd = document.createElement("dd");
        dt.textContent = term;
        dd.textContent = said;
        dd.className = className;
        return [dt, dd];
      }),
    );
    const words = `${plural(k, "lead")} contacted, expected value ${number(this.value(k))}`;
    $("contacts").setAttribute("aria-valuetext", words);
    $("worth-chart").setAttribute("aria-label", `Expected value by number of leads contacted: ${words}.`);
    this.#mark(k);
    this.told(k);
  }

  #across = (k) => this.left + ((this.width - this.left - RIGHT) * k) / this.count;
  #down = (value) => HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * (value - this.low)) / (this.high - this.low || 1);

  /** Draws as wide as there is room, so that numbers keep their size on a phone. */
  #drawn() {
    const width = Math.round($("worth-chart").clientWidth);
    if (!this.count || !width || width === this.width) return;
    this.width = width;
    $("worth-chart").setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    this.#draw();
    this.#mark(this.chosen);
  }

  #draw() {
    const steps = Math.min(200, this.count);
    const at = Array.from({ length: steps + 1 }, (_, i) => Math.round((i * this.count) / steps));
    const values = [...at, this.pays].map((k) => this.value(k));
    this.low = Math.min(0, ...values);
    this.high = Math.max(0, ...values);
    const levels = [this.low, this.high, 0].map((value) => [value, compact(value)]);
    this.left = Math.max(30, 12 + LETTER * Math.max(...levels.map(([, text]) => text.length)));
    const path = at.map((k, i) => `${i ? "L" : "M"}${this.#across(k).toFixed(1)},${this.#down(this.value(k)).toFixed(1)}`);
    const zone = shape("rect", "zone", { x: this.left, y: TOP, width: this.#across(this.team) - this.left, height: HEIGHT - TOP - BOTTOM });
    const parts = this.capacity < 1000 ? [zone] : [];
    const labelled = [];
    for (const [value, text] of levels) {
      const y = this.#down(value);
      parts.push(grid(this.left, y, this.width - RIGHT, y));
      if (labelled.some((other) => Math.abs(other - y) < NEAR)) continue;
      labelled.push(y);
      parts.push(words(this.left - 8, y + 4, text, "end"));
    }
    const shares = this.width < 600 ? [0, 0.5, 1] : [0, 0.25, 0.5, 0.75, 1];
    for (const k of new Set(shares.map((share) => Math.round(share * this.count)))) {
      const anchor = k === 0 ? "start" : k === this.count ? "end" : "middle";
      parts.push(words(this.#across(k), HEIGHT - 6, compact(k), anchor));
    }
    const random = { d: `M${this.#across(0)},${this.#down(0)} L${this.#across(this.count)},${this.#down(this.value(this.count))}` };
    parts.push(shape("path", "compared", random), shape("path", "line", { d: path.join(" ") }));
    this.rule = shape("line", "rule", { y1: TOP, y2: HEIGHT - BOTTOM });
    this.dot = shape("circle", "mark", { r: 6 });
    $("worth-chart").replaceChildren(...parts, this.rule, this.dot);
  }

  #mark(k) {
    const x = this.#across(k).toFixed(1);
    this.rule.setAttribute("x1", x);
    this.rule.setAttribute("x2", x);
    this.dot.setAttribute("cx", x);
    this.dot.setAttribute("cy", this.#down(this.value(k)).toFixed(1));
  }
}

function shape(kind, className, attributes) {
  const made = document.createElementNS(SVG, kind);
  made.setAttribute("class", className);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function grid(x1, y1, x2, y2) {
  const group = shape("g", "grid", {});
  group.append(shape("line", "", { x1, y1, x2, y2 }));
  return group;
}

function words(x, y, text, anchor) {
  const made = shape("text", "", { x, y, "text-anchor": anchor });
  made.textContent = text;
  return made;
}
