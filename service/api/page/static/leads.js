// The leads of a file: its columns matched with the model's, every cell checked, bodies of requests made of them.

import { Broken, breathe } from "./csv.js";
import { number, plural, value } from "./values.js";

const AT_ONCE = 2_000;
const MAX_ID = 200;
const ID_NAMES = ["lead_id", "leadid", "id", "lead", "customer_id", "contact_id"];

export class Leads {
  /** Throws Broken where the rows are no table of leads. */
  constructor(rows, schema) {
    this.header = rows[0].map((name) => name.trim());
    const twice = this.header.find((name, i) => name && this.header.indexOf(name) !== i);
    if (twice) throw new Broken(`The column “${twice}” is there twice.`);
    const loosely = new Map(this.header.map((name, i) => [name.toLowerCase(), i]));
    this.columns = [];
    this.absent = [];
    for (const { name, kind } of schema) {
      const exact = this.header.indexOf(name);
      const at = exact >= 0 ? exact : loosely.get(name.toLowerCase());
      if (at === undefined) this.absent.push(name);
      else this.columns.push({ name, kind, at });
    }
    if (!this.columns.length)
      throw new Broken(
        `None of the columns that the model reads is in the first row, which says: ${this.header.slice(0, 8).join(", ")}. ` +
          "Open “Columns that the model reads” above for their names.",
      );
    const used = new Set(this.columns.map(({ at }) => at));
    this.ignored = this.header.map((_, i) => i).filter((i) => !used.has(i));
    this.idColumn = this.header.findIndex((name) => ID_NAMES.includes(name.toLowerCase()));
    this.rows = [];
    this.numbers = []; // the rows' places in the file, as a spreadsheet counts them
    this.wrong = [];
    this.wrongRows = 0;
    for (let i = 1; i < rows.length; i += 1) {
      if (rows[i].length === 1 && rows[i][0].trim() === "") continue;
      this.rows.push(rows[i]);
      this.numbers.push(i + 1);
    }
    if (!this.rows.length) throw new Broken("The file has column names and no leads.");
  }

  /** Keeps the rows that can be scored; what is wrong with the others goes to `wrong`, the first `most` of it. */
  async check(tell, most = 200) {
    const good = [];
    const numbers = [];
    for (let i = 0; i < this.rows.length; i += 1) {
      const row = this.rows[i];
      const problems = [];
      if (row.length !== this.header.length)
        problems.push(["", `has ${plural(row.length, "cell")} where the first row has ${this.header.length}`]);
      else
        for (const { name, kind, at } of this.columns) {
          const [, problem] = value(row[at], kind);
          if (problem) problems.push([name, problem]);
        }
      if (problems.length) {
        this.wrongRows += 1;
        for (const [column, problem] of problems)
          if (this.wrong.length < most) this.wrong.push([this.numbers[i], column, problem]);
      } else {
        good.push(row);
        numbers.push(this.numbers[i]);
      }
      if (i % AT_ONCE === 0) {
        tell(i / this.rows.length);
        await breathe();
      }
    }
    this.rows = good;
    this.numbers = numbers;
  }

  id(i, prefix) {
    const named = this.idColumn >= 0 ? this.rows[i][this.idColumn].trim().slice(0, MAX_ID) : "";
    return named || `${prefix}-${this.numbers[i]}`;
  }

  /** Leads from row `from` on as a request's body, as many as one may hold; and the row after them. */
  body(from, prefix, { max_leads, max_body_bytes }) {
    const parts = [];
    let size = 20;
    let i = from;
    for (; i < this.rows.length && parts.length < max_leads; i += 1) {
      const features = {};
      for (const { name, kind, at } of this.columns) {
        const [found] = value(this.rows[i][at], kind);
        if (found !== undefined) features[name] = found;
      }
      const part = JSON.stringify({ lead_id: this.id(i, prefix), features });
      size += 3 * part.length + 1; // a character takes at most three bytes of UTF-8 for each UTF-16 unit
      if (parts.length && size > max_body_bytes) break;
      parts.push(part);
    }
    return [`{"leads":[${parts.join(",")}]}`, i];
  }

  /** Sentences on what was found. */
  facts() {
    const names = (which) => which.map((name) => `“${name}”`).join(", ");
    const said = [`${plural(this.rows.length, "lead")} can be scored.`];
    said.push(`${number(this.columns.length)} of the ${this.columns.length + this.absent.length} columns that the model reads are there.`);
    if (this.absent.length) said.push(`Not there, so not known: ${names(this.absent)}.`);
    if (this.ignored.length) said.push(`Kept, but not read by the model: ${names(this.ignored.map((i) => this.header[i]))}.`);
    return said;
  }
}
