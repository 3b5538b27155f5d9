// Decodes photos and runs the network beside the page, one photo after the other, so that the page stays awake.

import { decode } from "./decode.js";
import * as ort from "./ort.js";
import { makePredictor } from "./predictor.js";

const MODEL = new URL("../model/", import.meta.url);

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

const network = async (answer) => ort.InferenceSession.create(new Uint8Array(await answer.arrayBuffer()));

async function start(language) {
  ort.env.wasm.wasmPaths = { wasm: new URL("ort.wasm", import.meta.url).href };
  ort.env.wasm.numThreads = self.crossOriginIsolated ? navigator.hardwareConcurrency : 1;
  const model = await load(`model.${language}.json`, (answer) => answer.json());
  const sessions = [];
  for (const { file } of model.networks) sessions.push(await load(file, network));
  return { model, predict: makePredictor(model, sessions, ort.Tensor) };
}

/** The answer to a question of the page: a record, or `unreadable`, or `failed`. */
async function answer(file, { model, predict }) {
  let photo;
  try {
    photo = await decode(file, model.decoded_side);
  } catch {
    return { unreadable: true };
  }
  try {
    return { record: await predict(photo) };
  } catch (error) {
    console.error(error);
    return { failed: true };
  }
}

let last = null; // what was started, once the photos before are answered; undefined if it failed

// The language comes first, then photos, each with an id.
onmessage = ({ data: { language, id, file } }) => {
  if (language) {
    last = start(language).catch((error) => postMessage({ missing: error.file }));
  } else {
    last = last.then(async (started) => {
      if (started) postMessage({ id, ...(await answer(file, started)) });
      return started;
    });
  }
};
