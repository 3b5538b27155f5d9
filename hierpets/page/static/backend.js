// The backend of a served page: predicts on the server that the page came from.

import { upright } from "./upright.js";
import { language, t } from "./words.js";

const SHRINK_ABOVE = 1.5e6; // bytes; a larger photo is shrunk before it is sent, which also removes its EXIF
const MAX_SIDE = 1600; // pixels of the longer side of a shrunk photo
const MAX_RETRIES = 6;

/** Return the description of the model; null if the server cannot be reached. */
export async function describe() {
  const response = await fetch("v1/model").catch(() => null);
  return response?.ok ? response.json() : null;
}

/** Shrink a large photo before it is sent. */
export async function prepare(file) {
  // A photo that the browser cannot decode is sent unchanged: the server may read it, or report the problem.
  if (file.size <= SHRINK_ABOVE) return file;
  try {
    const bitmap = await upright(file);
    const scale = Math.min(1, MAX_SIDE / Math.max(bitmap.width, bitmap.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(bitmap.width * scale);
    canvas.height = Math.round(bitmap.height * scale);
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.fillStyle = "#fff";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    bitmap.close();
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.92));
    return blob ?? file;
  } catch {
    return file;
  }
}

/** Predict a photo; return its record, which has a prediction for each animal if `regions` is true. */
export async function predict(blob, { name, isGone, regions = false }) {
  const response = await send(regions ? "v1/predict?regions=true" : "v1/predict", withPhoto(blob, name), isGone);
  const [record] = await response.json();
  const { error } = record;
  return error ? { ...record, error: { ...error, message: readableError(error.message) } } : record;
}

/** Return an image of where the model looked. */
export const explain = async (blob, isGone) => (await send("v1/explain", withPhoto(blob), isGone)).blob();

/** Send a correction; return where it was saved. */
export const giveFeedback = async (form, isGone) => (await send("v1/feedback", form, isGone)).json();

function withPhoto(blob, name) {
  const form = new FormData();
  form.append("photo", blob, name || "photo.jpg");
  return form;
}

// Messages of the server are in English, and some end with details for developers.
function readableError(message) {
  if (/^(the photo: )?not an image: it starts with /.test(message)) return t("this file is not an image");
  return language === "en" ? message.replace(/^the photo: /, "") : t("this file is damaged, too large or of an unknown kind");
}

/** Return a response that is ok; throw the problem of another. */
async function checked(response) {
  if (response.ok) return response;
  // A proxy in front of the server may answer with a page, or with nothing.
  const problem = await response.json().catch(() => null);
  const error = new Error(problem?.detail ? textOf(problem) : t("The server cannot be reached."));
  error.final = response.status === 413; // a retry cannot help: the photo stays too large
  throw error;
}

// The detail of a problem is in English; only its title is translated.
const textOf = (problem) => (language === "en" ? problem.detail : t(problem.title));

/** Send a form; return the response. While the server is busy, try again, unless the photo was removed. */
async function send(path, form, isGone) {
  const request = { method: "POST", body: form, headers: { "accept-language": language } };
  for (let attempt = 0; ; attempt += 1) {
    const response = await fetch(path, request).catch(() => { throw new Error(t("The server cannot be reached.")); });
    if (response.status !== 429 || attempt === MAX_RETRIES || isGone()) return checked(response);
    await new Promise((resolve) => setTimeout(resolve, 1000 * (Number(response.headers.get("retry-after")) || 1)));
  }
}
