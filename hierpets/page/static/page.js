// What all parts of the page share: its photos, the model that is asked, and how it speaks.

import { capital, t } from "./words.js";

export const byId = (id) => document.getElementById(id);
export const entries = new Map(); // <li> -> {file, blob, record or failure, and each view that was asked for}
export const model = { taxonomy: {}, capabilities: {} }; // until the backend has described it

let saying = 0;

/** For screen readers. */
export function say(text) {
  // A short pause lets a screen reader notice that the text has changed.
  clearTimeout(saying);
  saying = setTimeout(() => { byId("status").textContent = text; }, 80);
}

export const isGone = (entry) => () => entry.gone;

/** What a task gives, unless it fails or runs already. Its button is not disabled: that would take the focus from it. */
export async function attempt(button, problem, task) {
  if (button.getAttribute("aria-disabled")) return null;
  const name = button.textContent;
  button.setAttribute("aria-disabled", "true");
  button.textContent = t("Please wait…");
  problem.textContent = "";
  try {
    return await task();
  } catch (error) {
    problem.textContent = capital(error.message);
    return null;
  } finally {
    button.removeAttribute("aria-disabled");
    button.textContent = name;
  }
}
