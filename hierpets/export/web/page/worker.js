// A worker that decodes photos and runs the networks, one photo at a time, so that the page stays responsive.

import { decode } from "./decode.js";
import * as ort from "./ort.js";
import { makePredictor } from "./predictor.js";

const MODEL = new URL("../../model/", import.meta.url);
const SCRIPTS = new URL(".", import.meta.url).pathname.split("/").at(-2); // the name of their folder, a digest of them

// The page receives this as an `error` event of the worker.
if (typeof OffscreenCanvas === "undefined") throw new Error("this browser is too old");

/** Fetch a file and return what `read` makes of it. An error has the name of the `file` that is missing or damaged. */
async function load(file, read) {
  try {
    const response = await fetch(new URL(file, MODEL), { cache: file.endsWith(".json") ? "no-cache" : "default" });
    if (!response.ok) throw new Error(`status ${response.status}`);
    return await read(response);
  } catch (error) {
    // ONNX Runtime Web loads its own file with the first network.
    const isRuntime = error.message.startsWith("no available backend");
    throw Object.assign(error, { file: isRuntime ? "ort.wasm" : file });
  }
}

const bytes = async (response) => new Uint8Array(await response.arrayBuffer());
const network = async (response) => ort.InferenceSession.create(await bytes(response));

/**
 * Load the detector's file; return a function that returns its session. The first call creates that: few photos need
 * it.
 */
async function loadDetector({ file }) {
  const content = await load(file, bytes);
  let session = null;
  return () => {
    session ??= ort.InferenceSession.create(content).catch((error) => { throw Object.assign(error, { file }); });
    return session;
  };
}

const modelFile = (language) => `model.${language}.json`;

async function start(language) {
  ort.env.wasm.wasmPaths = { wasm: new URL("ort.wasm", import.meta.url).href };
  ort.env.wasm.numThreads = self.crossOriginIsolated ? navigator.hardwareConcurrency : 1;
  const model = await load(modelFile(language), (response) => response.json());
  // A browser may cache the scripts for long, but always revalidates this file.
  if (model.scripts && model.scripts !== SCRIPTS) throw Object.assign(new Error("other scripts"), { isChanged: true });
  const sessions = [];
  for (const { file } of model.networks) sessions.push(await load(file, network));
  const detector = model.detector && (await loadDetector(model.detector));
  return { model, predict: makePredictor(model, sessions, detector, ort.Tensor) };
}

/** Return the message that answers a photo: its `record`, `unreadable`, `failed`, or the file that is `missing`. */
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

/**
 * Return the message that says why the worker cannot start: the page has `changed`, or a file is `missing` or damaged.
 */
const startFailure = (error, language) =>
  error.isChanged ? { changed: true } : { missing: error.file ?? modelFile(language) };

// Resolves once all photos before are answered: to the result of `start`, or to undefined if that failed.
let queue = null;

// The first message is the language, the others are photos with an id.
onmessage = ({ data: { language, id, file } }) => {
  if (language) {
    queue = start(language).catch((error) => postMessage(startFailure(error, language)));
  } else {
    queue = queue.then(async (started) => {
      if (started) postMessage({ id, ...(await answer(file, started)) });
      return started;
    });
  }
};
