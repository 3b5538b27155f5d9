// Show a record on its card: the answer, its probabilities, the coat, and a shampoo.

import { byId, model } from "./page.js";
import {
  breedName, capital, joinAnd, joinOr, leafName, money, percent, pluralName, speciesName, spoken, t, withArticle,
} from "./words.js";

const MIN_RIVAL = 0.01; // lowest probability of a second breed that is mentioned

const COATS = {
  hairless: t("no coat"),
  short_smooth: t("short and close"),
  short_double: t("short with undercoat"),
  long_silky: t("long and silky"),
  long_double: t("long with undercoat"),
  wiry: t("wiry"),
  curly: t("curly"),
};

/** Return the answer of a record, and a sentence of detail. @returns {[string, string]} */
export function headline(record) {
  const species = record.species?.label;
  const pet = species && capital(withArticle(speciesName(species)));
  if (record.level === "breed") {
    const sure = t("{pet}. {p} sure of the breed.", { pet, p: capital(percent(record.breed.probability)) });
    const learned = record.breed.origin === "pretrained" ? ` ${t("Known from pretraining alone.")}` : "";
    return [breedName(species, record.breed.label), sure + learned];
  }
  if (record.breeds.length) {
    const total = record.breeds.reduce((sum, breed) => sum + breed.probability, 0);
    const breeds = joinOr(record.breeds.map((breed) => breedName(species, breed.label)));
    return [breeds, t("{pet}. {p} sure that it is one of these.", { pet, p: capital(percent(total)) })];
  }
  if (record.level === "species") {
    if (isSpeciesFinest(record)) return [pet, t("{p} sure.", { p: capital(percent(record.species.probability)) })];
    if (isUnrecognized(record)) {
      const [nearest] = breedsOf(record);
      return [t("{pet}, breed not recognized", { pet }), nearest ? t("Closest: {breed}.", { breed: leafName(nearest) }) : ""];
    }
    const likely = breedsOf(record).filter((leaf, n) => !n || leaf.probability >= MIN_RIVAL).slice(0, 2);
    const rivals = likely.map((leaf) => `${leafName(leaf)} ${percent(leaf.probability)}`);
    return [t("{pet}, breed uncertain", { pet }), rivals.length ? `${rivals.join(", ")}.` : ""];
  }
  const known = joinAnd(Object.keys(model.taxonomy).map(pluralName));
  return [
    t("Pet not recognized"),
    t("This model knows {pets}, and does not guess. A closer photo with the whole head may help.", { pets: known }),
  ];
}

// The breed is more likely an unlisted one.
const isUnrecognized = ({ scores }) => Boolean(scores && scores.listed < 0.5);
// The species has no breeds, or the server predicts species only.
const isSpeciesFinest = (record) => record.source === "species" || model.options?.max_level === "species";
const breedsOf = (record) =>
  isSpeciesFinest(record) ? [] : record.top.filter((leaf) => leaf.breed && leaf.species === record.species.label);

export function showBars(item, record) {
  const species = item.querySelector(".species");
  const breeds = item.querySelector(".breeds");
  item.querySelector(".likely").hidden = !record.species;
  if (!record.species) return;
  const listed = breedsOf(record);
  const rest = record.species.probability - listed.reduce((sum, leaf) => sum + leaf.probability, 0);
  const isOther = (leaf) => leaf.species !== record.species.label;
  const others = new Map();
  for (const leaf of record.top.filter(isOther)) others.set(leaf.species, (others.get(leaf.species) ?? 0) + leaf.probability);
  species.replaceChildren(bar(capital(speciesName(record.species.label)), record.species.probability));
  if (record.level === "unknown") for (const [name, share] of others) species.append(bar(capital(speciesName(name)), share, "runner"));
  breeds.replaceChildren(...listed.map((leaf, n) => bar(leafName(leaf), leaf.probability, n ? "runner" : "")));
  if (listed.length && rest >= 0.005) {
    breeds.append(bar(t("All other {pets}", { pets: pluralName(record.species.label) }), rest, "rest"));
  }
  const breedsTitle = item.querySelector(".breeds-title");
  breedsTitle.hidden = !listed.length || record.level === "unknown";
  breedsTitle.textContent = isUnrecognized(record) ? t("Closest known breeds") : t("Breed");
  if (record.level === "unknown") {
    item.querySelector(".likely h4").textContent = t("Most probable species");
    breeds.replaceChildren();
  }
}

function bar(label, share, kind = "") {
  const item = byId("bar").content.firstElementChild.cloneNode(true);
  if (kind) item.classList.add(kind);
  item.querySelector(".label").textContent = label;
  item.querySelector(".value").textContent = percent(share);
  const fill = item.querySelector(".fill");
  requestAnimationFrame(() => requestAnimationFrame(() => fill.style.setProperty("--share", Math.min(1, share))));
  return item;
}

export function showCoat(section, record) {
  const shares = Object.entries(record.recommendation?.coats ?? {}).filter(([, share]) => share >= 0.08);
  shares.sort((a, b) => b[1] - a[1]);
  section.hidden = record.level === "unknown" || !shares.length;
  section.querySelector(".chips").replaceChildren(...shares.map(([coat, share]) => {
    const value = document.createElement("span");
    value.className = "share";
    value.textContent = ` ${percent(share)}`;
    return line(capital(COATS[coat] ?? spoken(coat)), value);
  }));
}

export function showShampoo(section, record) {
  const advice = record.recommendation;
  section.hidden = !advice;
  if (!advice) return;
  const find = (selector) => section.querySelector(selector);
  const none = !advice.product;
  section.classList.toggle("none", none);
  find(".name").textContent = none ? t("No recommendation") : advice.name;
  find(".why summary").textContent = none ? t("Why none") : t("Why this one");
  find(".price").textContent = none || !advice.price ? "" : money(advice.price);
  find(".reason").textContent = advice.reason;
  find(".fit").replaceChildren(...(none ? [] : [bar(t("Suits this pet"), advice.confidence)]));
  const breed = record.breed?.probability ?? breedsOf(record)[0]?.probability;
  find(".fit-note").textContent = !none && breed !== undefined && advice.confidence - breed >= 0.02
    ? t("Higher than the breed, because it suits most of the likely breeds.")
    : "";
  find(".ruled").hidden = !advice.ruled_out?.length;
  const ruledOut = ({ name, reason }) => line(t("{product}: {why}", { product: name, why: reason }));
  find(".ruled ul").replaceChildren(...(advice.ruled_out ?? []).map(ruledOut));
}

/** Return a list item that contains these texts and elements. */
export function line(...parts) {
  const item = document.createElement("li");
  item.append(...parts);
  return item;
}
