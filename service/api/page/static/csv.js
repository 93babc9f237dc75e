// CSV as spreadsheets write it: delimiter detected, quotes, any line ending, UTF-8, UTF-16 or Windows' own.

const DELIMITERS = [",", ";", "\t", "|"];
const AT_ONCE = 5_000;

export class Broken extends Error {}

/** Lets the browser draw, and the person press a key. */
export const breathe = () => new Promise((go) => setTimeout(go, 0));

/** [text, note]: the note is empty for UTF-8. */
export function decode(bytes) {
  const start = new Uint8Array(bytes, 0, Math.min(2, bytes.byteLength));
  if (start[0] === 0xff && start[1] === 0xfe) return [new TextDecoder("utf-16le").decode(bytes), "read as UTF-16"];
  try {
    return [new TextDecoder("utf-8", { fatal: true }).decode(bytes), ""];
  } catch {
    return [new TextDecoder("windows-1252").decode(bytes), "read as Windows-1252, for it is not UTF-8"];
  }
}

/** The delimiter that is most often in the first line, outside quotes. */
export function delimiterOf(text) {
  const counts = new Map(DELIMITERS.map((each) => [each, 0]));
  let quoted = false;
  for (const character of text.slice(0, 100_000)) {
    if (character === '"') quoted = !quoted;
    else if (!quoted && (character === "\n" || character === "\r")) break;
    else if (!quoted && counts.has(character)) counts.set(character, counts.get(character) + 1);
  }
  return [...counts].reduce((best, each) => (each[1] > best[1] ? each : best))[0];
}

/** The rows, each a list of cells; a blank line is one empty cell. `tell` gets the share that is done. */
export async function parse(text, delimiter, tell = () => {}) {
  const rows = [];
  let row = [];
  let at = 0;
  const end = text.length;
  while (at < end) {
    let cell;
    if (text[at] === '"') {
      [cell, at] = quoted(text, at, rows.length + 1);
      if (at < end && text[at] !== delimiter && text[at] !== "\n" && text[at] !== "\r")
        throw new Broken(`Row ${rows.length + 1}: text follows a closing quote.`);
    } else {
      let stop = at;
      while (stop < end && text[stop] !== delimiter && text[stop] !== "\n" && text[stop] !== "\r") stop += 1;
      cell = text.slice(at, stop);
      at = stop;
    }
    row.push(cell);
    if (text[at] === delimiter) {
      at += 1;
      if (at === end) row.push("");
      else if (text[at] !== "\n" && text[at] !== "\r") continue;
      else row.push("");
    }
    if (text[at] === "\r" && text[at + 1] === "\n") at += 2;
    else at += 1;
    rows.push(row);
    row = [];
    if (rows.length % AT_ONCE === 0) {
      tell(at / end);
      await breathe();
    }
  }
  return rows;
}

function quoted(text, from, number) {
  let cell = "";
  let at = from + 1;
  for (;;) {
    const close = text.indexOf('"', at);
    if (close < 0) throw new Broken(`Row ${number}: a quote is opened and never closed.`);
    cell += text.slice(at, close);
    if (text[close + 1] !== '"') return [cell, close + 1];
    cell += '"';
    at = close + 2;
  }
}

export function line(cells, delimiter) {
  const special = new RegExp(`["\\r\\n${delimiter === "|" ? "\\|" : delimiter}]`);
  return `${cells.map((cell) => (special.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell)).join(delimiter)}\r\n`;
}
