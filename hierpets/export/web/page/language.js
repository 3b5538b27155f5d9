// Leaves for the page in the language of the browser; `?language=en` keeps it in English.

import { language } from "./words.js";

const pages = new Map([...document.querySelectorAll("link[hreflang]")].map((link) => [link.hreflang, link.href]));
const wished = navigator.languages.map((tag) => tag.split("-")[0]).find((tag) => pages.has(tag));
const isGiven = language !== "en" || new URLSearchParams(location.search).has("language");

/** Whether another page is about to take the place of this one: what it began to load would be lost. */
export const isLeaving = !isGiven && Boolean(wished) && wished !== language;
if (isLeaving) location.replace(pages.get(wished));
