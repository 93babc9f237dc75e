// The service's own API, as any other caller uses it.

export class Refused extends Error {
  constructor(message, status, errors = []) {
    super(message);
    this.status = status;
    this.errors = errors;
  }
}

const JSON_TYPE = { "Content-Type": "application/json" };
const ENDED = "You are no longer signed in. Reload the page to sign in again.";

async function call(path, options = {}) {
  let answer;
  try {
    // With this header the identity-aware proxy answers 401 once the session has ended, and sends nobody to a login
    // page that a script cannot show: https://cloud.google.com/iap/docs/sessions-howto
    const headers = { "X-Requested-With": "XMLHttpRequest", ...options.headers };
    answer = await fetch(path, { ...options, headers, redirect: "error" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("The service cannot be reached. Check the connection, and try again.", 0);
  }
  if (answer.ok) return answer.json();
  if (answer.status === 401) throw new Refused(ENDED, 401);
  const problem = await answer.json().catch(() => ({}));
  const refused = new Refused(problem.title ?? `The service answered ${answer.status}.`, answer.status, problem.errors);
  refused.retry = Number(answer.headers.get("Retry-After")) || 0;
  throw refused;
}

export const model = () => call("v1/model");

export const post = (body, { explain = false, signal } = {}) =>
  call(`v1/score${explain ? "?explain=true" : ""}`, {
    method: "POST",
    headers: JSON_TYPE,
    body,
    signal,
  });

/** Scores rows of raw cells, which the service reads, and says why. */
export const postCells = (body, signal) =>
  call("v1/score/cells?explain=true", { method: "POST", headers: JSON_TYPE, body, signal });

/** How a file that begins with these bytes is cut into cells. */
export const layoutOf = (bytes) =>
  call("page/layout", { method: "POST", headers: { "Content-Type": "application/octet-stream" }, body: bytes });

/** Where a file's columns are, and which of these rows cannot be read. */
export const check = (rows) => call("page/check", { method: "POST", headers: JSON_TYPE, body: JSON.stringify(rows) });

export const newId = () => {
  const bytes = crypto.getRandomValues(new Uint8Array(6));
  return `page-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
};
