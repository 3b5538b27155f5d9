// Predict photos with the networks of a bundle, as hierpets.inference does: run them in turn until one is certain
// enough, take a second look at doubtful photos, decide and recommend.

import { recommend } from "./advice.js";
import { doubtfulParts, merged, views } from "./bystanders.js";
import {
  certainty, decide, jointProbabilities, listedOf, mostProbableSpecies, onMainScale, speciesProbabilities,
} from "./decision.js";
import { recordOf } from "./record.js";
import { cut, normalized, stretched, toSquare } from "./resize.js";
import { bothLooks, certaintyInDoubt, closerPart, likenessTo, lowered, mayObject } from "./second_look.js";

/** @typedef {import("./resize.js").Photo} Photo */
/** @typedef {import("./decision.js").Output} Output */

/**
 * @typedef {{file: string, preprocess: import("./resize.js").Preprocess,
 *   temperatures: import("./decision.js").Temperatures, threshold: number}} Network
 *   an early network answers if it is more certain than its `threshold`; the last one always answers
 * @typedef {{networks: Network[], decoded_side: number, detail: number, rules: import("./decision.js").Rules,
 *   detector: import("./detections.js").Detector|null, second_look: import("./second_look.js").SecondLook|null,
 *   bystanders: import("./bystanders.js").Bystanders,
 *   advice: import("./advice.js").Advice}} Model  model.LANGUAGE.json
 */

const OUTPUTS = ["features", "species", "leaf", "scores"];
const DETECTED = ["edges", "logits"];

/**
 * Return the function that predicts photos.
 * @param {Model} model
 * @param {any[]} sessions  ONNX Runtime Web's, one for each network
 * @param {() => Promise<any>} openDetector  returns the detector's session
 * @param {any} Tensor  ONNX Runtime Web's class
 * @returns {(photo: Photo, readAgain: () => Promise<Photo>) => Promise<object>} maps a photo to its record; `readAgain`
 *   decodes the same photo in more detail
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
  const opinionOn = (output) =>
    rule.opinions[mostProbableSpecies(jointProbabilities(output, temperatures, rules), rules)];
  const lookAgain = async (output, mayCut, readAgain) => {
    const photo = await readAgain().catch(() => null);
    if (!photo) return { output, part: null }; // too large in more detail, or gone: the output of the first look stays
    const seen = await detect(photo);
    const part = mayCut ? closerPart(seen, photo, rule, detector) : null;
    const both = part && bothLooks(output, await ask(last, cut(photo, part)), temperatures, rules);
    const found = both ?? output;
    const isHeard = certaintyOf(found) < rule.max_certainty;
    return { output: isHeard ? lowered(found, seen, opinionOn(found), rules.pet_score_band, rule, detector) : found, part: both && part };
  };
  const mayObjectTo = (output) => {
    const opinion = opinionOn(output);
    return mayObject(opinion, likenessTo(opinion, output, rule), rule);
  };
  const secondLook = async (output, readAgain) => {
    const certainty = rule ? certaintyOf(output) : 1;
    const isUnsure = certainty < rules.sure_breed;
    const mayCut = isUnsure && rule.closer;
    // An objection only lowers the pet score: it is pointless for an unsure photo that is already below the threshold.
    const isHeard = () =>
      certainty < rule.max_certainty && (!isUnsure || output.scores[0] >= rule.pet_threshold) && mayObjectTo(output);
    return rule && (mayCut || isHeard()) ? lookAgain(output, mayCut, readAgain) : { output, part: null };
  };

  const isOtherBeside = async (pet, harmed, photo) => {
    const seen = [];
    for (const view of views(photo, bystanders)) seen.push([view, await detect(cut(photo, view))]);
    for (const part of doubtfulParts(merged(seen), pet, photo, bystanders, detector)) {
      const joint = jointProbabilities(await ask(last, cut(photo, part)), temperatures, rules);
      const masses = speciesProbabilities(joint, rules);
      if (harmed.some((species) => masses[species] >= bystanders.min_probability)) return true;
    }
    return false;
  };

  return async (photo, readAgain) => {
    const first = await askInTurn(photo);
    const isMain = first.stage === last;
    const { output, part } = isMain ? await secondLook(first.output, readAgain) : { ...first, part: null };
    const joint = jointProbabilities(output, temperatures, rules);
    const decision = decide(joint, output, rules);
    const search = async (pet, harmed) =>
      detector !== null && isOtherBeside(pet, harmed, await readAgain().catch(() => photo));
    const recommendation = await recommend(joint, decision, advice, search);
    return recordOf(decision, rules, { stage: first.stage, recommendation, part });
  };
}

async function run(session, inputs, names) {
  const found = await session.run(inputs, names);
  return Object.fromEntries(names.map((name) => [name, found[name].data]));
}

/** Return whether an early network is certain enough to answer. @returns {boolean} */
function isSure(/** @type {Output} */ output, /** @type {Network} */ { temperatures, threshold }, rules) {
  const joint = jointProbabilities(output, temperatures, rules);
  return certainty(joint, listedOf(output, rules), rules, ({ origin }) => origin !== "pretrained") > threshold;
}
