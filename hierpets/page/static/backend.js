// What answers the page: the server that it came from.

import { upright } from "./upright.js";
import { language, t } from "./words.js";

const SHRINK_ABOVE = 1.5e6;   // bytes; a larger photo is shrunk here, which also removes its EXIF
const LONGEST = 1600;         // pixels
const MAX_RETRIES = 6;

/** What the page says of the model; null where the server cannot be reached. */
export async function describe() {
  const answer = await fetch("v1/model").catch(() => null);
  return answer?.ok ? answer.json() : null;
}

/** The photo as it is sent. */
export async function prepare(file) {
  // A photo that the browser cannot decode is sent unchanged: the server may read it, or report the problem.
  if (file.size <= SHRINK_ABOVE) return file;
  try {
    const bitmap = await upright(file);
    const scale = Math.min(1, LONGEST / Math.max(bitmap.width, bitmap.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(bitmap.width * scale);
    canvas.height = Math.round(bitmap.height * scale);
    const pen = canvas.getContext("2d");
    pen.imageSmoothingQuality = "high";
    pen.fillStyle = "#fff";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    bitmap.close();
    const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92));
    return blob ?? file;
  } catch {
    return file;
  }
}

/** The record of a photo, with what each animal in it is if asked. */
export async function predict(blob, { name, isGone, regions = false }) {
  const answer = await send(regions ? "v1/predict?regions=true" : "v1/predict", withPhoto(blob, name), isGone);
  const [record] = await answer.json();
  return record.error ? { ...record, error: { ...record.error, message: friendly(record.error.message) } } : record;
}

/** A picture of where the model looked. */
export const explain = async (blob, isGone) => (await send("v1/explain", withPhoto(blob), isGone)).blob();

/** Where a correction was saved. */
export const giveFeedback = async (form, isGone) => (await send("v1/feedback", form, isGone)).json();

function withPhoto(blob, name) {
  const form = new FormData();
  form.append("photo", blob, name || "photo.jpg");
  return form;
}

// The end of some messages is for developers, and all are English.
function friendly(message) {
  if (/^(the photo: )?not an image: it starts with /.test(message)) return t("this file is not an image");
  return language === "en" ? message.replace(/^the photo: /, "") : t("this file is damaged, too large or of an unknown kind");
}

async function checked(answer) {
  if (answer.ok) return answer;
  const problem = await answer.json().catch(() => null); // a proxy before the server answers with a page, or nothing
  const error = new Error(problem?.detail ? told(problem) : t("The server cannot be reached."));
  error.final = answer.status === 413; // a photo that is too large stays so
  throw error;
}

// The details of a problem are English.
const told = (problem) => (language === "en" ? problem.detail : t(problem.title));

/** What the server answers. A busy one is asked again, unless the photo is gone. */
async function send(path, form, isGone) {
  const request = { method: "POST", body: form, headers: { "accept-language": language } };
  for (let attempt = 0; ; attempt += 1) {
    const answer = await fetch(path, request).catch(() => { throw new Error(t("The server cannot be reached.")); });
    if (answer.status !== 429 || attempt === MAX_RETRIES || isGone()) return checked(answer);
    await new Promise((done) => setTimeout(done, 1000 * (Number(answer.headers.get("retry-after")) || 1)));
  }
}
