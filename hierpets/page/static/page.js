// Shared by all parts of the page: the photos, the description of the model, and announcements for screen readers.

import { capital, t } from "./words.js";

export const byId = (id) => document.getElementById(id);
// <li> -> {file, number, blob, record or failure, `gone` once it was removed, and the data of each view by its name}
export const entries = new Map();
export const model = { taxonomy: {}, capabilities: {} }; // replaced by the backend's description

let timer = 0;

/** Announce a text to screen readers. */
export function announce(text) {
  // A short pause lets a screen reader notice that the text has changed.
  clearTimeout(timer);
  timer = setTimeout(() => { byId("status").textContent = text; }, 80);
}

/** Return a function that says whether the photo has been removed from the page. */
export const isGone = (entry) => () => entry.gone;

/**
 * Run the task of a button and return its result; null if it fails, which `problem` then shows, or is already running.
 * `aria-disabled` is used because `disabled` would take the focus from the button.
 */
export async function attempt(button, problem, task) {
  if (button.getAttribute("aria-disabled")) return null;
  const label = button.textContent;
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
    button.textContent = label;
  }
}
