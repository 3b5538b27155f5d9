// A second look at photos that leave doubt: hierpets.inference.detector. A detector says where the animal is, whether it
// is a pet, and whether another is beside it; a small animal is cut out, and the main network asked again. The numbers
// come from Python.

import { certainty, jointProbabilities, likeliestSpecies, listedOf } from "./decision.js";

/** @typedef {import("./decision.js").Output} Output */
/** @typedef {{left: number, top: number, width: number, height: number}} Box  as shares of the photo */

/**
 * @typedef {{edges: Float32Array, logits: Float32Array}} Detections
 *   the upper, left, lower and right edges [N, 4] of what may be animals, and the logits [N, A] of each kind
 * @typedef {{pets: number[], others: number[]}} Opinion  the animals that speak for a pet, and against one
 * @typedef {{animal: number, weights: number[], bias: number}} Animal  how much a photo looks like it
 * @typedef {{file: string, size: number, detail: number, pets: number[], opinions: Opinion[], animals: Animal[],
 *   least: number, heard_below: number, like: number, alike: number, lead: number, unseen: number, weight: number,
 *   closer: boolean, least_score: number, least_side: number, large: number, margin: number, shared: number}} SecondLook
 *   see hierpets.export.web.schema
 * @typedef {{animals: (number|null)[], least: number}} Bystanders
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
export function closerPart(/** @type {Detections} */ { edges, logits }, { width, height }, /** @type {SecondLook} */ rule) {
  const [box] = likeliest(edges, bestOf(logits, rule.pets, edges.length / 4), rule.least_score, rule);
  return box && area(box) < rule.large ? squared(box, width, height, rule.margin) : null;
}

/** The boxes that may be animals by their logits, the likeliest first: upper, left, lower and right edge of each. @returns {number[][]} */
function likeliest(edges, logits, least, rule) {
  const scores = logits.map((logit) => 1 / (1 + Math.exp(-logit)));
  const rows = [...scores.keys()].filter((row) => scores[row] >= least).sort((a, b) => scores[b] - scores[a]);
  const boxes = rows.map((row) => [...edges.subarray(4 * row, 4 * row + 4)].map(inside));
  return boxes.filter(([top, left, bottom, right]) => Math.min(right - left, bottom - top) >= rule.least_side);
}

const area = ([top, left, bottom, right]) => (right - left) * (bottom - top);

/** How much of the smaller of two boxes lies in the other. @returns {number} */
function shared(one, other) {
  const [top, left, bottom, right] = one.map((edge, i) => (i < 2 ? Math.max : Math.min)(edge, other[i]));
  return (Math.max(right - left, 0) * Math.max(bottom - top, 0)) / Math.min(area(one), area(other));
}

/** A box and a margin, as square as the photo allows. @returns {Box} */
function squared([top, left, bottom, right], width, height, margin) {
  const side = (1 + 2 * margin) * Math.max((right - left) * width, (bottom - top) * height);
  const [across, down] = [side / width / 2, side / height / 2];
  const [x, y] = [(left + right) / 2, (top + bottom) / 2];
  const [x0, y0, x1, y1] = [x - across, y - down, x + across, y + down].map(inside);
  return { left: x0, top: y0, width: x1 - x0, height: y1 - y0 };
}

const inside = (edge) => Math.min(Math.max(edge, 0), 1);

/** Whether it matters which animal the detector sees. @returns {boolean} */
export function hears(/** @type {Opinion} */ { others }, /** @type {number} */ likeness, /** @type {SecondLook} */ { like }) {
  return others.length > 0 && likeness >= like;
}

/** How much a photo looks like an animal that speaks against a pet: as much as it takes to be heard, where the pretrained head does not say. @returns {number} */
export function likenessTo(/** @type {Opinion} */ { others }, /** @type {Output} */ { features }, /** @type {SecondLook} */ { animals, like }) {
  const known = animals.filter(({ animal }) => others.includes(animal));
  const sum = ({ weights, bias }) => weights.reduce((total, weight, i) => total + weight * features[i], bias);
  return known.length ? Math.max(...known.map(sum)) : like;
}

/** The output with its pet score lowered by as much as another animal speaks against a pet; below the least score of a pet, below that of a sure breed as well. @returns {Output} */
export function lowered(/** @type {Output} */ output, /** @type {Detections} */ { edges, logits }, /** @type {Opinion} */ opinion, doubt, /** @type {SecondLook} */ rule) {
  const likeness = likenessTo(opinion, output, rule);
  if (!hears(opinion, likeness, rule)) return output;
  const { pets, others } = opinion;
  const [pet, other] = [pets, others].map((animals) => bestOf(logits, animals, edges.length / 4));
  const [otherBox] = likeliest(edges, other, rule.least_score, rule);
  const isBeside = (box) => shared(box, otherBox) <= rule.shared;
  if (otherBox && likeliest(edges, pet, rule.least_score, rule).some(isBeside)) return output;
  const led = Math.max(...other) - Math.max(Math.max(...pet) - rule.lead, rule.unseen);
  const objection = Math.max(0, led) + Math.max(0, likeness - rule.alike);
  const [before, ...rest] = output.scores;
  const score = before - rule.weight * objection;
  return { ...output, scores: Float32Array.of(objection > 0 && score < rule.least ? score - doubt : score, ...rest) };
}

/** Whether an animal of the species at risk may be beside one of a `species`. @returns {boolean} */
export function isBystander(/** @type {Detections} */ { edges, logits }, species, atRisk, /** @type {Bystanders} */ { animals, least }, /** @type {SecondLook} */ rule) {
  const of = (animal) => bestOf(logits, [animal], edges.length / 4);
  const own = animals[species];
  const [ownBox] = own === null ? [] : likeliest(edges, of(own), rule.least_score, rule);
  const isBeside = (box) => !ownBox || shared(box, ownBox) <= rule.shared;
  const others = atRisk.map((other) => animals[other]).filter((animal) => animal !== null);
  return others.some((animal) => likeliest(edges, of(animal), least, rule).some(isBeside));
}

/** The largest logit [N] of some animals in each box. @returns {number[]} */
function bestOf(logits, animals, rows) {
  const columns = logits.length / rows;
  return Array.from({ length: rows }, (_, row) => Math.max(...animals.map((animal) => logits[row * columns + animal])));
}
