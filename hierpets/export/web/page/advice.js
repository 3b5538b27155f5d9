// The shampoo for an answer. Python asked its rules about every answer when the page was written; what is left is to
// look the answer up, and to weigh how well the product suits this pet.

/** @typedef {import("./decision.js").Decision} Decision */
/** @typedef {import("./decision.js").Rules} Rules */

/**
 * @typedef {{product: string|null, coats: Object<string, number>, confidence: number}} Recommendation  as in a record
 * @typedef {{sure: number, unsure: number}} Choice  two recommendations: the second also avoids what would hurt any
 *   other species, for photos of which these are not all but ruled out
 * @typedef {{bound: number, recommendations: Recommendation[], leaves: Choice[], species: Choice[], unknown: number,
 *   judged: boolean[], products: string[], suits: number[][], coat_types: string[], coats: number[][]}} Advice
 *   `suits` [L + S][P] and `coats` [L + S][C] are the shares of each leaf, and of each species' other breeds
 */

/** @returns {Recommendation} */
export function recommend(joint, /** @type {Decision} */ decision, /** @type {Advice} */ advice) {
  const chosen = advice.recommendations[choose(decision, advice)];
  if (decision.level === "unknown") return chosen;
  const rows = weights(joint, decision, advice);
  const share = (table, column) => rows.reduce((sum, weight, row) => sum + weight * table[row][column], 0);
  const coats = advice.coat_types.map((coat, column) => [coat, share(advice.coats, column)]);
  return {
    ...chosen,
    confidence: chosen.product === null ? 0 : share(advice.suits, advice.products.indexOf(chosen.product)),
    coats: Object.fromEntries(coats.filter(([, worn]) => worn > 0)),
  };
}

/** Of a few breeds what is chosen for all of them, else what is chosen for their species. @returns {number} */
function choose({ level, species, masses, best, breeds }, advice) {
  if (level === "unknown") return advice.unknown;
  const safe = 1 - masses[species] > advice.bound ? "unsure" : "sure";
  if (level === "breed") return advice.leaves[best][safe];
  const [first, ...others] = breeds.map((leaf) => advice.leaves[leaf][safe]);
  const productOf = (choice) => advice.recommendations[choice].product;
  const agreed = first !== undefined && others.every((other) => productOf(other) === productOf(first));
  return agreed ? first : advice.species[species][safe];
}

/** What each row of the tables counts: leaves, then for each species a breed that is not listed. @returns {number[]} */
function weights(joint, { level, species, masses, listed }, { judged }) {
  const unlisted = judged[species] ? 1 - listed : level === "species" ? 0.5 : 0;
  return [...joint.map((p) => (1 - unlisted) * p), ...masses.map((mass) => unlisted * mass)];
}
