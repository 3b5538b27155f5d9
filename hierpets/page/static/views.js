// Views of a photo, which are fetched once, then shown and hidden: where the model looked, and every pet.

import { headline, line } from "./answer.js";
import * as backend from "./backend.js";
import { announce, attempt, entries, isGone, model } from "./page.js";
import { t, tn } from "./words.js";

/** `labels` of the button: to show the view, and to hide it. */
export const VIEWS = {
  look: {
    labels: [t("Where did it look?"), t("Show the photo")],
    load: fetchHeatMap,
    show: showHeatMap,
  },
  each: {
    labels: [t("Several pets?"), t("Hide the pets")],
    load: fetchRegions,
    show: showRegions,
  },
};

/** Show a view, or hide it. */
export async function toggle(item, kind) {
  const entry = entries.get(item);
  const button = item.querySelector(`.${kind}`);
  const { labels, load, show } = VIEWS[kind];
  const shown = button.getAttribute("aria-pressed") !== "true";
  entry[kind] ??= await attempt(button, item.querySelector(".view-problem"), () => load(entry));
  if (!entry[kind] || entry.gone) return;
  button.setAttribute("aria-pressed", String(shown));
  button.textContent = labels[Number(shown)];
  show(item, entry[kind], shown);
  showBoxes(item);
}

/** Show the boxes of the active views: every pet with its number, else the part of the second look, if there is one. */
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

/** Fetch the heat map, which only a server can draw. The part of the second look is in the record. */
async function fetchHeatMap(entry) {
  return { picture: model.capabilities.explain ? await backend.explain(entry.blob, isGone(entry)) : null };
}

function showHeatMap(item, { picture }, shown) {
  const overlay = item.querySelector(".overlay");
  if (picture) overlay.src ||= URL.createObjectURL(picture);
  overlay.alt = t("The photo under a heat map: the warmer the color, the more that place counted");
  overlay.hidden = !(shown && picture);
  if (shown) announce(t("The photo now shows where the model looked"));
}

async function fetchRegions(entry) {
  const record = await backend.predict(entry.blob, { name: entry.file.name, isGone: isGone(entry), regions: true });
  if (record.error) throw new Error(record.error.message);
  return record.regions;
}

function showRegions(item, regions, shown) {
  item.querySelector(".regions").hidden = !shown;
  if (!shown) return;
  listRegions(item, regions);
  announce(regions.length ? tn("One pet found", "{count} pets found", regions.length) : t("No pet found"));
}

function drawBoxes(item, shown, numbered) {
  const { naturalWidth: width, naturalHeight: height } = item.querySelector(".preview");
  const boxes = item.querySelector(".boxes");
  const size = Math.max(width, height) / 16; // of the tag with the number
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
    // The reason ends with the animals that the product must be kept away from.
    const product = advice?.product ? `${t("Shampoo: {product}.", { product: advice.name })} ` : "";
    const shampoo = advice ? ` ${product}${advice.reason}` : "";
    return line(name, ` ${detail}${shampoo}`);
  });
  if (!lines.length) lines.push(line(t("No pet stands out in this photo.")));
  item.querySelector(".regions ol").replaceChildren(...lines);
}
