import { model } from "./api.js";
import { startFile } from "./file.js";
import { startTry } from "./try.js";

const views = [...document.querySelectorAll(".view")];
const links = [...document.querySelectorAll("nav a")];

function follow() {
  const shown = views.find((view) => `#${view.id}` === location.hash) ?? views[0];
  for (const link of links) {
    if (link.hash === `#${shown.id}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${shown.querySelector("h2").textContent} | Lead scoring`;
}

addEventListener("hashchange", () => {
  follow();
  scrollTo(0, 0);
});
follow();

const notice = document.getElementById("notice");

try {
  const served = await model();
  /** A score may come from a model that came into service after this page: say so once. */
  const seen = (version) => {
    if (version === served.version || !notice.hidden) return;
    notice.textContent = `A new model, ${version}, is in service. Reload the page to see it.`;
    notice.hidden = false;
  };
  startTry(served, seen);
  startFile(served, seen);
} catch (error) {
  notice.textContent = error.message;
  notice.hidden = false;
}
document.documentElement.dataset.ready = "true";
