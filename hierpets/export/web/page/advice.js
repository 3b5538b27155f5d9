// The shampoo for an answer. Python asked its rules about every answer when the page was written; what is left is to
// look the answer up, and to weigh how well the product suits this pet.

/** @typedef {import("./decision.js").Decision} Decision */
/** @typedef {import("./decision.js").Rules} Rules */

/**
 * @typedef {{product: string|null, sentences: string[], ruled_out: {product: string, reason: string}[]}} Recommendation
 *   what is the same for all photos with one answer
 * @typedef {{sure: number, unsure: number}} Choice  two recommendations: the second also avoids what would hurt any
 *   other species, for photos of which these are not all but ruled out
 * @typedef {{bound: number, recommendations: Recommendation[], leaves: Choice[], species: Choice[], unknown: number,
 *   judged: boolean[], products: string[], suits: number[][], coat_types: string[], coats: number[][]}} Advice
 *   `suits` [L + S][P] and `coats` [L + S][C] are the shares of each leaf, and of each species' other breeds
 */

/** The recommendation of a record. */
export function recommend(joint, /** @type {Decision} */ decision, /** @type {Advice} */ advice) {
  const { sentences, ...chosen } = choose(decision, advice);
  const rows = weights(joint, decision, advice);
  const share = (table, column) => rows.reduce((sum, weight, row) => sum + weight * table[row][column], 0);
  const coats = advice.coat_types.map((coat, column) => [coat, share(advice.coats, column)]);
  return {
    ...chosen,
    reason: sentences.join(" "),
    confidence: chosen.product === null ? 0 : share(advice.suits, advice.products.indexOf(chosen.product)),
    coats: Object.fromEntries(coats.filter(([, worn]) => worn > 0)),
  };
}

/** Of a few breeds what is chosen for all of them, else what is chosen for their species. @returns {Recommendation} */
function choose({ level, species, masses, best, breeds }, /** @type {Advice} */ { recommendations, ...advice }) {
  if (level === "unknown") return recommendations[advice.unknown];
  const safe = 1 - masses[species] > advice.bound ? "unsure" : "sure";
  if (level === "breed") return recommendations[advice.leaves[best][safe]];
  const ofBreeds = breeds.map((leaf) => recommendations[advice.leaves[leaf][safe]]);
  const agreed = new Set(ofBreeds.map(({ product }) => product)).size === 1;
  return agreed ? shared(ofBreeds) : recommendations[advice.species[species][safe]];
}

/** Of recommendations of one product, what fits all. @returns {Recommendation} */
function shared(/** @type {Recommendation[]} */ [first, ...others]) {
  const isRuledOut = ({ product, reason }, { ruled_out: all }) =>
    all.some((one) => one.product === product && one.reason === reason);
  return {
    ...first,
    sentences: first.sentences.filter((sentence) => others.every((other) => other.sentences.includes(sentence))),
    ruled_out: first.ruled_out.filter((one) => others.every((other) => isRuledOut(one, other))),
  };
}

/** What each row of the tables counts: leaves, then for each species a breed that is not listed. @returns {number[]} */
function weights(joint, { level, species, masses, listed }, { judged }) {
  const unlisted = judged[species] ? 1 - listed : level === "species" ? 0.5 : 0;
  return [...joint.map((p) => (1 - unlisted) * p), ...masses.map((mass) => unlisted * mass)];
}
