// Decide the answer for one photo from the output of a network, as hierpets.hierarchy does. model.LANGUAGE.json has the
// thresholds.

/**
 * @typedef {{features: Float32Array, species: Float32Array, leaf: Float32Array, scores: Float32Array}} Output
 *   the network's features [D], species logits [S], leaf logits [L], and scores [1 + S]: the pet score and, for each
 *   species, the probability that the breed is listed
 * @typedef {{species: number, breeds: number[]}} Temperatures  of the species head, and of the breed heads [S]
 * @typedef {{probability: number, breed_set: number, pet: number|null}} Thresholds
 * @typedef {{name: string, first: number, end: number, thresholds: Thresholds, others: boolean, grown: boolean}} Species
 *   its leaves are `first` to `end` - 1; `others`: whether the model knows what its unlisted breeds look like; `grown`:
 *   whether none of its leaves was trained
 * @typedef {{species: number, breed: string|null, origin: string, grown: number}} Leaf
 * @typedef {{species: Species[], leaves: Leaf[], combiner: string, ood: boolean, pet_score_band: number, sure_breed: number, max_set: number, top_k: number}} Rules
 */

const { fround } = Math;

/** Return the joint probability of every leaf, float64 [L]. @returns {Float64Array} */
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

/** Rescale the logits of an early network so that the temperatures of the main one calibrate them. @returns {Output} */
export function onMainScale(/** @type {Output} */ output, /** @type {Temperatures} */ own, /** @type {Temperatures} */ main, /** @type {Rules} */ { leaves }) {
  const breeds = main.breeds.map((temperature, s) => temperature / own.breeds[s]);
  return {
    ...output,
    species: output.species.map((logit) => (logit * main.species) / own.species),
    leaf: output.leaf.map((logit, i) => logit * breeds[leaves[i].species]),
  };
}

/** Multiply the probability of each breed by the probability that the breed is listed. @returns {Float64Array} */
function namedProbabilities(joint, /** @type {number[]} */ listed, /** @type {Rules} */ { leaves }) {
  return joint.map((p, i) => (leaves[i].breed === null ? p : p * listed[leaves[i].species]));
}

/** Return for each species the probability that the breed is listed, given that species. @returns {number[]} */
export const listedOf = (/** @type {Output} */ output, /** @type {Rules} */ { ood, species }) =>
  species.map((_, s) => (ood ? output.scores[1 + s] : 1));

/**
 * Return the probability of the best leaf, unlisted breeds considered; 0 if `counts` is false for that leaf.
 * @returns {number}
 */
export function certainty(joint, listed, /** @type {Rules} */ rules, counts) {
  const named = namedProbabilities(joint, listed, rules);
  const best = argmax(named);
  return counts(rules.leaves[best]) ? named[best] : 0;
}

/** Return the probability of every species [S]. @returns {number[]} */
export const speciesProbabilities = (joint, /** @type {Rules} */ { species }) =>
  species.map(({ first, end }) => atMostOne(sum(joint.subarray(first, end))));

/** Return the index of the most probable species. @returns {number} */
export const mostProbableSpecies = (joint, /** @type {Rules} */ rules) => argmax(speciesProbabilities(joint, rules));

/**
 * @typedef {{level: "breed"|"species"|"unknown", source: string, species: number, best: number, breeds: number[],
 *   top: number[], masses: number[], named: Float64Array, listed: number, pet: number|null}} Decision
 *   `species`, `best`, `breeds` and `top` are indices of the rules' species and leaves; `masses` [S] are the species
 *   probabilities, `named` [L] those of the leaves, unlisted breeds considered; `listed` is the probability that the
 *   breed is listed, given the species
 */

/**
 * Decide the finest answer that is probable enough: a breed, a few breeds, the species, or "unknown".
 * @returns {Decision}
 */
export function decide(joint, /** @type {Output} */ output, /** @type {Rules} */ rules) {
  const listed = listedOf(output, rules);
  const named = namedProbabilities(joint, listed, rules);
  const masses = speciesProbabilities(joint, rules);
  const s = argmax(masses);
  const { first, end, thresholds } = rules.species[s];
  const order = [...named.keys()].sort((a, b) => named[b] - named[a] || joint[b] - joint[a]);
  const evidence = {
    winner: order[0],
    named,
    breeds: named.subarray(first, end), // of the most probable species
    s,
    mass: masses[s],
    pet: rules.ood ? output.scores[0] : null,
    thresholds,
  };
  return {
    ...backOff(evidence, rules),
    species: s,
    best: first + argmax(joint.subarray(first, end)),
    top: order.slice(0, rules.top_k),
    masses,
    named: named.map(atMostOne),
    listed: listed[s],
    pet: evidence.pet,
  };
}

/**
 * Back off from the breed until an answer is probable enough.
 * @returns {{level: string, source: string, breeds: number[]}}
 */
function backOff(evidence, rules) {
  const { winner, named, mass, pet, thresholds: t, s } = evidence;
  const { breed, species, grown } = rules.leaves[winner];
  const isSure = breed !== null && rules.species[species].others && named[winner] >= rules.sure_breed;
  if (pet !== null && t.pet !== null && pet < t.pet - (isSure ? rules.pet_score_band : 0)) return answer("unknown", "not_a_known_pet");
  const hasBreeds = rules.leaves[rules.species[s].first].breed !== null;
  const isCertain = grown < 1 && species === s && atMostOne(named[winner]) > Math.max(t.probability, grown);
  if (hasBreeds && isCertain) return answer("breed", "breed");
  if (mass <= t.probability) return answer("unknown", "unknown");
  const set = grown >= 1 ? null : breedSet(evidence, rules);
  if (set) return answer("species", "breed_set", set);
  return answer("species", hasBreeds ? "rolled_up_to_species" : "species");
}

const answer = (level, source, breeds = []) => ({ level, source, breeds });

/**
 * Return the smallest set of the species' most probable breeds that is probable enough; null if none is.
 * @returns {number[]|null}
 */
function breedSet({ breeds, thresholds, s }, { species, max_set: largest }) {
  const order = [...breeds.keys()].sort((a, b) => breeds[b] - breeds[a]);
  let total = breeds[order[0]];
  for (let size = 2; size <= Math.min(largest, breeds.length - 1); size += 1) {
    total += breeds[order[size - 1]];
    if (atMostOne(total) > thresholds.breed_set) return order.slice(0, size).map((i) => i + species[s].first);
  }
  return null;
}

const argmax = (numbers) => numbers.indexOf(Math.max(...numbers));
const atMostOne = (p) => Math.min(1, p);
const sum = (numbers) => numbers.reduce((total, one) => total + one, 0);
