// Build the record of docs/output.md, without the fields that only a file or a server needs.

/** @typedef {import("./decision.js").Decision} Decision */
/** @typedef {import("./decision.js").Rules} Rules */

/** Return the record of a photo. */
export function recordOf(/** @type {Decision} */ decision, /** @type {Rules} */ rules, { stage, recommendation, part }) {
  const known = decision.source !== "not_a_known_pet";
  const common = (i) => ({ probability: decision.named[i], origin: rules.leaves[i].origin });
  const breed = (i) => ({ label: rules.leaves[i].breed, ...common(i) });
  const speciesOf = (i) => rules.species[rules.leaves[i].species].name;
  const leaf = (i) => ({ species: speciesOf(i), breed: rules.leaves[i].breed, ...common(i) });
  const { name } = rules.species[decision.species];
  return {
    level: decision.level,
    source: decision.source,
    species: known ? { label: name, probability: decision.masses[decision.species] } : null,
    breed: decision.level === "breed" ? breed(decision.best) : null,
    breeds: decision.breeds.map(breed),
    top: known ? decision.top.map(leaf) : [],
    scores: decision.pet === null ? null : { pet: decision.pet, listed: decision.listed },
    stage,
    second_look: part,
    recommendation,
    warning: null,
    error: null,
  };
}

/** Return the record of a photo that cannot be read. */
export const failedRecord = (/** @type {string} */ message) => ({ level: null, error: { type: "ImageError", message } });
