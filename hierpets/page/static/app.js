// The page: takes photos, asks a backend, shows its records. No library, no inline code.

import * as backend from "./backend.js"; // a server, or this browser itself

const AT_ONCE = 3;            // photos that are asked about at the same time

const COATS = {
  hairless: "no coat",
  short_smooth: "short and close",
  short_double: "short with undercoat",
  long_silky: "long and silky",
  long_double: "long with undercoat",
  wiry: "wiry",
  curly: "curly",
};

const byId = (id) => document.getElementById(id);
const cards = byId("cards");
const entries = new Map();    // <li> -> {file, blob, url, state}
const waiting = [];
let running = 0;
let added = 0;
let model = { taxonomy: {}, capabilities: {} };

// ---- words

const spoken = (name) => name.replaceAll("_", " ");
const title = (name) => spoken(name).replace(/(^|[ -])\p{L}/gu, (letter) => letter.toUpperCase());
const article = (name) => (/^[aeiou]/i.test(name) ? "an" : "a");
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

// As hierpets.text.likelihood: the sentences of the advice stand beside these numbers.
export function percent(p) {
  if (p <= 0) return "0%";
  const digits = p < 0.0095 ? 1 : 0;
  const step = 10 ** -digits;
  if (p < step / 200) return `<${step.toFixed(digits)}%`;
  if (p > 1 - step / 200) return `>${(100 - step).toFixed(digits)}%`;
  return `${(100 * p).toFixed(digits)}%`;
}

function listed(words, last = "and") {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} ${last} ${words.at(-1)}`;
}

const plural = (word) => (/(s|sh|ch|x)$/.test(word) ? `${word}es` : `${word}s`);

function headline(record) {
  const species = record.species?.label;
  if (record.level === "breed") {
    const learned = record.breed.origin === "pretrained" ? ` ${FROM_PRETRAINING}` : "";
    return [title(record.breed.label), `${capital(article(species))} ${spoken(species)}. ${capital(percent(record.breed.probability))} sure of the breed.${learned}`];
  }
  if (record.breeds.length) {
    const together = record.breeds.reduce((sum, breed) => sum + breed.probability, 0);
    const names = listed(record.breeds.map((breed) => title(breed.label)), "or");
    return [names, `${capital(article(species))} ${spoken(species)}. ${capital(percent(together))} sure that it is one of these.`];
  }
  if (record.level === "species") {
    if (record.source === "species") return [capital(`${article(species)} ${spoken(species)}`), `${capital(percent(record.species.probability))} sure.`];
    if (isUnrecognized(record)) {
      const [nearest] = breedsOf(record);
      return [`${capital(article(species))} ${spoken(species)}, breed not recognized`, nearest ? `Closest: ${title(nearest.breed)}.` : ""];
    }
    const rivals = breedsOf(record).slice(0, 2).map((leaf) => `${title(leaf.breed)} ${percent(leaf.probability)}`);
    return [`${capital(article(species))} ${spoken(species)}, breed uncertain`, rivals.length ? `${rivals.join(", ")}.` : ""];
  }
  const known = listed(Object.keys(model.taxonomy).map((name) => plural(spoken(name))));
  return ["Pet not recognized", `This model knows ${known}, and does not guess. A closer photo with the whole head may help.`];
}

const FROM_PRETRAINING = "Known from general training, not from your photos.";

// Its breed is more likely one that the model does not list.
const isUnrecognized = ({ scores }) => Boolean(scores && scores.listed < 0.5);
const breedsOf = (record) => record.top.filter((leaf) => leaf.breed && leaf.species === record.species.label);

// ---- photos

function add(files) {
  const photos = [...files];
  if (!photos.length) return;
  const first = !entries.size;
  for (const file of photos) addCard(file);
  relayout();
  if (first) byId("results").scrollIntoView({ behavior: calm() ? "auto" : "smooth" });
  say(`Analyzing ${photos.length === 1 ? "one photo" : `${photos.length} photos`}`);
  pump();
}

const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

function addCard(file) {
  const item = byId("card").content.firstElementChild.cloneNode(true);
  const find = (selector) => item.querySelector(selector);
  const entry = { file, number: ++added, record: null };
  entries.set(item, entry);
  find(".file").textContent = file.name || "pasted photo";
  find(".preview").alt = file.name ? `Your photo ${file.name}` : "Your photo";
  find(".preview").addEventListener("error", () => {
    find(".preview").hidden = true;
    find(".no-preview").removeAttribute("hidden");
  });
  const remove = find(".remove");
  remove.setAttribute("aria-label", `Remove ${file.name || "the photo"}`);
  remove.addEventListener("click", () => removeCard(item));
  find(".retry").addEventListener("click", () => {
    waiting.push(item);
    pump();
  });
  find(".look").addEventListener("click", () => toggleOverlay(item));
  prepareFeedback(item);
  cards.append(item);
  waiting.push(item);
}

function removeCard(item) {
  const next = item.nextElementSibling ?? item.previousElementSibling;
  drop(item);
  relayout();
  say("Removed");
  (next?.querySelector(".remove") ?? byId("pick")).focus();
}

function drop(item) {
  const entry = entries.get(item);
  for (const url of [entry.url, entry.overlay]) if (url) URL.revokeObjectURL(url);
  entry.gone = true;
  entries.delete(item);
  item.remove();
}

// ---- questions

function pump() {
  while (running < AT_ONCE && waiting.length) {
    const item = waiting.shift();
    if (!entries.has(item)) continue;
    running += 1;
    look(item).finally(() => {
      running -= 1;
      pump();
    });
  }
}

async function look(item) {
  const entry = entries.get(item);
  const card = item.querySelector(".card");
  card.setAttribute("aria-busy", "true");
  item.querySelector(".retry").hidden = true;
  if (!entry.blob) {
    entry.blob = await backend.prepare(entry.file);
    entry.url = URL.createObjectURL(entry.blob);
    item.querySelector(".preview").src = entry.url;
  }
  try {
    const record = await backend.predict(entry.blob, { name: entry.file.name, isGone: () => entry.gone });
    await introduced;
    showRecord(item, record);
  } catch (error) {
    showFailure(item, error.message, true);
  }
  card.setAttribute("aria-busy", "false");
  if (!entry.gone) relayout();
}

// ---- results

function showRecord(item, record) {
  if (record.error) return showFailure(item, friendly(record.error.message), false);
  const entry = entries.get(item);
  if (!entry) return;
  entry.record = record;
  const find = (selector) => item.querySelector(selector);
  const [answer, detail] = headline(record);
  find(".card").dataset.level = record.level;
  find(".card").dataset.source = record.source;
  find(".answer").textContent = answer;
  find(".detail").textContent = record.warning ? `${detail} The file is damaged: ${record.warning}.` : detail;
  showBars(item, record);
  showCoat(find(".coat"), record);
  showShampoo(find(".shampoo"), record);
  find(".look").hidden = !model.capabilities.explain;
  find(".wrong").hidden = !model.capabilities.feedback;
  find(".findings").hidden = false;
  say(`${entry.file.name || "Photo"}: ${answer}. ${detail}`);
}

// The end of some messages is for developers.
const friendly = (message) => message.replace(/^the photo: /, "").replace(/^not an image: it starts with .*$/s, "this file is not an image");

function showFailure(item, message, again) {
  const entry = entries.get(item);
  if (!entry) return;
  entry.failed = true;
  const find = (selector) => item.querySelector(selector);
  find(".card").dataset.level = "error";
  find(".answer").textContent = again ? "Something went wrong" : "Photo cannot be read";
  find(".detail").textContent = capital(message.endsWith(".") ? message : `${message}.`);
  find(".retry").hidden = !again;
  say(`${entry.file.name || "Photo"}: ${find(".answer").textContent}. ${message}`);
}

function showBars(item, record) {
  const species = item.querySelector(".species");
  const breeds = item.querySelector(".breeds");
  item.querySelector(".likely").hidden = !record.species;
  if (!record.species) return;
  const inside = breedsOf(record);
  const rest = record.species.probability - inside.reduce((sum, leaf) => sum + leaf.probability, 0);
  const isOther = (leaf) => leaf.species !== record.species.label;
  const others = new Map();
  for (const leaf of record.top.filter(isOther)) others.set(leaf.species, (others.get(leaf.species) ?? 0) + leaf.probability);
  species.replaceChildren(bar(title(record.species.label), record.species.probability));
  if (record.level === "unknown") for (const [name, share] of others) species.append(bar(title(name), share, "runner"));
  breeds.replaceChildren(...inside.map((leaf, n) => bar(title(leaf.breed), leaf.probability, n ? "runner" : "")));
  if (inside.length && rest >= 0.005) breeds.append(bar(`All other ${plural(spoken(record.species.label))}`, rest, "rest"));
  const breedsTitle = item.querySelector(".breeds-title");
  breedsTitle.hidden = !inside.length || record.level === "unknown";
  breedsTitle.textContent = isUnrecognized(record) ? "Closest known breeds" : "Breed";
  if (record.level === "unknown") {
    item.querySelector(".likely h4").textContent = "Most probable species";
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

function showCoat(section, record) {
  const shares = Object.entries(record.recommendation?.coats ?? {}).filter(([, share]) => share >= 0.08);
  shares.sort((a, b) => b[1] - a[1]);
  section.hidden = record.level === "unknown" || !shares.length;
  section.querySelector(".chips").replaceChildren(...shares.map(([coat, share]) => {
    const chip = document.createElement("li");
    const value = document.createElement("span");
    value.className = "share";
    value.textContent = ` ${percent(share)}`;
    chip.append(capital(COATS[coat] ?? spoken(coat)), value);
    return chip;
  }));
}

function showShampoo(section, record) {
  const advice = record.recommendation;
  section.hidden = !advice;
  if (!advice) return;
  const find = (selector) => section.querySelector(selector);
  const none = !advice.product;
  section.classList.toggle("none", none);
  find(".name").textContent = none ? "No recommendation" : advice.name;
  find(".why summary").textContent = none ? "Why none" : "Why this one";
  find(".price").textContent = none || !advice.price ? "" : money(advice.price);
  find(".reason").textContent = advice.reason;
  find(".fit").replaceChildren(...(none ? [] : [bar("Suits this pet", advice.confidence)]));
  const breed = record.breed?.probability ?? breedsOf(record)[0]?.probability;
  find(".fit-note").textContent = !none && breed !== undefined && advice.confidence - breed >= 0.02
    ? "Higher than the breed, because it suits most of the likely breeds."
    : "";
  find(".why").open = none || cards.classList.contains("single");
  find(".ruled").hidden = !advice.ruled_out?.length;
  find(".ruled ul").replaceChildren(...(advice.ruled_out ?? []).map((one) => {
    const line = document.createElement("li");
    line.textContent = `${one.name}: ${one.reason}`;
    return line;
  }));
}

function money(price) {
  return new Intl.NumberFormat(navigator.language, { style: "currency", currency: price.currency }).format(price.amount);
}

async function toggleOverlay(item) {
  const entry = entries.get(item);
  const button = item.querySelector(".look");
  const overlay = item.querySelector(".overlay");
  if (button.getAttribute("aria-pressed") === "true") {
    overlay.hidden = true;
    button.setAttribute("aria-pressed", "false");
    button.textContent = "Where did it look?";
    return;
  }
  button.disabled = true;
  button.textContent = "Please wait…";
  try {
    if (!entry.overlay) {
      entry.overlay = URL.createObjectURL(await backend.explain(entry.blob));
      overlay.src = entry.overlay;
    }
    overlay.alt = "The photo under a heat map: the warmer the color, the more that place counted";
    overlay.hidden = false;
    button.setAttribute("aria-pressed", "true");
    button.textContent = "Show the photo";
    say("The photo now shows where the model looked");
  } catch (error) {
    button.textContent = "Where did it look?";
    say(error.message);
  }
  button.disabled = false;
}

// ---- feedback

function prepareFeedback(item) {
  const find = (selector) => item.querySelector(selector);
  const form = find(".feedback");
  const { number } = entries.get(item);
  for (const kind of ["species", "breed"]) {
    find(`.${kind}-list`).id = `${kind}-list-${number}`;
    form.elements[kind].setAttribute("list", `${kind}-list-${number}`);
  }
  const fill = (list, names) => list.replaceChildren(...names.map((name) => new Option(spoken(name))));
  const known = () => Object.keys(model.taxonomy).find((name) => spoken(name) === form.elements.species.value.trim().toLowerCase());
  form.elements.species.addEventListener("input", () => fill(find(".breed-list"), model.taxonomy[known()] ?? []));
  find(".open-feedback").addEventListener("click", () => {
    fill(find(".species-list"), Object.keys(model.taxonomy));
    form.elements.species.value ||= spoken(entries.get(item).record.species.label);
    fill(find(".breed-list"), model.taxonomy[known()] ?? []);
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
  const said = form.querySelector(".said");
  const body = new FormData(form);
  body.append("photo", entries.get(item).blob, "photo.jpg");
  said.textContent = "";
  try {
    const saved = await backend.giveFeedback(body);
    form.hidden = true;
    item.querySelector(".thanks").textContent = `Thank you. Saved as ${saved.path.split("/").slice(0, -1).map(spoken).join(", ")}.`;
  } catch (error) {
    said.textContent = capital(error.message);
  }
}

// ---- the page as a whole

function relayout() {
  const all = [...entries.values()];
  byId("results").hidden = !all.length;
  document.body.classList.toggle("busy-page", all.length > 0);
  const single = all.length === 1;
  if (!single && cards.classList.contains("single")) for (const why of cards.querySelectorAll(".why")) why.open = false;
  cards.classList.toggle("single", single);
  byId("results-title").textContent = all.length > 1 ? `${all.length} photos` : "Result";
  byId("summary").textContent = all.length > 1 ? summary(all) : "";
}

function summary(all) {
  const counts = new Map();
  const count = (key) => counts.set(key, (counts.get(key) ?? 0) + 1);
  for (const { record, failed } of all) {
    if (record && record.level !== "unknown") count(record.species.label);
    else if (record) count("not recognized");
    else if (failed) count("unreadable");
    else count("in progress");
  }
  const parts = [...counts].map(([name, n]) => `${n} ${name in model.taxonomy && n > 1 ? plural(spoken(name)) : spoken(name)}`);
  return listed(parts);
}

let saying = 0;
function say(text) {
  // A short pause lets a screen reader notice that the text has changed.
  clearTimeout(saying);
  saying = setTimeout(() => { byId("status").textContent = text; }, 80);
}

for (const id of ["pick", "camera"]) {
  byId(id).addEventListener("change", (event) => {
    add(event.target.files);
    event.target.value = "";
  });
}
byId("clear").addEventListener("click", () => {
  for (const item of [...entries.keys()]) drop(item);
  relayout();
  say("All photos removed");
  byId("pick").focus();
});

const zone = byId("drop");
const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
addEventListener("dragover", (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  zone.classList.add("over");
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) zone.classList.remove("over");
});
addEventListener("drop", (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  zone.classList.remove("over");
  add(event.dataTransfer.files);
});
addEventListener("paste", (event) => add(event.clipboardData?.files ?? []));

async function introduce() {
  const found = await backend.describe();
  if (!found) return;
  model = found;
  const names = Object.keys(model.taxonomy).map(spoken);
  const breeds = Object.values(model.taxonomy).flat().length;
  const which = listed(names.map((name) => `${article(name)} ${name}`), "or");
  byId("lead").textContent = `Add a photo of ${which} to see its breed, how certain the model is, and a shampoo for the coat.`;
  byId("about").textContent = `This model knows ${listed(names.map(plural))}${breeds ? `, and ${breeds} breeds` : ""}. It answers at the level it is confident in: breed, species, or neither.`;
  const { digest, version } = model.model;
  byId("model").textContent = `Model ${version ? `${version} (${digest})` : digest}, hierpets ${model.hierpets_version}`;
}
const introduced = introduce();
