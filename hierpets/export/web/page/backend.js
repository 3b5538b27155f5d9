// The backend of a page without a server: predicts in a worker of this browser. Photos never leave it.

import { isLeaving } from "./language.js";
import { failedRecord } from "./record.js";
import { language, t } from "./words.js";

const MAX_BYTES = 64 * 2 ** 20;
const MAX_PIXELS = 64e6; // a decoded photo takes four bytes per pixel
const MAX_SIDE = 16384; // pixels; the largest canvas that all browsers support

const pending = new Map(); // id -> {resolve, reject}
let worker = null;
let lastId = 0;

/** Return the worker; start one if there is none. Its script is a blob: to that, the page's security policy applies. */
function getWorker() {
  if (worker) return worker;
  const script = `import ${JSON.stringify(new URL("worker.js", import.meta.url).href)};`;
  const url = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
  worker = new Worker(url, { type: "module" });
  worker.onmessage = ({ data }) => receive(data);
  worker.onerror = () => stop(t("The model cannot be started: the browser is too old, or a file of the page is missing."));
  worker.postMessage({ language });
  return worker;
}

function receive({ id, record, unreadable, missing, changed }) {
  if (changed) return stop(t("The page has changed; reload it."));
  if (missing) return stop(t("The model cannot be loaded: {file} is missing or damaged.", { file: missing }));
  const { resolve, reject } = pending.get(id) ?? {};
  pending.delete(id);
  if (unreadable) return resolve?.(failedRecord(t("this file is damaged, or of a kind that this browser cannot show")));
  return record ? resolve?.(record) : reject?.(new Error(t("The model cannot answer this photo.")));
}

/** Stop the worker and reject all pending requests. The next photo starts a new worker. */
function stop(message) {
  worker?.terminate();
  worker = null;
  for (const { reject } of pending.values()) reject(new Error(message));
  pending.clear();
}

/** Return the description of the model; null if it cannot be loaded. */
export async function describe() {
  if (isLeaving) return null;
  getWorker();
  const url = new URL(`../../model/model.${language}.json`, import.meta.url);
  const request = fetch(url, { cache: "no-cache" }); // an old copy would name the files of another model
  return request.then((response) => response.json()).then(({ about }) => about, () => null);
}

/** Return the photo unchanged: the page shows the file that the model sees. */
export const prepare = async (/** @type {File} */ file) => file;

/** Predict a photo. @returns {Promise<object>} its record */
export async function predict(/** @type {Blob} */ file) {
  const problem = await problemOf(file);
  if (problem) return failedRecord(problem);
  return new Promise((resolve, reject) => {
    lastId += 1;
    pending.set(lastId, { resolve, reject });
    getWorker().postMessage({ id: lastId, file });
  });
}

/**
 * Check a photo before it is decoded: a browser reads the size from the header.
 * @returns {Promise<string|null>} the problem, if any
 */
async function problemOf(file) {
  const format = (number) => number.toLocaleString(language, { maximumFractionDigits: 1 });
  if (file.size > MAX_BYTES) {
    return t("{size} MB, above the limit of {limit} MB", {
      size: format(file.size / 2 ** 20), limit: MAX_BYTES / 2 ** 20,
    });
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
    width: format(width), height: format(height), millions: MAX_PIXELS / 1e6, side: format(MAX_SIDE),
  });
}
