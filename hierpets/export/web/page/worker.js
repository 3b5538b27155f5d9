// Decodes photos and runs the network beside the page, one photo after the other, so that the page stays awake.

import { decode } from "./decode.js";
import * as ort from "./ort.js";
import { makePredictor } from "./predictor.js";
import { failedRecord } from "./record.js";

const MODEL = new URL("../model/", import.meta.url);

async function load(file) {
  const answer = await fetch(new URL(file, MODEL)).catch(() => null);
  if (!answer?.ok) throw new Error(`The model cannot be loaded (${file}).`);
  return answer;
}

async function start() {
  ort.env.wasm.wasmPaths = { wasm: new URL("ort.wasm", import.meta.url).href };
  ort.env.wasm.numThreads = self.crossOriginIsolated ? navigator.hardwareConcurrency : 1;
  const model = await (await load("model.json")).json();
  const predict = await makePredictor(model, ort, async (file) => new Uint8Array(await (await load(file)).arrayBuffer()));
  return { model, predict };
}

async function recordOf(file, { model, predict }) {
  let photo;
  try {
    photo = await decode(file, model.decoded_side);
  } catch {
    return failedRecord("this file is damaged, or no image that this browser can show");
  }
  return predict(photo);
}

const started = start();
let last = started;
started.then(() => postMessage({ ready: true }), (error) => postMessage({ ready: false, message: error.message }));

onmessage = ({ data: { id, file } }) => {
  last = last.catch(() => {}).then(async () => {
    try {
      postMessage({ id, record: await recordOf(file, await started) });
    } catch (error) {
      postMessage({ id, message: error.message });
    }
  });
};
