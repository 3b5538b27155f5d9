// Redirect to the page in the language of the URL, `?language=de`; without one, from the English page to the page in
// the language of the browser.

import { language } from "./words.js";

const pages = new Map([...document.querySelectorAll("link[hreflang]")].map((link) => [link.hreflang, link.href]));
const given = new URLSearchParams(location.search).get("language");
const preferred = language === "en" && given === null ? navigator.languages.map((tag) => tag.split("-")[0]) : [];
const wished = [given, ...preferred].find((tag) => pages.has(tag)) ?? language;

/** Whether the browser is about to open another page: whatever this one loads would be lost. */
export const isLeaving = wished !== language;
if (isLeaving) location.replace(pages.get(wished) + location.search + location.hash);
