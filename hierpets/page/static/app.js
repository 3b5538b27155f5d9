// The page: takes photos, asks a backend, shows its records. No library, no inline code.

import * as backend from "./backend.js"; // a server, or this browser itself
import {
  all, any, breedName, capital, language, leafName, manyOf, money, names, one, percent, speciesName, spoken, t, tn,
} from "./words.js";

const AT_ONCE = 3;            // photos that are asked about at the same time
const LEAST_RIVAL = 0.01;     // probability of a breed that is named beside the most probable one

const COATS = {
  hairless: t("no coat"),
  short_smooth: t("short and close"),
  short_double: t("short with undercoat"),
  long_silky: t("long and silky"),
  long_double: t("long with undercoat"),
  wiry: t("wiry"),
  curly: t("curly"),
};

const byId = (id) => document.getElementById(id);
const cards = byId("cards");
const entries = new Map();    // <li> -> {file, blob, record or failure, and each view that was asked for}
const waiting = [];
let running = 0;
let added = 0;
let model = { taxonomy: {}, capabilities: {} };

// ---- what was found

function headline(record) {
  const species = record.species?.label;
  const pet = species && capital(one(speciesName(species)));
  if (record.level === "breed") {
    const sure = t("{pet}. {p} sure of the breed.", { pet, p: capital(percent(record.breed.probability)) });
    const learned = record.breed.origin === "pretrained" ? ` ${t("Known from pretraining alone.")}` : "";
    return [breedName(species, record.breed.label), sure + learned];
  }
  if (record.breeds.length) {
    const together = record.breeds.reduce((sum, breed) => sum + breed.probability, 0);
    const breeds = any(record.breeds.map((breed) => breedName(species, breed.label)));
    return [breeds, t("{pet}. {p} sure that it is one of these.", { pet, p: capital(percent(together)) })];
  }
  if (record.level === "species") {
    if (isSpeciesFinest(record)) return [pet, t("{p} sure.", { p: capital(percent(record.species.probability)) })];
    if (isUnrecognized(record)) {
      const [nearest] = breedsOf(record);
      return [t("{pet}, breed not recognized", { pet }), nearest ? t("Closest: {breed}.", { breed: leafName(nearest) }) : ""];
    }
    const likely = breedsOf(record).filter((leaf, place) => !place || leaf.probability >= LEAST_RIVAL).slice(0, 2);
    const rivals = likely.map((leaf) => `${leafName(leaf)} ${percent(leaf.probability)}`);
    return [t("{pet}, breed uncertain", { pet }), rivals.length ? `${rivals.join(", ")}.` : ""];
  }
  const known = all(Object.keys(model.taxonomy).map(manyOf));
  return [
    t("Pet not recognized"),
    t("This model knows {pets}, and does not guess. A closer photo with the whole head may help.", { pets: known }),
  ];
}

// Its breed is more likely one that the model does not list.
const isUnrecognized = ({ scores }) => Boolean(scores && scores.listed < 0.5);
// No breed was asked for.
const isSpeciesFinest = (record) => record.source === "species" || model.options?.max_level === "species";
const breedsOf = (record) =>
  isSpeciesFinest(record) ? [] : record.top.filter((leaf) => leaf.breed && leaf.species === record.species.label);

// ---- photos

function add(files) {
  const photos = [...files];
  if (!photos.length) return;
  const first = !entries.size;
  for (const file of photos) addCard(file);
  relayout();
  if (first) byId("results").scrollIntoView({ behavior: calm() ? "auto" : "smooth" });
  say(tn("Analyzing one photo", "Analyzing {count} photos", photos.length));
  pump();
}

const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

function addCard(file) {
  const item = byId("card").content.firstElementChild.cloneNode(true);
  const find = (selector) => item.querySelector(selector);
  const entry = { file, number: ++added, record: null };
  entries.set(item, entry);
  find(".file").textContent = file.name || t("pasted photo");
  find(".preview").alt = t("Your photo {file}", { file: file.name }).trim();
  find(".preview").addEventListener("error", () => {
    find(".preview").hidden = true;
    find(".no-preview").removeAttribute("hidden");
  });
  const remove = find(".remove");
  remove.setAttribute("aria-label", file.name ? t("Remove {file}", { file: file.name }) : t("Remove the photo"));
  remove.addEventListener("click", () => removeCard(item));
  find(".retry").addEventListener("click", () => retry(item));
  for (const kind of Object.keys(VIEWS)) find(`.${kind}`).addEventListener("click", () => toggle(item, kind));
  prepareFeedback(item);
  cards.append(item);
  waiting.push(item);
}

function removeCard(item) {
  const next = item.nextElementSibling ?? item.previousElementSibling;
  drop(item);
  relayout();
  say(t("Removed"));
  (next?.querySelector(".remove") ?? byId("pick")).focus();
}

function drop(item) {
  const entry = entries.get(item);
  for (const image of item.querySelectorAll(".photo img")) URL.revokeObjectURL(image.src);
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

function retry(item) {
  const find = (selector) => item.querySelector(selector);
  delete find(".card").dataset.level;
  find(".card").setAttribute("aria-busy", "true");
  find(".answer").textContent = t("Analyzing…");
  find(".detail").textContent = "";
  find(".answer").focus(); // the button, which had it, goes
  find(".retry").hidden = true;
  entries.get(item).failure = null;
  relayout();
  waiting.push(item);
  pump();
}

async function look(item) {
  const entry = entries.get(item);
  if (!entry.blob) {
    entry.blob = await backend.prepare(entry.file);
    if (entry.gone) return; // removed while it was made smaller: it is not sent
    item.querySelector(".preview").src = URL.createObjectURL(entry.blob);
  }
  try {
    const record = await backend.predict(entry.blob, { name: entry.file.name, isGone: isGone(entry) });
    await introduced;
    showRecord(item, record);
  } catch (error) {
    showFailure(item, error.message, !error.final);
  }
  item.querySelector(".card").setAttribute("aria-busy", "false");
  if (!entry.gone) relayout();
}

// ---- results

function showRecord(item, record) {
  if (record.error) return showFailure(item, record.error.message, false);
  const entry = entries.get(item);
  if (!entry) return;
  entry.record = record;
  const find = (selector) => item.querySelector(selector);
  const [answer, detail] = headline(record);
  find(".card").dataset.level = record.level;
  find(".card").dataset.source = record.source;
  find(".answer").textContent = answer;
  find(".detail").textContent = record.warning ? `${detail} ${damage(record.warning)}` : detail;
  showBars(item, record);
  showCoat(find(".coat"), record);
  showShampoo(find(".shampoo"), record);
  find(".look").hidden = !(model.capabilities.explain || record.second_look);
  find(".each").hidden = !model.capabilities.regions;
  find(".wrong").hidden = !model.capabilities.feedback;
  find(".findings").hidden = false;
  say(`${entry.file.name || t("Photo")}: ${answer}. ${detail}`);
}

const damage = (what) => (language === "en" ? `The file is damaged: ${what}.` : t("The file is damaged."));

function showFailure(item, message, again) {
  const entry = entries.get(item);
  if (!entry) return;
  entry.failure = again ? "unanswered" : "unreadable";
  const find = (selector) => item.querySelector(selector);
  find(".card").dataset.level = "error";
  find(".answer").textContent = again ? t("Something went wrong") : t("Photo cannot be read");
  find(".detail").textContent = capital(message.endsWith(".") ? message : `${message}.`);
  find(".retry").hidden = !again;
  say(`${entry.file.name || t("Photo")}: ${find(".answer").textContent}. ${message}`);
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
  species.replaceChildren(bar(capital(speciesName(record.species.label)), record.species.probability));
  if (record.level === "unknown") for (const [name, share] of others) species.append(bar(capital(speciesName(name)), share, "runner"));
  breeds.replaceChildren(...inside.map((leaf, n) => bar(leafName(leaf), leaf.probability, n ? "runner" : "")));
  if (inside.length && rest >= 0.005) breeds.append(bar(t("All other {pets}", { pets: manyOf(record.species.label) }), rest, "rest"));
  const breedsTitle = item.querySelector(".breeds-title");
  breedsTitle.hidden = !inside.length || record.level === "unknown";
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

function showCoat(section, record) {
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

function showShampoo(section, record) {
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
  find(".ruled ul").replaceChildren(...(advice.ruled_out ?? []).map((one) => line(`${one.name}: ${one.reason}`)));
}

/** Of a list: texts and elements. */
function line(...parts) {
  const item = document.createElement("li");
  item.append(...parts);
  return item;
}

// ---- views of a photo, asked for once, then shown and hidden

const VIEWS = {
  look: {
    names: [t("Where did it look?"), t("Show the photo")],
    ask: askWhere,
    show: showWhere,
  },
  each: {
    names: [t("Several pets?"), t("Hide the pets")],
    ask: askRegions,
    show: showRegions,
  },
};

async function toggle(item, kind) {
  const entry = entries.get(item);
  const button = item.querySelector(`.${kind}`);
  const { names: called, ask, show } = VIEWS[kind];
  const shown = button.getAttribute("aria-pressed") !== "true";
  entry[kind] ??= await attempt(button, item.querySelector(".view-problem"), () => ask(entry));
  if (!entry[kind] || entry.gone) return;
  button.setAttribute("aria-pressed", String(shown));
  button.textContent = called[Number(shown)];
  show(item, entry[kind], shown);
  showBoxes(item);
}

/** What is asked for: every pet with its number, else the part that was looked at again, if one was. */
function showBoxes(item) {
  const { record, each } = entries.get(item);
  const pressed = (kind) => item.querySelector(`.${kind}`).getAttribute("aria-pressed") === "true";
  const closer = pressed("look") && record.second_look ? [record.second_look] : [];
  const shown = pressed("each") ? each.map(({ box }) => box) : closer;
  const framed = pressed("each") || closer.length > 0;
  item.querySelector(".card").classList.toggle("by-region", framed);
  item.querySelector(".boxes").toggleAttribute("hidden", !framed);
  drawBoxes(item, shown, pressed("each"));
}

const isGone = (entry) => () => entry.gone;

/** What a task gives, unless it fails or runs already. Its button is not disabled: that would take the focus from it. */
async function attempt(button, problem, task) {
  if (button.getAttribute("aria-disabled")) return null;
  const name = button.textContent;
  button.setAttribute("aria-disabled", "true");
  button.textContent = t("Please wait…");
  problem.textContent = "";
  try {
    return await task();
  } catch (error) {
    problem.textContent = capital(error.message);
    return null;
  } finally {
    button.removeAttribute("aria-disabled");
    button.textContent = name;
  }
}

/** Where the model looked: a heat map, which a server alone draws; the part that it looked at again is in the record. */
async function askWhere(entry) {
  return { picture: model.capabilities.explain ? await backend.explain(entry.blob, isGone(entry)) : null };
}

function showWhere(item, { picture }, shown) {
  const overlay = item.querySelector(".overlay");
  if (picture) overlay.src ||= URL.createObjectURL(picture);
  overlay.alt = t("The photo under a heat map: the warmer the color, the more that place counted");
  overlay.hidden = !(shown && picture);
  if (shown) say(t("The photo now shows where the model looked"));
}

async function askRegions(entry) {
  const record = await backend.predict(entry.blob, { name: entry.file.name, isGone: isGone(entry), regions: true });
  if (record.error) throw new Error(record.error.message);
  return record.regions;
}

function showRegions(item, regions, shown) {
  item.querySelector(".regions").hidden = !shown;
  if (!shown) return;
  listRegions(item, regions);
  say(regions.length ? tn("One pet found", "{count} pets found", regions.length) : t("No pet found"));
}

function drawBoxes(item, shown, numbered) {
  const { naturalWidth: width, naturalHeight: height } = item.querySelector(".preview");
  const boxes = item.querySelector(".boxes");
  const size = Math.max(width, height) / 16;   // of a number
  const draw = (name, attributes, text = "") => {
    const node = document.createElementNS(boxes.namespaceURI, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.textContent = text;
    return node;
  };
  boxes.setAttribute("viewBox", `0 0 ${width} ${height}`);
  boxes.replaceChildren(...shown.flatMap((box, n) => {
    const [x, y] = [box.left * width, box.top * height];
    const edge = draw("rect", { class: "edge", x, y, width: box.width * width, height: box.height * height });
    return numbered ? [
      edge,
      draw("rect", { class: "tag", x, y, width: size, height: size }),
      draw("text", { x: x + size / 2, y: y + size * 0.75, "font-size": size * 0.7 }, String(n + 1)),
    ] : [edge];
  }));
}

function listRegions(item, regions) {
  const lines = regions.map((region) => {
    const name = document.createElement("strong");
    const [answer, detail] = headline(region);
    name.textContent = answer;
    const advice = region.recommendation;
    // The reason ends with what a product must be kept away from.
    const product = advice?.product ? `${t("Shampoo: {product}.", { product: advice.name })} ` : "";
    const shampoo = advice ? ` ${product}${advice.reason}` : "";
    return line(name, ` ${detail}${shampoo}`);
  });
  if (!lines.length) lines.push(line(t("No pet stands out in this photo.")));
  item.querySelector(".regions ol").replaceChildren(...lines);
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
  const fill = (list, shown) => list.replaceChildren(...shown.map((name) => new Option(name)));
  const isTyped = (name) => [spoken(name), speciesName(name)].some((word) => word.toLowerCase() === form.elements.species.value.trim().toLowerCase());
  const known = () => Object.keys(model.taxonomy).find(isTyped);
  const breeds = () => (model.taxonomy[known()] ?? []).map((breed) => names[known()]?.[breed] ?? spoken(breed));
  form.elements.species.addEventListener("input", () => fill(find(".breed-list"), breeds()));
  find(".open-feedback").addEventListener("click", () => {
    fill(find(".species-list"), Object.keys(model.taxonomy).map(speciesName));
    const { species } = entries.get(item).record; // null where it is no pet of a known species
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
  find(".thanks").focus(); // the form, which had it, is gone
}

// ---- the page as a whole

function relayout() {
  const shown = [...entries.values()];
  byId("results").hidden = !shown.length;
  document.body.classList.toggle("busy-page", shown.length > 0);
  const single = shown.length === 1;
  if (single !== cards.classList.contains("single")) for (const why of cards.querySelectorAll(".why")) why.open = single;
  cards.classList.toggle("single", single);
  byId("results-title").textContent = shown.length > 1 ? tn("{count} photo", "{count} photos", shown.length) : t("Result");
  byId("summary").textContent = shown.length > 1 ? summary(shown) : "";
}

const COUNTED = {
  unknown: (count) => tn("{count} not recognized", "{count} not recognized", count),
  unreadable: (count) => tn("{count} unreadable", "{count} unreadable", count),
  unanswered: (count) => t("{count} without an answer", { count }),
  waiting: (count) => t("{count} in progress", { count }),
};

function summary(shown) {
  const counts = new Map();
  for (const { record, failure } of shown) {
    const found = record && (record.level === "unknown" ? "unknown" : record.species.label);
    const kind = found ?? failure ?? "waiting";
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  const pets = (name, count) => `${count} ${count > 1 ? manyOf(name) : speciesName(name)}`;
  return all([...counts].map(([kind, count]) => COUNTED[kind]?.(count) ?? pets(kind, count)));
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
  say(t("All photos removed"));
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
  const species = Object.keys(model.taxonomy);
  const breeds = Object.values(model.taxonomy).flat().length;
  const which = any(species.map((name) => one(speciesName(name))));
  byId("lead").textContent = t(
    "Add a photo of {pet} to see its breed, how certain the model is, and a shampoo for the coat.",
    { pet: which },
  );
  const counted = breeds ? tn(", and {count} breed", ", and {count} breeds", breeds) : "";
  byId("about").textContent = t(
    "This model knows {pets}{breeds}. It answers at the level it is confident in: breed, species, or neither.",
    { pets: all(species.map(manyOf)), breeds: counted },
  );
  const { digest, version } = model.model;
  const called = version ? `${version} (${digest})` : digest;
  byId("model").textContent = t("Model {model}, hierpets {version}", { model: called, version: model.hierpets_version });
}
const introduced = introduce();
