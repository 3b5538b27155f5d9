// Decodes photos and runs the network beside the page, one photo after the other, so that the page stays awake.

import { decode } from "./decode.js";
import * as ort from "./ort.js";
import { makePredictor } from "./predictor.js";

const MODEL = new URL("../../model/", import.meta.url);
const SCRIPTS = new URL(".", import.meta.url).pathname.split("/").at(-2); // the digest that their folder is called by

// The page hears it as an error of the worker.
if (typeof OffscreenCanvas === "undefined") throw new Error("this browser is too old");

/** What `read` makes of a file; an error names the file that is not there, or is not what it should be. */
async function load(file, read) {
  try {
    const answer = await fetch(new URL(file, MODEL), { cache: file.endsWith(".json") ? "no-cache" : "default" });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    return await read(answer);
  } catch (error) {
    const isRuntime = error.message.startsWith("no available backend"); // it is loaded with the first network
    throw Object.assign(error, { file: isRuntime ? "ort.wasm" : file });
  }
}

const bytes = async (answer) => new Uint8Array(await answer.arrayBuffer());
const network = async (answer) => ort.InferenceSession.create(await bytes(answer));

/** The detector's session, made when it is first needed: few photos leave doubt. Its file is there by then. */
async function loadDetector({ file }) {
  const content = await load(file, bytes);
  let made = null;
  return () => {
    made ??= ort.InferenceSession.create(content).catch((error) => { throw Object.assign(error, { file }); });
    return made;
  };
}

const describedIn = (language) => `model.${language}.json`;

async function start(language) {
  ort.env.wasm.wasmPaths = { wasm: new URL("ort.wasm", import.meta.url).href };
  ort.env.wasm.numThreads = self.crossOriginIsolated ? navigator.hardwareConcurrency : 1;
  const model = await load(describedIn(language), (answer) => answer.json());
  // A browser may keep scripts for long, and this file it asks for each time.
  if (model.scripts && model.scripts !== SCRIPTS) throw Object.assign(new Error("other scripts"), { isChanged: true });
  const sessions = [];
  for (const { file } of model.networks) sessions.push(await load(file, network));
  const detector = model.detector && (await loadDetector(model.detector));
  return { model, predict: makePredictor(model, sessions, detector, ort.Tensor) };
}

/** The answer to a question of the page: a record, or `unreadable`, or `failed`, or the file that is `missing`. */
async function answer(file, { model, predict }) {
  const read = (detail) => decode(file, detail * model.decoded_side);
  try {
    return { record: await predict(await read(1), () => read(model.detail)) };
  } catch (error) {
    if (error.isUnreadable) return { unreadable: true };
    console.error(error);
    return error.file ? { missing: error.file } : { failed: true };
  }
}

/** Why it cannot start: the page has `changed`, or a file is `missing`, or not what it should be. */
const obstacle = (error, language) =>
  error.isChanged ? { changed: true } : { missing: error.file ?? describedIn(language) };

let last = null; // what was started, once the photos before are answered; undefined if it failed

// The language comes first, then photos, each with an id.
onmessage = ({ data: { language, id, file } }) => {
  if (language) {
    last = start(language).catch((error) => postMessage(obstacle(error, language)));
  } else {
    last = last.then(async (started) => {
      if (started) postMessage({ id, ...(await answer(file, started)) });
      return started;
    });
  }
};
