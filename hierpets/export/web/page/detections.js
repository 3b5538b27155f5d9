// Select boxes of a detector, as hierpets.inference.detector and hierpets.regions.detections do. model.LANGUAGE.json
// has the thresholds.

/**
 * @typedef {{left: number, top: number, width: number, height: number}} Box  as shares of the photo
 * @typedef {{edges: Float32Array|Float64Array, logits: Float32Array}} Detections
 *   boxes that may show animals: their edges [N, 4] (top, left, bottom, right), and the logits [N, A] of each animal
 * @typedef {{file: string, size: number, animals: (number|null)[], min_score: number, min_side: number,
 *   max_overlap: number, margin: number}} Detector  see hierpets.export.web.schema
 */

/** Return the largest logit of these animals in each box, [N]. @returns {number[]} */
export function bestOf(/** @type {Detections} */ { edges, logits }, /** @type {number[]} */ animals) {
  const rows = edges.length / 4;
  const columns = logits.length / rows;
  return Array.from({ length: rows }, (_, row) => Math.max(...animals.map((animal) => logits[row * columns + animal])));
}

const probability = (/** @type {number} */ logit) => 1 / (1 + Math.exp(-logit));

/**
 * Return the boxes with a probability of at least `minScore` and enough size, the likeliest first.
 * @returns {number[][]} top, left, bottom, right edge of each
 */
export function likeliest({ edges }, logits, /** @type {Detector} */ detector, minScore = detector.min_score) {
  const scores = logits.map(probability);
  const rows = [...scores.keys()].filter((row) => scores[row] >= minScore).sort((a, b) => scores[b] - scores[a]);
  const boxes = rows.map((row) => [...edges.subarray(4 * row, 4 * row + 4)].map(inside));
  return boxes.filter(([top, left, bottom, right]) => Math.min(right - left, bottom - top) >= detector.min_side);
}

/**
 * Non-maximum suppression: return at most `maxBoxes` boxes, the likeliest first, of which no two overlap much.
 * @returns {number[][]}
 */
export function nonMaximumSuppression(/** @type {Detections} */ seen, logits, /** @type {Detector} */ detector, minScore, maxBoxes) {
  const found = [];
  for (const box of likeliest(seen, logits, detector, minScore)) {
    if (found.length === maxBoxes) break;
    if (found.every((other) => overlap(box, other) <= detector.max_overlap)) found.push(box);
  }
  return found;
}

/**
 * Return whether a box that may show an animal by `logits` [N] hardly overlaps with the likeliest box by the logits
 * `others` [N]; false if no box may show an animal by `others`.
 * @returns {boolean}
 */
export function isBeside(/** @type {Detections} */ seen, logits, others, /** @type {Detector} */ detector) {
  const [other] = likeliest(seen, others, detector);
  return other !== undefined && likeliest(seen, logits, detector).some((box) => overlap(box, other) <= detector.max_overlap);
}

/** Return a box with a margin, made as square as the photo allows. @returns {Box} */
export function squared([top, left, bottom, right], width, height, margin) {
  const side = (1 + 2 * margin) * Math.max((right - left) * width, (bottom - top) * height);
  const [across, down] = [side / width / 2, side / height / 2];
  const [x, y] = [(left + right) / 2, (top + bottom) / 2];
  const [x0, y0, x1, y1] = [x - across, y - down, x + across, y + down].map(inside);
  return { left: x0, top: y0, width: x1 - x0, height: y1 - y0 };
}

/** Return the area of a box, as a share of the photo. */
export const area = ([top, left, bottom, right]) => (right - left) * (bottom - top);

/** Clip an edge to the photo. */
export const inside = (edge) => Math.min(Math.max(edge, 0), 1);

/** Return the share of the smaller of two boxes that lies in the other. @returns {number} */
function overlap(one, other) {
  const [top, left, bottom, right] = one.map((edge, i) => (i < 2 ? Math.max : Math.min)(edge, other[i]));
  return (Math.max(right - left, 0) * Math.max(bottom - top, 0)) / Math.min(area(one), area(other));
}
