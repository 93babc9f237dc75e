// A CSV file cut into cells as the service says; what a cell means, the service tells.

const AT_ONCE = 5_000;

export class Broken extends Error {}

/** Lets the browser draw, and the person press a key. */
export const breathe = () => new Promise((go) => setTimeout(go, 0));

/** The bytes of a file, unpacked where it is gzip. Throws Broken where they are more than `most`. */
export async function unpacked(file, most) {
  const packed = new Uint8Array(await file.slice(0, 2).arrayBuffer());
  if (packed[0] !== 0x1f || packed[1] !== 0x8b) {
    if (file.size > most) throw new Broken(tooLarge(file, most));
    return new Uint8Array(await file.arrayBuffer());
  }
  const parts = [];
  let size = 0;
  const reader = file.stream().pipeThrough(new DecompressionStream("gzip")).getReader();
  for (;;) {
    const { done, value } = await reader.read().catch(() => {
      throw new Broken(`${file.name} is a broken gzip file: fetch it again.`);
    });
    if (done) break;
    size += value.byteLength;
    if (size > most) {
      reader.cancel();
      throw new Broken(tooLarge(file, most));
    }
    parts.push(value);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

const tooLarge = (file, most) => `${file.name} is larger than ${most / 1e6} MB: score it with scripts/score.`;

/** The text in these bytes. Throws Broken where they are no such text. */
export function decode(bytes, { encoding, encoding_name: name }) {
  let text;
  try {
    text = new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch {
    throw new Broken(`The file begins as ${name} text and does not go on so: export it again as UTF-8.`);
  }
  const at = text.indexOf("\0");
  if (at >= 0) throw new Broken(`Line ${text.slice(0, at).split("\n").length} holds a NUL byte, so the file is no CSV text.`);
  return text;
}

/** The rows, each a list of cells; a blank line is one empty cell. `first` is the number of the first row. */
export async function parse(text, delimiter, first = 1) {
  const rows = [];
  let row = [];
  let at = 0;
  const end = text.length;
  while (at < end) {
    let cell;
    if (text[at] === '"') {
      [cell, at] = quoted(text, at, rows.length + first);
      const closed = at; // a quote within a quoted cell ends it, and what follows belongs to the cell
      while (at < end && text[at] !== delimiter && text[at] !== "\n" && text[at] !== "\r") at += 1;
      cell += text.slice(closed, at);
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

// The same rule as that of the jobs' files, service/reading/formulas.py: one table of cells in the tests proves both.
const FORMULA = /^'*(?:[\s\x1c-\x1f\x85\ufeff]*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n\0])/;
const NUMBER = /^'*-[0-9]+(?:[.,][0-9]+)*$/;

/** The cell with an apostrophe before it where a spreadsheet would run it as a formula; numbers stay. */
export const safe = (cell) => (FORMULA.test(cell) && !NUMBER.test(cell) ? `'${cell}` : cell);

/** A line of a file that a spreadsheet opens. */
export function line(cells, delimiter) {
  const special = /["\r\n]/;
  const quoted = (cell) => (special.test(cell) || cell.includes(delimiter) ? `"${cell.replaceAll('"', '""')}"` : cell);
  return `${cells.map((cell) => quoted(safe(cell))).join(delimiter)}\r\n`;
}
