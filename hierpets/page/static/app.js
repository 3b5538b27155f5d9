// The page: takes photos, sends them to a backend, and shows the records. It has no library and no inline code.

import { headline, showBars, showCoat, showShampoo } from "./answer.js";
import * as backend from "./backend.js"; // the server, or in an exported page the browser itself
import { dropped } from "./dropped.js";
import { prepareFeedback } from "./feedback.js";
import { announce, byId, entries, isGone, model } from "./page.js";
import { VIEWS, toggle } from "./views.js";
import { capital, joinAnd, joinOr, language, pluralName, speciesName, t, tn, withArticle } from "./words.js";

const MAX_RUNNING = 3; // photos that are predicted at the same time

const cards = byId("cards");
const waiting = [];
let running = 0;
let added = 0;

// ---- photos

function add(files) {
  const photos = [...files];
  if (!photos.length) return;
  const first = !entries.size;
  for (const file of photos) addCard(file);
  relayout();
  if (first) byId("results").scrollIntoView({ behavior: prefersLessMotion() ? "auto" : "smooth" });
  announce(tn("Analyzing one photo", "Analyzing {count} photos", photos.length));
  startWaiting();
}

const prefersLessMotion = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

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
  discard(item);
  relayout();
  announce(t("Removed"));
  (next?.querySelector(".remove") ?? byId("pick")).focus();
}

/** Remove a card and free its images. */
function discard(item) {
  const entry = entries.get(item);
  for (const image of item.querySelectorAll(".photo img")) URL.revokeObjectURL(image.src);
  entry.gone = true;
  entries.delete(item);
  item.remove();
}

// ---- predictions

/** Start waiting photos, as many as may run. */
function startWaiting() {
  while (running < MAX_RUNNING && waiting.length) {
    const item = waiting.shift();
    if (!entries.has(item)) continue;
    running += 1;
    predict(item).finally(() => {
      running -= 1;
      startWaiting();
    });
  }
}

function retry(item) {
  const find = (selector) => item.querySelector(selector);
  delete find(".card").dataset.level;
  find(".card").setAttribute("aria-busy", "true");
  find(".answer").textContent = t("Analyzing…");
  find(".detail").textContent = "";
  find(".answer").focus(); // its button, which had the focus, is about to be hidden
  find(".retry").hidden = true;
  entries.get(item).failure = null;
  relayout();
  waiting.push(item);
  startWaiting();
}

async function predict(item) {
  const entry = entries.get(item);
  if (!entry.blob) {
    entry.blob = await backend.prepare(entry.file);
    if (entry.gone) return; // removed while it was shrunk: do not send it
    item.querySelector(".preview").src = URL.createObjectURL(entry.blob);
  }
  try {
    await checkReadable(entry.blob);
    const record = await backend.predict(entry.blob, { name: entry.file.name, isGone: isGone(entry) });
    await modelShown; // records are shown with the model's names and capabilities
    showRecord(item, record);
  } catch (error) {
    showFailure(item, error.message, !error.final);
  }
  item.querySelector(".card").setAttribute("aria-busy", "false");
  if (!entry.gone) relayout();
}

/** Reject what a browser passes as a file but cannot read: a folder, or a file that was moved or changed. */
async function checkReadable(blob) {
  const reader = blob.stream().getReader(); // a slice of a missing file would be empty, without an error
  await reader.read().catch(() => {
    const error = new Error(t("this file cannot be read: it is a folder, or was moved or changed"));
    throw Object.assign(error, { final: true });
  });
  await reader.cancel();
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
  find(".detail").textContent = record.warning ? `${detail} ${damageNote(record.warning)}` : detail;
  showBars(item, record);
  showCoat(find(".coat"), record);
  showShampoo(find(".shampoo"), record);
  find(".look").hidden = !(model.capabilities.explain || record.second_look);
  find(".each").hidden = !model.capabilities.regions;
  find(".wrong").hidden = !model.capabilities.feedback;
  find(".findings").hidden = false;
  announce(`${entry.file.name || t("Photo")}: ${answer}. ${detail}`);
}

// Warnings are in English.
const damageNote = (warning) => (language === "en" ? `The file is damaged: ${warning}.` : t("The file is damaged."));

function showFailure(item, message, canRetry) {
  const entry = entries.get(item);
  if (!entry) return;
  entry.failure = canRetry ? "unanswered" : "unreadable";
  const find = (selector) => item.querySelector(selector);
  find(".card").dataset.level = "error";
  find(".answer").textContent = canRetry ? t("Something went wrong") : t("Photo cannot be read");
  find(".detail").textContent = capital(message.endsWith(".") ? message : `${message}.`);
  find(".retry").hidden = !canRetry;
  announce(`${entry.file.name || t("Photo")}: ${find(".answer").textContent}. ${message}`);
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

const COUNT_LABELS = {
  unknown: (count) => tn("{count} not recognized", "{count} not recognized", count),
  unreadable: (count) => tn("{count} unreadable", "{count} unreadable", count),
  unanswered: (count) => t("{count} without an answer", { count }),
  waiting: (count) => t("{count} in progress", { count }),
};

function summary(shown) {
  const counts = new Map();
  for (const { record, failure } of shown) {
    const predicted = record && (record.level === "unknown" ? "unknown" : record.species.label);
    const kind = predicted ?? failure ?? "waiting";
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  const pets = (name, count) => `${count} ${count > 1 ? pluralName(name) : speciesName(name)}`;
  return joinAnd([...counts].map(([kind, count]) => COUNT_LABELS[kind]?.(count) ?? pets(kind, count)));
}

for (const id of ["pick", "camera"]) {
  byId(id).addEventListener("change", (event) => {
    add(event.target.files);
    event.target.value = "";
  });
}
byId("clear").addEventListener("click", () => {
  for (const item of [...entries.keys()]) discard(item);
  relayout();
  announce(t("All photos removed"));
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
  dropped(event.dataTransfer).then(add);
});
addEventListener("paste", (event) => add(event.clipboardData?.files ?? []));

/** Fetch the description of the model and show it. */
async function showModel() {
  const about = await backend.describe();
  if (!about) return;
  Object.assign(model, about);
  const species = Object.keys(model.taxonomy);
  const breeds = Object.values(model.taxonomy).flat().length;
  const pets = joinOr(species.map((name) => withArticle(speciesName(name))));
  byId("lead").textContent = t(
    "Add a photo of {pet} to see its breed, how certain the model is, and a shampoo for the coat.",
    { pet: pets },
  );
  const counted = breeds ? tn(", and {count} breed", ", and {count} breeds", breeds) : "";
  byId("about").textContent = t(
    "This model knows {pets}{breeds}. It answers at the level it is confident in: breed, species, or neither.",
    { pets: joinAnd(species.map(pluralName)), breeds: counted },
  );
  const { digest, version } = model.model;
  const name = version ? `${version} (${digest})` : digest;
  byId("model").textContent = t("Model {model}, hierpets {version}", { model: name, version: model.hierpets_version });
}
const modelShown = showModel();
