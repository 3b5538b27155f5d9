// Decode a file to upright pixels, as hierpets.data.photos does, with the browser's decoder. Runs in a worker.

import { upright } from "./upright.js";

/** @typedef {import("./resize.js").Photo} Photo */

const STRIP = 256; // rows that are read at a time; a multiple of every reduction
const REDUCTIONS = [8, 4, 2];

/**
 * Return the pixels of a photo; a large JPEG is reduced, its shorter side not below `shorterSide` pixels.
 * @param {Blob} file
 * @param {number} shorterSide
 * @returns {Promise<Photo>}  rejects with an error that has `isUnreadable` if the browser cannot decode the file
 */
export async function decode(file, shorterSide) {
  const bitmap = await upright(file, { colorSpaceConversion: "none" });
  try {
    const shorter = Math.min(bitmap.width, bitmap.height);
    const reduction = (await isJpeg(file)) ? REDUCTIONS.find((n) => Math.floor(shorter / n) >= shorterSide) ?? 1 : 1;
    return readPixels(bitmap, reduction);
  } finally {
    bitmap.close();
  }
}

async function isJpeg(file) {
  const [a, b, c] = new Uint8Array(await file.slice(0, 3).arrayBuffer());
  return a === 0xff && b === 0xd8 && c === 0xff;
}

/**
 * Read the pixels in strips: some browsers limit the size of a canvas, and one for the whole would double the memory.
 */
function readPixels(bitmap, reduction) {
  const [width, height] = [Math.ceil(bitmap.width / reduction), Math.ceil(bitmap.height / reduction)];
  const pixels = new Uint8ClampedArray(4 * width * height);
  const context = new OffscreenCanvas(bitmap.width, STRIP).getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("this browser cannot create a canvas of this size");
  context.fillStyle = "#fff";
  for (let top = 0; top < bitmap.height; top += STRIP) {
    const rows = Math.min(STRIP, bitmap.height - top);
    context.fillRect(0, 0, bitmap.width, STRIP); // transparent pixels become white
    context.drawImage(bitmap, 0, top, bitmap.width, rows, 0, 0, bitmap.width, rows);
    const strip = { width: bitmap.width, height: rows, pixels: context.getImageData(0, 0, bitmap.width, rows).data };
    pixels.set(reduced(strip, reduction), (4 * width * top) / reduction);
  }
  return { width, height, pixels };
}

/**
 * Average each square of pixels, close to libjpeg's reduced decoding. Squares across an edge repeat the last pixels.
 */
export function reduced(/** @type {Photo} */ { width, height, pixels }, /** @type {number} */ reduction) {
  if (reduction === 1) return pixels;
  const [columns, rows] = [Math.ceil(width / reduction), Math.ceil(height / reduction)];
  const small = new Uint8ClampedArray(4 * columns * rows); // it rounds
  const sums = new Float64Array(4 * columns);
  for (let y = 0; y < rows; y += 1) {
    sums.fill(0);
    for (let k = 0; k < reduction; k += 1) {
      const line = 4 * width * Math.min(y * reduction + k, height - 1);
      for (let x = 0; x < columns * reduction; x += 1) {
        const [from, to] = [line + 4 * Math.min(x, width - 1), 4 * Math.floor(x / reduction)];
        for (let c = 0; c < 4; c += 1) sums[to + c] += pixels[from + c];
      }
    }
    small.set(sums.map((sum) => sum / reduction ** 2), 4 * columns * y);
  }
  return small;
}
