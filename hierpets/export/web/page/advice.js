// The shampoo for an answer. Python asked its rules about every answer when the page was written; what is left is to
// weigh what they said of each product by what this pet may be, and to look up the reasons for the best.

/** @typedef {import("./decision.js").Decision} Decision */
/** @typedef {import("./decision.js").Rules} Rules */

/**
 * @typedef {{product: string|null, sentences: string[], ruled_out: {product: string, reason: string}[],
 *   harms: number[]}} Recommendation  what is the same for all photos with one answer
 * @typedef {{sure: number, unsure: number, beside: number}} Choice  three recommendations: the second and the third also
 *   avoid what would hurt any other species, for photos in which it may be one, or one may be beside it
 * @typedef {{bound: number, recommendations: Recommendation[], leaves: Choice[], species: Choice[][], unknown: number,
 *   judged: boolean[], products: string[], suits: number[][], coat_types: string[], coats: number[][],
 *   scores: {breed: number[][], species: number[][]}, vetoed: boolean[][], tolerated: number[]}} Advice
 *   `suits` [L + S][P] and `coats` [L + S][C] are the shares of each leaf, and of each species' other breeds; `scores`
 *   [L + S][P] what a product is worth to them by the level of the answer, `vetoed` [L + S][P] what counts against it
 *   from a share on that is no more `tolerated` [P]
 */

/**
 * The recommendation of a record. Where it may harm animals of some species, `look` tells whether one of these may be
 * beside a pet of its species.
 * @param {(pet: number, others: number[]) => Promise<boolean>} look
 */
export async function recommend(joint, /** @type {Decision} */ decision, /** @type {Advice} */ advice, look) {
  const [found, harms] = recommended(joint, decision, advice, false);
  const isSafe = !harms.length || !(await look(decision.species, harms));
  return isSafe ? found : recommended(joint, decision, advice, true)[0];
}

/** A recommendation, for a pet beside which another may be or not, and the species that it would harm. */
function recommended(joint, /** @type {Decision} */ decision, /** @type {Advice} */ advice, isBeside) {
  const rows = weights(joint, decision, advice);
  const share = (table, column) => rows.reduce((sum, weight, row) => sum + weight * table[row][column], 0);
  const isVetoed = (column) => share(advice.vetoed, column) > advice.tolerated[column];
  const worth = ({ product }) => {
    if (product === null) return 0;
    const column = advice.products.indexOf(product);
    return isVetoed(column) ? -Infinity : share(advice.scores[decision.level], column);
  };
  const better = (best, next) => (worth(next) > worth(best) ? next : best);
  const { sentences, harms, ...chosen } = choices(decision, advice, isBeside).reduce(better);
  const coats = advice.coat_types.map((coat, column) => [coat, share(advice.coats, column)]);
  const record = {
    ...chosen,
    reason: sentences.join(" "),
    confidence: chosen.product === null ? 0 : share(advice.suits, advice.products.indexOf(chosen.product)),
    coats: Object.fromEntries(coats.filter(([, worn]) => worn > 0)),
  };
  return [record, harms];
}

/**
 * What may be recommended; of equal ones the first: of a few breeds what is chosen for all of them, what is chosen for
 * their species and for others of its breeds, and nothing, which is the last of a species.
 * @returns {Recommendation[]}
 */
function choices({ level, species, masses, best, breeds }, /** @type {Advice} */ { recommendations, ...advice }, isBeside) {
  if (level === "unknown") return [recommendations[advice.unknown]];
  const safe = 1 - masses[species] > advice.bound ? "unsure" : isBeside ? "beside" : "sure";
  const ofBreeds = (level === "breed" ? [best] : breeds).map((leaf) => recommendations[advice.leaves[leaf][safe]]);
  const agreed = new Set(ofBreeds.map(({ product }) => product)).size === 1;
  const ofSpecies = advice.species[species].map((choice) => recommendations[choice[safe]]);
  return [...(agreed ? [shared(ofBreeds)] : []), ...ofSpecies];
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
