// From a network's output to a decision: hierpets.hierarchy, for one photo. The numbers come from Python.

/**
 * @typedef {{features: Float32Array, species: Float32Array, leaf: Float32Array, scores: Float32Array}} Output
 *   the network's own features [D], species logits [S], leaf logits [L], and the scores [1 + S]: as a pet; for each
 *   species, that its breed is listed
 * @typedef {{species: number, breeds: number[]}} Temperatures  of the species head, and of the breed heads [S]
 * @typedef {{probability: number, breed_set: number, pet: number|null}} Thresholds
 * @typedef {{name: string, first: number, end: number, thresholds: Thresholds, others: boolean, grown: boolean}} Species
 *   leaves `first` to `end` - 1; whether it is known what other breeds look like, and whether none was trained
 * @typedef {{species: number, breed: string|null, origin: string, grown: number}} Leaf
 * @typedef {{species: Species[], leaves: Leaf[], combiner: string, ood: boolean, doubt: number, unsure: number, max_set: number, top_k: number}} Rules
 */

const { fround } = Math;

/** The probability of every leaf, float64 [L]. @returns {Float64Array} */
export function jointProbabilities(/** @type {Output} */ output, /** @type {Temperatures} */ temperatures, /** @type {Rules} */ rules) {
  const ofSpecies = Float64Array.from(output.species, (logit) => fround(logit / fround(temperatures.species)));
  const ofLeaf = Float64Array.from(output.leaf, (logit, i) => logit / temperatures.breeds[rules.leaves[i].species]);
  if (rules.combiner === "flat") return logSoftmax(ofLeaf).map(Math.exp);
  if (rules.combiner === "shared_softmax") {
    return logSoftmax(ofLeaf.map((logit, i) => logit + ofSpecies[rules.leaves[i].species])).map(Math.exp);
  }
  const joint = new Float64Array(ofLeaf.length);
  const species = logSoftmax(ofSpecies);
  rules.species.forEach(({ first, end }, s) => {
    joint.set(logSoftmax(ofLeaf.subarray(first, end)).map((log) => Math.exp(log + species[s])), first);
  });
  return joint;
}

function logSoftmax(/** @type {Float64Array} */ logits) {
  const largest = Math.max(...logits);
  const shift = Math.log(sum(logits.map((logit) => Math.exp(logit - largest))));
  return logits.map((logit) => logit - largest - shift);
}

/** Logits of an early network as those of the main one, whose temperatures then calibrate them. @returns {Output} */
export function onMainScale(/** @type {Output} */ output, /** @type {Temperatures} */ own, /** @type {Temperatures} */ main, /** @type {Rules} */ { leaves }) {
  const breeds = main.breeds.map((temperature, s) => temperature / own.breeds[s]);
  return {
    ...output,
    species: output.species.map((logit) => (logit * main.species) / own.species),
    leaf: output.leaf.map((logit, i) => logit * breeds[leaves[i].species]),
  };
}

/** The same, other breeds than those listed considered. @returns {Float64Array} */
function namedProbabilities(joint, /** @type {number[]} */ listed, /** @type {Rules} */ { leaves }) {
  return joint.map((p, i) => (leaves[i].breed === null ? p : p * listed[leaves[i].species]));
}

/** The probability that each species' breed is listed. @returns {number[]} */
export const listedOf = (/** @type {Output} */ output, /** @type {Rules} */ { ood, species }) =>
  species.map((_, s) => (ood ? output.scores[1 + s] : 1));

/** How certain the best leaf is: its probability, 0 if it is none that counts. @returns {number} */
export function certainty(joint, listed, /** @type {Rules} */ rules, counts) {
  const named = namedProbabilities(joint, listed, rules);
  const best = placeOfLargest(named);
  return counts(rules.leaves[best]) ? named[best] : 0;
}

/** The probability of every species [S]. @returns {number[]} */
export const speciesProbabilities = (joint, /** @type {Rules} */ { species }) =>
  species.map(({ first, end }) => atMostOne(sum(joint.subarray(first, end))));

/** The place of the most probable species. @returns {number} */
export const likeliestSpecies = (joint, /** @type {Rules} */ rules) => placeOfLargest(speciesProbabilities(joint, rules));

/**
 * @typedef {{level: "breed"|"species"|"unknown", source: string, species: number, best: number, breeds: number[],
 *   top: number[], masses: number[], named: Float64Array, listed: number, pet: number|null}} Decision
 *   `species`, `best`, `breeds` and `top` are places in the rules' species and leaves, `masses` [S] and `named` [L] the
 *   probabilities of all; `listed` is that of the best species' breed to be a listed one
 */

/** The first answer from breed upwards that is probable enough. @returns {Decision} */
export function decide(joint, /** @type {Output} */ output, /** @type {Rules} */ rules) {
  const listed = listedOf(output, rules);
  const named = namedProbabilities(joint, listed, rules);
  const masses = speciesProbabilities(joint, rules);
  const s = placeOfLargest(masses);
  const { first, end, thresholds } = rules.species[s];
  const order = [...named.keys()].sort((a, b) => named[b] - named[a] || joint[b] - joint[a]);
  const inside = joint.subarray(first, end);
  const view = {
    winner: order[0],
    named,
    rivals: named.subarray(first, end),
    s,
    mass: masses[s],
    pet: rules.ood ? output.scores[0] : null,
    thresholds,
  };
  return {
    ...backOff(view, rules),
    species: s,
    best: first + placeOfLargest(inside),
    top: order.slice(0, rules.top_k),
    masses,
    named: named.map(atMostOne),
    listed: listed[s],
    pet: view.pet,
  };
}

/** @returns {{level: string, source: string, breeds: number[]}} */
function backOff(view, rules) {
  const { winner, named, mass, pet, thresholds: t, s } = view;
  const { breed, species, grown } = rules.leaves[winner];
  const isSure = breed !== null && rules.species[species].others && named[winner] >= rules.unsure;
  if (pet !== null && t.pet !== null && pet < t.pet - (isSure ? rules.doubt : 0)) return answer("unknown", "not_a_known_pet");
  const hasBreeds = rules.leaves[rules.species[s].first].breed !== null;
  const enough = grown < 1 && species === s && atMostOne(named[winner]) > Math.max(t.probability, grown);
  if (hasBreeds && enough) return answer("breed", "breed");
  if (mass <= t.probability) return answer("unknown", "unknown");
  const breeds = grown >= 1 ? null : breedSet(view, rules);
  if (breeds) return answer("species", "breed_set", breeds);
  return answer("species", hasBreeds ? "rolled_up_to_species" : "species");
}

const answer = (level, source, breeds = []) => ({ level, source, breeds });

/** The smallest set of the species' most probable breeds that is probable enough, if any is. @returns {number[]|null} */
function breedSet({ rivals, thresholds, s }, { species, max_set: largest }) {
  const order = [...rivals.keys()].sort((a, b) => rivals[b] - rivals[a]);
  let together = rivals[order[0]];
  for (let size = 2; size <= Math.min(largest, rivals.length - 1); size += 1) {
    together += rivals[order[size - 1]];
    if (atMostOne(together) > thresholds.breed_set) return order.slice(0, size).map((i) => i + species[s].first);
  }
  return null;
}

const placeOfLargest = (numbers) => numbers.indexOf(Math.max(...numbers));
const atMostOne = (p) => Math.min(1, p);
const sum = (numbers) => numbers.reduce((total, one) => total + one, 0);
