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
 * @param {any[]} sessions  of ONNX Runtime Web, one for each network
 * @param {any} Tensor  of ONNX Runtime Web
 * @returns {(photo: Photo) => Promise<object>} from a photo to its record
 */
export function makePredictor(model, sessions, Tensor) {
  const ask = async (stage, photo) => {
    const { preprocess } = model.networks[stage];
    const images = normalized(toSquare(photo, preprocess), preprocess);
    const shape = [1, 3, preprocess.size, preprocess.size];
    const found = await sessions[stage].run({ images: new Tensor("float32", images, shape) }, OUTPUTS);
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
