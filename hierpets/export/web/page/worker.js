// Decodes photos and runs the network beside the page, one photo after the other, so that the page stays awake.

import { decode } from "./decode.js";
import * as ort from "./ort.js";
import { makePredictor } from "./predictor.js";

const MODEL = new URL("../model/", import.meta.url);

async function load(file) {
  const answer = await fetch(new URL(file, MODEL), { cache: file.endsWith(".json") ? "no-cache" : "default" }).catch(() => null);
  if (!answer?.ok) throw Object.assign(new Error(`${file} cannot be loaded`), { file });
  return answer;
}

async function start(language) {
  ort.env.wasm.wasmPaths = { wasm: new URL("ort.wasm", import.meta.url).href };
  ort.env.wasm.numThreads = self.crossOriginIsolated ? navigator.hardwareConcurrency : 1;
  const model = await (await load(`model.${language}.json`)).json();
  const predict = await makePredictor(model, ort, async (file) => new Uint8Array(await (await load(file)).arrayBuffer()));
  return { model, predict };
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
    last = start(language).catch((error) => postMessage({ missing: error.file ?? "ort.wasm" }));
  } else {
    last = last.then(async (started) => {
      if (started) postMessage({ id, ...(await answer(file, started)) });
      return started;
    });
  }
};
