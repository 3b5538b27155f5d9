// A second look at doubtful photos, as in hierpets.inference.detector.second_look: a detector finds out where the
// animal is, and whether it is a pet; a small animal is cut out, and the main network runs again on that part.
// model.LANGUAGE.json has the thresholds.

import { certainty, jointProbabilities, listedOf, mostProbableSpecies } from "./decision.js";
import { area, bestOf, isBeside, likeliest, squared } from "./detections.js";

/** @typedef {import("./decision.js").Output} Output */
/** @typedef {import("./detections.js").Detections} Detections */
/** @typedef {import("./detections.js").Detector} Detector */
/** @typedef {import("./detections.js").Box} Box */

/**
 * @typedef {{pets: number[], others: number[]}} Opinion  the detector's animals that are evidence for a pet, and
 *   against one
 * @typedef {{animal: number, weights: number[], bias: number}} Animal  how much a photo looks like it: linear in the
 *   features [D]
 * @typedef {{pets: number[], opinions: Opinion[], animals: Animal[], pet_threshold: number, max_certainty: number,
 *   min_likeness: number, sure_likeness: number, min_lead: number, allowed_logit: number, weight: number,
 *   closer: boolean, max_share: number}} SecondLook
 *   see hierpets.export.web.schema
 */

/**
 * Return the probability of the best breed, unlisted breeds considered, of a photo whose pet score is near the
 * threshold of pets; 1 for other photos.
 * @returns {number}
 */
export function certaintyInDoubt(/** @type {Output} */ output, temperatures, rules, /** @type {SecondLook} */ { pet_threshold: threshold }) {
  if (Math.abs(output.scores[0] - threshold) >= rules.pet_score_band) return 1;
  const joint = jointProbabilities(output, temperatures, rules);
  return certainty(joint, listedOf(output, rules), rules, ({ breed }) => breed !== null);
}

/**
 * Return the mean output of both looks; null if one of them predicts a grown species and both together do not.
 * @returns {Output|null}
 */
export function bothLooks(/** @type {Output} */ first, /** @type {Output} */ second, temperatures, rules) {
  const both = { features: first.features, species: mean(first.species, second.species), leaf: mean(first.leaf, second.leaf), scores: mean(first.scores, second.scores) };
  const isGrown = (output) =>
    rules.species[mostProbableSpecies(jointProbabilities(output, temperatures, rules), rules)].grown;
  return (isGrown(first) || isGrown(second)) && !isGrown(both) ? null : both;
}

const mean = (ours, theirs) => ours.map((value, i) => (value + theirs[i]) / 2);

/**
 * Return the part to look at again: a square around the likeliest pet, if that is small; else null.
 * @returns {Box|null}
 */
export function closerPart(/** @type {Detections} */ seen, { width, height }, /** @type {SecondLook} */ rule, /** @type {Detector} */ detector) {
  const [box] = likeliest(seen, bestOf(seen, rule.pets), detector);
  return box && area(box) < rule.max_share ? squared(box, width, height, detector.margin) : null;
}

/** Return whether the detector may object to a photo with this likeness to another animal. @returns {boolean} */
export function mayObject(/** @type {Opinion} */ { others }, /** @type {number} */ likeness, /** @type {SecondLook} */ { min_likeness: minLikeness }) {
  return others.length > 0 && likeness >= minLikeness;
}

/**
 * Return how much a photo looks like an animal that is evidence against a pet. If the pretrained head knows no such
 * animal, it is the least likeness, so that the detector may object.
 * @returns {number}
 */
export function likenessTo(/** @type {Opinion} */ { others }, /** @type {Output} */ { features }, /** @type {SecondLook} */ { animals, min_likeness: minLikeness }) {
  const known = animals.filter(({ animal }) => others.includes(animal));
  const sum = ({ weights, bias }) => weights.reduce((total, weight, i) => total + weight * features[i], bias);
  return known.length ? Math.max(...known.map(sum)) : minLikeness;
}

/**
 * Return the output with its pet score lowered by the objection. A score that falls below the threshold of pets is also
 * lowered by `band`, so that even a sure breed does not pass as a pet.
 * @returns {Output}
 */
export function lowered(/** @type {Output} */ output, /** @type {Detections} */ seen, /** @type {Opinion} */ opinion, band, /** @type {SecondLook} */ rule, /** @type {Detector} */ detector) {
  const likeness = likenessTo(opinion, output, rule);
  if (!mayObject(opinion, likeness, rule)) return output;
  const [pet, other] = [opinion.pets, opinion.others].map((animals) => bestOf(seen, animals));
  if (isBeside(seen, pet, other, detector)) return output;
  const excess = Math.max(...other) - Math.max(Math.max(...pet) - rule.min_lead, rule.allowed_logit);
  const objection = Math.max(0, excess) + Math.max(0, likeness - rule.sure_likeness);
  const [before, ...rest] = output.scores;
  const score = before - rule.weight * objection;
  return { ...output, scores: Float32Array.of(objection > 0 && score < rule.pet_threshold ? score - band : score, ...rest) };
}
