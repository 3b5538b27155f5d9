// A second look at photos that leave doubt: hierpets.inference.detector.second_look. A detector says where the animal
// is, and whether it is a pet; a small animal is cut out, and the main network asked again. The numbers come from Python.

import { certainty, jointProbabilities, likeliestSpecies, listedOf } from "./decision.js";
import { area, bestOf, isBeside, likeliest, squared } from "./detections.js";

/** @typedef {import("./decision.js").Output} Output */
/** @typedef {import("./detections.js").Detections} Detections */
/** @typedef {import("./detections.js").Detector} Detector */
/** @typedef {import("./detections.js").Box} Box */

/**
 * @typedef {{pets: number[], others: number[]}} Opinion  the animals that speak for a pet, and against one
 * @typedef {{animal: number, weights: number[], bias: number}} Animal  how much a photo looks like it
 * @typedef {{pets: number[], opinions: Opinion[], animals: Animal[],
 *   least: number, heard_below: number, like: number, alike: number, lead: number, unseen: number, weight: number,
 *   closer: boolean, large: number}} SecondLook
 *   see hierpets.export.web.schema
 */

/** How probable the best breed is, other breeds considered, of a photo that leaves doubt whether it shows a pet; else 1. @returns {number} */
export function certaintyInDoubt(/** @type {Output} */ output, temperatures, rules, /** @type {SecondLook} */ { least }) {
  if (Math.abs(output.scores[0] - least) >= rules.doubt) return 1;
  const joint = jointProbabilities(output, temperatures, rules);
  return certainty(joint, listedOf(output, rules), rules, ({ breed }) => breed !== null);
}

/** What both looks say together: the mean; null where one of them takes the photo for a grown species, and both together do not. @returns {Output|null} */
export function bothLooks(/** @type {Output} */ first, /** @type {Output} */ second, temperatures, rules) {
  const both = { features: first.features, species: mean(first.species, second.species), leaf: mean(first.leaf, second.leaf), scores: mean(first.scores, second.scores) };
  const isGrown = (output) => rules.species[likeliestSpecies(jointProbabilities(output, temperatures, rules), rules)].grown;
  return (isGrown(first) || isGrown(second)) && !isGrown(both) ? null : both;
}

const mean = (ours, theirs) => ours.map((value, i) => (value + theirs[i]) / 2);

/** The part that is worth a closer look, if the likeliest pet is small. @returns {Box|null} */
export function closerPart(/** @type {Detections} */ seen, { width, height }, /** @type {SecondLook} */ rule, /** @type {Detector} */ detector) {
  const [box] = likeliest(seen, bestOf(seen, rule.pets), detector);
  return box && area(box) < rule.large ? squared(box, width, height, detector.margin) : null;
}

/** Whether it matters which animal the detector sees. @returns {boolean} */
export function mayObject(/** @type {Opinion} */ { others }, /** @type {number} */ likeness, /** @type {SecondLook} */ { like }) {
  return others.length > 0 && likeness >= like;
}

/** How much a photo looks like an animal that speaks against a pet: as much as it takes to be heard, where the pretrained head does not say. @returns {number} */
export function likenessTo(/** @type {Opinion} */ { others }, /** @type {Output} */ { features }, /** @type {SecondLook} */ { animals, like }) {
  const known = animals.filter(({ animal }) => others.includes(animal));
  const sum = ({ weights, bias }) => weights.reduce((total, weight, i) => total + weight * features[i], bias);
  return known.length ? Math.max(...known.map(sum)) : like;
}

/** The output with its pet score lowered by as much as another animal speaks against a pet; below the least score of a pet, below that of a sure breed as well. @returns {Output} */
export function lowered(/** @type {Output} */ output, /** @type {Detections} */ seen, /** @type {Opinion} */ opinion, doubt, /** @type {SecondLook} */ rule, /** @type {Detector} */ detector) {
  const likeness = likenessTo(opinion, output, rule);
  if (!mayObject(opinion, likeness, rule)) return output;
  const [pet, other] = [opinion.pets, opinion.others].map((animals) => bestOf(seen, animals));
  if (isBeside(seen, pet, other, detector)) return output;
  const led = Math.max(...other) - Math.max(Math.max(...pet) - rule.lead, rule.unseen);
  const objection = Math.max(0, led) + Math.max(0, likeness - rule.alike);
  const [before, ...rest] = output.scores;
  const score = before - rule.weight * objection;
  return { ...output, scores: Float32Array.of(objection > 0 && score < rule.least ? score - doubt : score, ...rest) };
}
