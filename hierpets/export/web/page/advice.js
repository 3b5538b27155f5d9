// Choose the shampoo for an answer, as hierpets.recommend does. The export has run all rules for every possible answer,
// so the page only weighs their scores by the probabilities of this photo and looks up the sentences.

const MIN_BENEFIT = 1e-9; // score of a product that is worth listing as ruled out

/** @typedef {import("./decision.js").Decision} Decision */
/** @typedef {import("./decision.js").Rules} Rules */

/**
 * The types are described in hierpets.export.web.schema.
 *
 * @typedef {{product: string|null, sentences: string[], ruled_out: {product: string, reason: string}[],
 *   harms: number[]}} Recommendation  the part that is the same for all photos with one answer
 * @typedef {{sure: number, unsure: number, beside: number}} Choice  indices of three recommendations: `unsure` is for
 *   pets that may be of another species, `beside` for photos that may also show an animal of another one; these two
 *   recommend nothing that may harm that species
 * @typedef {{bound: number, recommendations: Recommendation[], leaves: Choice[], species: Choice[][], unknown: number,
 *   knows_listed: boolean[], products: string[], suits: number[][], coat_types: string[], coats: number[][],
 *   scores: {breed: number[][], species: number[][]}, vetoed: boolean[][], veto_threshold: number[],
 *   vetoes: ({product: string, reason: string}|null)[]}} Advice
 *   rows [L + S] are the leaves, then the unlisted breeds of each species. `suits` [L + S][P] and `coats` [L + S][C]
 *   are the shares of such pets that a product suits, or that have a coat; `scores` [L + S][P] the total score of each
 *   product by the level of the answer. A product is excluded if the rows in which it is `vetoed` [L + S][P] have a
 *   probability above `veto_threshold` [P]; `vetoes` [P] then say why
 */

/**
 * Return the recommendation of a record.
 * @param {(pet: number, harmed: number[]) => Promise<boolean>} search  whether the photo of a pet of this species may
 *   also show an animal of one of the species that the product may harm
 */
export async function recommend(joint, /** @type {Decision} */ decision, /** @type {Advice} */ advice, search) {
  const [found, harms] = recommended(joint, decision, advice, false);
  const isSafe = !harms.length || !(await search(decision.species, harms));
  return isSafe ? found : recommended(joint, decision, advice, true)[0];
}

/** Return a recommendation and the species that it may harm; `isBeside`: whether the photo may show another animal. */
function recommended(joint, /** @type {Decision} */ decision, /** @type {Advice} */ advice, isBeside) {
  const rows = weights(joint, decision, advice);
  const weighted = (table, column) => rows.reduce((sum, weight, row) => sum + weight * table[row][column], 0);
  const isVetoed = (column) => weighted(advice.vetoed, column) > advice.veto_threshold[column];
  const benefit = (column) => weighted(advice.scores[decision.level], column);
  const score = ({ product }) => {
    if (product === null) return 0;
    const column = advice.products.indexOf(product);
    return isVetoed(column) ? -Infinity : benefit(column);
  };
  // What a rule vetoes for what this pet may well be, beside what is ruled out for a pet that is surely of this breed.
  const isMissed = (column) => isVetoed(column) && benefit(column) > MIN_BENEFIT;
  const alsoRuledOut = (listed) => (decision.level === "unknown" ? [] : advice.vetoes).filter((veto, column) =>
    veto && listed.every(({ product }) => product !== veto.product) && isMissed(column));
  const better = (best, next) => (score(next) > score(best) ? next : best);
  const { sentences, harms, ...chosen } = choices(decision, advice, isBeside).reduce(better);
  const coats = advice.coat_types.map((coat, column) => [coat, weighted(advice.coats, column)]);
  const record = {
    ...chosen,
    ruled_out: [...chosen.ruled_out, ...alsoRuledOut(chosen.ruled_out)],
    reason: sentences.join(" "),
    confidence: chosen.product === null ? 0 : weighted(advice.suits, advice.products.indexOf(chosen.product)),
    coats: Object.fromEntries(coats.filter(([, share]) => share > 0)),
  };
  return [record, harms];
}

/**
 * Return the candidates; of equally good ones the first wins. They are the product for the breed or for all of a few
 * breeds, if these agree, then those of the species: for an uncertain breed, for some of its breeds, and no product.
 * @returns {Recommendation[]}
 */
function choices({ level, species, masses, best, breeds }, /** @type {Advice} */ { recommendations, ...advice }, isBeside) {
  if (level === "unknown") return [recommendations[advice.unknown]];
  const safe = 1 - masses[species] > advice.bound ? "unsure" : isBeside ? "beside" : "sure";
  const ofBreeds = (level === "breed" ? [best] : breeds).map((leaf) => recommendations[advice.leaves[leaf][safe]]);
  const agreed = new Set(ofBreeds.map(({ product }) => product)).size === 1;
  const ofSpecies = advice.species[species].map((choice) => recommendations[choice[safe]]);
  return [...(agreed ? [inCommon(ofBreeds)] : []), ...ofSpecies];
}

/** Merge recommendations of the same product: keep what all of them have in common. @returns {Recommendation} */
function inCommon(/** @type {Recommendation[]} */ [first, ...others]) {
  const isRuledOut = ({ product, reason }, { ruled_out: all }) =>
    all.some((one) => one.product === product && one.reason === reason);
  return {
    ...first,
    sentences: first.sentences.filter((sentence) => others.every((other) => other.sentences.includes(sentence))),
    ruled_out: first.ruled_out.filter((one) => others.every((other) => isRuledOut(one, other))),
  };
}

/**
 * Return the probability of each row of the tables: the leaves, then the unlisted breeds of each species.
 * @returns {number[]}
 */
function weights(joint, { level, species, masses, listed }, { knows_listed }) {
  const unlisted = knows_listed[species] ? 1 - listed : level === "species" ? 0.5 : 0;
  return [...joint.map((p) => (1 - unlisted) * p), ...masses.map((mass) => unlisted * mass)];
}
