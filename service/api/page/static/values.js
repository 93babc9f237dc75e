// What a person or a file writes, as the API takes it: the same rules as those of the jobs that read files.

const NUMBER = /^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$/;
const MAX_NUMBER = 1e100;
const MAX_TEXT = 1000;

/** [value, what is wrong]: the value is undefined where the text is blank or wrong. */
export function value(text, kind) {
  if (text.trim() === "") return [undefined, ""];
  if (kind === "number") {
    if (!NUMBER.test(text)) {
      const hint = /^[-+\d.,'’\s]*\d[-+\d.,'’\s]*$/.test(text) ? ": write decimals after a point, and nothing between thousands, as in 1234.5" : "";
      return [undefined, `“${short(text)}” is not a number${hint}`];
    }
    const number = Number(text);
    return Math.abs(number) <= MAX_NUMBER ? [number, ""] : [undefined, `“${short(text)}” is too large`];
  }
  if (kind === "boolean") {
    const word = text.trim().toLowerCase();
    return word === "true" || word === "false"
      ? [word === "true", ""]
      : [undefined, `“${short(text)}” is neither true nor false`];
  }
  return [...text].length <= MAX_TEXT ? [text, ""] : [undefined, `longer than ${MAX_TEXT} characters`];
}

export const short = (text) => (text.length > 40 ? `${text.slice(0, 40)}…` : text);
export const percent = (share) => `${(100 * share).toFixed(1)} %`;
export const number = (amount, digits = 0) =>
  amount.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
export const plural = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;

/** An amount of money: whole from a hundred on. */
export const amount = (value) => number(value, Math.abs(value) < 100 ? 2 : 0);

const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
/** A number of a few characters, whatever its size: 9,500, 12.5K, 10M. */
export const compact = (value) => (Math.abs(value) < 10_000 ? number(value) : SHORT.format(value));
