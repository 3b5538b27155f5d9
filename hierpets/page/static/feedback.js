// The form in which people correct a wrong answer.

import * as backend from "./backend.js";
import { attempt, entries, isGone, model } from "./page.js";
import { names, speciesName, spoken, t } from "./words.js";

/** Connect the form of a card. */
export function prepareFeedback(item) {
  const find = (selector) => item.querySelector(selector);
  const form = find(".feedback");
  const { number } = entries.get(item);
  for (const kind of ["species", "breed"]) {
    find(`.${kind}-list`).id = `${kind}-list-${number}`;
    form.elements[kind].setAttribute("list", `${kind}-list-${number}`);
  }
  const fill = (list, options) => list.replaceChildren(...options.map((name) => new Option(name)));
  const isTyped = (name) => [spoken(name), speciesName(name)].some((word) => word.toLowerCase() === form.elements.species.value.trim().toLowerCase());
  // The species that was typed; undefined if the model does not know it.
  const typedSpecies = () => Object.keys(model.taxonomy).find(isTyped);
  const breeds = () => {
    const species = typedSpecies();
    return (model.taxonomy[species] ?? []).map((breed) => names[species]?.[breed] ?? spoken(breed));
  };
  form.elements.species.addEventListener("input", () => fill(find(".breed-list"), breeds()));
  find(".open-feedback").addEventListener("click", () => {
    fill(find(".species-list"), Object.keys(model.taxonomy).map(speciesName));
    const { species } = entries.get(item).record; // null if it looks like no pet of a known species
    form.elements.species.value ||= species ? speciesName(species.label) : "";
    fill(find(".breed-list"), breeds());
    showForm(item, true);
    form.elements.breed.focus();
  });
  find(".cancel").addEventListener("click", () => {
    showForm(item, false);
    find(".open-feedback").focus();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    sendFeedback(item, form);
  });
}

function showForm(item, open) {
  item.querySelector(".feedback").hidden = !open;
  item.querySelector(".open-feedback").hidden = open;
  item.querySelector(".open-feedback").setAttribute("aria-expanded", String(open));
}

async function sendFeedback(item, form) {
  const find = (selector) => item.querySelector(selector);
  const entry = entries.get(item);
  const body = new FormData(form);
  body.append("photo", entry.blob, "photo.jpg");
  const send = () => backend.giveFeedback(body, isGone(entry));
  const saved = await attempt(form.querySelector("[type=submit]"), find(".said"), send);
  if (!saved) return;
  form.hidden = true;
  const [species, breed] = saved.path.split("/").slice(0, -1);
  const label = [names[species]?.[""] ?? spoken(species), breed && (names[species]?.[breed] ?? spoken(breed))];
  find(".thanks").textContent = t("Thank you. Saved as {label}.", { label: label.filter(Boolean).join(", ") });
  find(".thanks").focus(); // the form, which had the focus, is hidden
}
