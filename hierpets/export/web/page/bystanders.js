// Search a photo for other animals, which a product for the pet might harm: hierpets.inference.detector.bystanders.

import { bestOf, inside, nonMaximumSuppression, squared } from "./detections.js";

/** @typedef {import("./detections.js").Box} Box */
/** @typedef {import("./detections.js").Detections} Detections */
/** @typedef {import("./detections.js").Detector} Detector */

/**
 * @typedef {{min_score: number, min_probability: number, max_boxes: number, view: [number, number]}} Bystanders
 *   see hierpets.export.web.schema
 */

/** Return the views of a photo that the detector sees: the whole, and two closer ones. @returns {Box[]} */
export function views({ width, height }, /** @type {Bystanders} */ { view: [long, short] }) {
  const parts = width >= height
    ? [0, 1 - long].map((left) => ({ left, top: 1 - short, width: long, height: short }))
    : [0, 1 - long].map((top) => ({ left: (1 - short) / 2, top, width: short, height: long }));
  return [{ left: 0, top: 0, width: 1, height: 1 }, ...parts];
}

/** Merge the detections in several views, in coordinates of the whole photo. @returns {Detections} */
export function merged(/** @type {[Box, Detections][]} */ seen) {
  const toPhoto = ([{ left, top, width, height }, { edges }]) => {
    const [start, size] = [[top, left], [height, width]];
    return [...edges].map((edge, i) => start[i % 2] + size[i % 2] * inside(edge));
  };
  return {
    edges: Float64Array.from(seen.flatMap(toPhoto)),
    logits: Float32Array.from(seen.flatMap(([, { logits }]) => [...logits])),
  };
}

/**
 * Return the parts of a photo that may show an animal of another species than `pet`; the network then classifies them.
 * @returns {Box[]}
 */
export function doubtfulParts(/** @type {Detections} */ seen, pet, { width, height }, /** @type {Bystanders} */ rules, /** @type {Detector} */ detector) {
  const others = detector.animals.filter((animal, species) => animal !== null && species !== pet);
  if (!others.length) return [];
  const boxes = nonMaximumSuppression(seen, bestOf(seen, others), detector, rules.min_score, rules.max_boxes);
  return boxes.map((box) => squared(box, width, height, detector.margin));
}
