// Other animals in a photo, which what suits the pet may harm: hierpets.inference.detector.bystanders.

import { bestOf, isBeside, probability } from "./detections.js";

/** @typedef {{least: number, clearly: number}} Bystanders  see hierpets.export.web.schema */

/** Whether an animal of one of some species may be beside a pet, or in its place and clearly not the pet. @returns {boolean} */
export function isBystander(/** @type {import("./detections.js").Detections} */ seen, pet, species, /** @type {Bystanders} */ { least, clearly }, /** @type {import("./detections.js").Detector} */ detector) {
  const of = (/** @type {number} */ one) => (detector.animals[one] === null ? [] : bestOf(seen, [detector.animals[one]]));
  const ofPet = of(pet);
  const isClear = (logit, row) =>
    probability(logit) >= Math.max(detector.least_score, row in ofPet ? clearly * probability(ofPet[row]) : 0);
  return species.map(of).some((logits) => isBeside(seen, logits, ofPet, detector, least) || logits.some(isClear));
}
