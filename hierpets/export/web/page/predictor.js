// The networks of a bundle, asked in turn: a photo is answered by the first that is sure of it.

import { recommend } from "./advice.js";
import { certainty, decide, jointProbabilities, listedOf } from "./decision.js";
import { recordOf } from "./record.js";
import { normalized, toSquare } from "./resize.js";

/** @typedef {import("./resize.js").Photo} Photo */

/**
 * @typedef {{file: string, preprocess: import("./resize.js").Preprocess,
 *   temperatures: import("./decision.js").Temperatures, threshold: number}} Network
 *   it answers where it is more certain than its `threshold`; the last one always
 * @typedef {{networks: Network[], decoded_side: number, rules: import("./decision.js").Rules,
 *   advice: import("./advice.js").Advice}} Model  model.LANGUAGE.json
 */

const OUTPUTS = ["species", "leaf", "scores"];

/**
 * @param {Model} model
 * @param {any} ort  ONNX Runtime Web
 * @param {(file: string) => Promise<ArrayBuffer>} load
 * @returns {Promise<(photo: Photo) => Promise<object>>} from a photo to its record
 */
export async function makePredictor(model, ort, load) {
  const sessions = [];
  for (const { file } of model.networks) sessions.push(await ort.InferenceSession.create(await load(file)));
  const ask = async (stage, photo) => {
    const { preprocess } = model.networks[stage];
    const images = normalized(toSquare(photo, preprocess), preprocess);
    const shape = [1, 3, preprocess.size, preprocess.size];
    const found = await sessions[stage].run({ images: new ort.Tensor("float32", images, shape) }, OUTPUTS);
    return Object.fromEntries(OUTPUTS.map((name) => [name, found[name].data]));
  };
  return async (photo) => {
    for (let stage = 0; ; stage += 1) {
      const output = await ask(stage, photo);
      const answered = answerOf(output, stage, model);
      if (answered) return answered;
    }
  };
}

/** The record, or null where an early network is not sure. */
export function answerOf(output, stage, /** @type {Model} */ { networks, rules, advice }) {
  const { temperatures, threshold } = networks[stage];
  const joint = jointProbabilities(output, temperatures, rules);
  const isLast = stage === networks.length - 1;
  if (!isLast && certainty(joint, listedOf(output, rules), rules) <= threshold) return null;
  const decision = decide(joint, output, rules);
  return recordOf(decision, rules, { stage, recommendation: recommend(joint, decision, advice) });
}
