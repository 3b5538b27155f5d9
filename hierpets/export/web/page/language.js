// Leaves for the page in the language of the URL, `?language=de`, else from the English one for that of the browser.

import { language } from "./words.js";

const pages = new Map([...document.querySelectorAll("link[hreflang]")].map((link) => [link.hreflang, link.href]));
const given = new URLSearchParams(location.search).get("language");
const preferred = language === "en" && given === null ? navigator.languages.map((tag) => tag.split("-")[0]) : [];
const wished = [given, ...preferred].find((tag) => pages.has(tag)) ?? language;

/** Whether another page is about to take the place of this one: what it began to load would be lost. */
export const isLeaving = wished !== language;
if (isLeaving) location.replace(pages.get(wished) + location.search + location.hash);
