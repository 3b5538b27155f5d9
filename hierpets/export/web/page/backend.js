// What answers the page where there is no server: a worker in this browser. Photos never leave it.

import { isLeaving } from "./language.js";
import { failedRecord } from "./record.js";
import { language, t } from "./words.js";

const MAX_BYTES = 64 * 2 ** 20;
const MAX_PIXELS = 64e6; // a photo is four bytes a pixel when it is decoded
const MAX_SIDE = 16384; // the widest canvas that all browsers have

const asked = new Map(); // id -> {resolve, reject}
let worker = null;
let count = 0;

/** A worker, new if the last one could not start. A script from a blob is bound by the page's own policy. */
function working() {
  if (worker) return worker;
  const script = `import ${JSON.stringify(new URL("worker.js", import.meta.url).href)};`;
  const url = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
  worker = new Worker(url, { type: "module" });
  worker.onmessage = ({ data }) => hear(data);
  worker.onerror = () => stop(t("The model cannot be started: the browser is too old, or a file of the page is missing."));
  worker.postMessage({ language });
  return worker;
}

function hear({ id, record, unreadable, missing, changed }) {
  if (changed) return stop(t("The page has changed; reload it."));
  if (missing) return stop(t("The model cannot be loaded: {file} is missing or damaged.", { file: missing }));
  const { resolve, reject } = asked.get(id) ?? {};
  asked.delete(id);
  if (unreadable) return resolve?.(failedRecord(t("this file is damaged, or of a kind that this browser cannot show")));
  return record ? resolve?.(record) : reject?.(new Error(t("The model cannot answer this photo.")));
}

/** Nothing that was asked will be answered; the next photo tries anew. */
function stop(message) {
  worker?.terminate();
  worker = null;
  for (const { reject } of asked.values()) reject(new Error(message));
  asked.clear();
}

/** What the page says of the model; null where it cannot be loaded. */
export async function describe() {
  if (isLeaving) return null;
  working();
  const place = new URL(`../../model/model.${language}.json`, import.meta.url);
  const asked = fetch(place, { cache: "no-cache" }); // it names the files of its own model
  return asked.then((answer) => answer.json()).then(({ about }) => about, () => null);
}

/** The photo as it is: what is shown is what is seen. */
export const prepare = async (/** @type {File} */ file) => file;

/** The record of a photo. @returns {Promise<object>} */
export async function predict(/** @type {Blob} */ file) {
  const problem = await problemOf(file);
  if (problem) return failedRecord(problem);
  return new Promise((resolve, reject) => {
    count += 1;
    asked.set(count, { resolve, reject });
    working().postMessage({ id: count, file });
  });
}

/** Why a photo will not be decoded: the browser tells its size from its header. @returns {Promise<string|null>} */
async function problemOf(file) {
  const shown = (number) => number.toLocaleString(language, { maximumFractionDigits: 1 });
  if (file.size > MAX_BYTES) {
    return t("{size} MB, above the limit of {limit} MB", { size: shown(file.size / 2 ** 20), limit: MAX_BYTES / 2 ** 20 });
  }
  const image = new Image();
  image.src = URL.createObjectURL(file);
  try {
    await new Promise((resolve, reject) => Object.assign(image, { onload: resolve, onerror: reject }));
  } catch {
    return t("this file is no image, or of a kind that this browser cannot show");
  } finally {
    URL.revokeObjectURL(image.src);
  }
  const { naturalWidth: width, naturalHeight: height } = image;
  if (width * height <= MAX_PIXELS && Math.max(width, height) <= MAX_SIDE) return null;
  return t("{width} x {height} pixels, above the limit of {millions} million pixels, {side} a side", {
    width: shown(width), height: shown(height), millions: MAX_PIXELS / 1e6, side: shown(MAX_SIDE),
  });
}
