// The networks of a bundle, asked in turn: a photo is answered by the first that is sure of it; one that leaves doubt
// is looked at again.

import { recommend } from "./advice.js";
import { doubtfulParts, together, views } from "./bystanders.js";
import { certainty, decide, jointProbabilities, likeliestSpecies, listedOf, onMainScale, speciesProbabilities } from "./decision.js";
import { recordOf } from "./record.js";
import { cut, normalized, stretched, toSquare } from "./resize.js";
import { bothLooks, certaintyInDoubt, closerPart, likenessTo, lowered, mayObject } from "./second_look.js";

/** @typedef {import("./resize.js").Photo} Photo */
/** @typedef {import("./decision.js").Output} Output */

/**
 * @typedef {{file: string, preprocess: import("./resize.js").Preprocess,
 *   temperatures: import("./decision.js").Temperatures, threshold: number}} Network
 *   it answers where it is more certain than its `threshold`; the last one always
 * @typedef {{networks: Network[], decoded_side: number, detail: number, rules: import("./decision.js").Rules,
 *   detector: import("./detections.js").Detector|null, second_look: import("./second_look.js").SecondLook|null,
 *   bystanders: import("./bystanders.js").Bystanders,
 *   advice: import("./advice.js").Advice}} Model  model.LANGUAGE.json
 */

const OUTPUTS = ["features", "species", "leaf", "scores"];
const DETECTED = ["edges", "logits"];

/**
 * @param {Model} model
 * @param {any[]} sessions  of ONNX Runtime Web, one for each network
 * @param {() => Promise<any>} openDetector  gives the detector's session
 * @param {any} Tensor  of ONNX Runtime Web
 * @returns {(photo: Photo, closer: () => Promise<Photo>) => Promise<object>} from a photo to its record; `closer` gives
 *   the same photo in more detail
 */
export function makePredictor(model, sessions, openDetector, Tensor) {
  const { networks, rules, advice, detector, second_look: rule, bystanders } = model;
  const last = networks.length - 1;
  const { temperatures } = networks[last];

  const ask = async (stage, photo) => {
    const { preprocess } = networks[stage];
    const images = normalized(toSquare(photo, preprocess), preprocess);
    const shape = [1, 3, preprocess.size, preprocess.size];
    return run(sessions[stage], { images: new Tensor("float32", images, shape) }, OUTPUTS);
  };
  const askInTurn = async (photo) => {
    for (let stage = 0; ; stage += 1) {
      const output = await ask(stage, photo);
      if (stage === last || isSure(output, networks[stage], rules)) {
        return { stage, output: onMainScale(output, networks[stage].temperatures, temperatures, rules) };
      }
    }
  };
  const detect = async (photo) => {
    const { size } = detector;
    const squares = new Tensor("uint8", new Uint8Array(stretched(photo, size)), [1, size, size, 3]);
    return run(await openDetector(), { squares }, DETECTED);
  };
  const certaintyOf = (output) => certaintyInDoubt(output, temperatures, rules, rule);
  const opinionOn = (output) => rule.opinions[likeliestSpecies(jointProbabilities(output, temperatures, rules), rules)];
  const lookAgain = async (output, cutsOut, closer) => {
    const photo = await closer().catch(() => null);
    if (!photo) return { output, part: null }; // too large in more detail, or gone: the first look stands
    const seen = await detect(photo);
    const part = cutsOut ? closerPart(seen, photo, rule, detector) : null;
    const both = part && bothLooks(output, await ask(last, cut(photo, part)), temperatures, rules);
    const found = both ?? output;
    const isHeard = certaintyOf(found) < rule.heard_below;
    return { output: isHeard ? lowered(found, seen, opinionOn(found), rules.doubt, rule, detector) : found, part: both && part };
  };
  const mayBeOther = (output) => {
    const opinion = opinionOn(output);
    return mayObject(opinion, likenessTo(opinion, output, rule), rule);
  };
  const secondLook = async (output, closer) => {
    const certainty = rule ? certaintyOf(output) : 1;
    const isUnsure = certainty < rules.unsure;
    const cutsOut = isUnsure && rule.closer;
    // What counts for no pet can only be raised, by a closer look.
    const isHeard = () => certainty < rule.heard_below && (!isUnsure || output.scores[0] >= rule.least) && mayBeOther(output);
    return rule && (cutsOut || isHeard()) ? lookAgain(output, cutsOut, closer) : { output, part: null };
  };

  const isBeside = async (pet, harmed, photo) => {
    const seen = [];
    for (const view of views(photo, bystanders)) seen.push([view, await detect(cut(photo, view))]);
    for (const part of doubtfulParts(together(seen), pet, photo, bystanders, detector)) {
      const joint = jointProbabilities(await ask(last, cut(photo, part)), temperatures, rules);
      const masses = speciesProbabilities(joint, rules);
      if (harmed.some((species) => masses[species] >= bystanders.least_shown)) return true;
    }
    return false;
  };

  return async (photo, closer) => {
    const first = await askInTurn(photo);
    const { output, part } = first.stage === last ? await secondLook(first.output, closer) : { ...first, part: null };
    const joint = jointProbabilities(output, temperatures, rules);
    const decision = decide(joint, output, rules);
    const look = async (pet, harmed) => detector !== null && isBeside(pet, harmed, await closer().catch(() => photo));
    const recommendation = await recommend(joint, decision, advice, look);
    return recordOf(decision, rules, { stage: first.stage, recommendation, part });
  };
}

async function run(session, inputs, names) {
  const found = await session.run(inputs, names);
  return Object.fromEntries(names.map((name) => [name, found[name].data]));
}

/** Whether an early network answers. @returns {boolean} */
function isSure(/** @type {Output} */ output, /** @type {Network} */ { temperatures, threshold }, rules) {
  const joint = jointProbabilities(output, temperatures, rules);
  return certainty(joint, listedOf(output, rules), rules, ({ origin }) => origin !== "pretrained") > threshold;
}
