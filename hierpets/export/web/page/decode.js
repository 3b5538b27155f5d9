// From a file to pixels, upright, as hierpets.data.photos reads them. The browser decodes; runs in a worker.

import { upright } from "./upright.js";

/** @typedef {import("./resize.js").Photo} Photo */

const STRIP = 256; // rows that are copied out of the picture at a time; every reduction divides it
const REDUCTIONS = [8, 4, 2];

/**
 * The pixels of a photo; a large JPEG reduced, but its shorter side not below `shorterSide`.
 * @param {Blob} file
 * @param {number} shorterSide
 * @returns {Promise<Photo>}  rejects with an error that `isUnreadable` where it is the file's fault
 */
export async function decode(file, shorterSide) {
  const bitmap = await upright(file, { colorSpaceConversion: "none" });
  try {
    const shorter = Math.min(bitmap.width, bitmap.height);
    const reduction = (await isJpeg(file)) ? REDUCTIONS.find((n) => Math.floor(shorter / n) >= shorterSide) ?? 1 : 1;
    return copied(bitmap, reduction);
  } finally {
    bitmap.close();
  }
}

async function isJpeg(file) {
  const [a, b, c] = new Uint8Array(await file.slice(0, 3).arrayBuffer());
  return a === 0xff && b === 0xd8 && c === 0xff;
}

/** A strip at a time: a canvas may be no larger than some browsers allow, and a whole copy would take its memory. */
function copied(bitmap, reduction) {
  const [width, height] = [Math.ceil(bitmap.width / reduction), Math.ceil(bitmap.height / reduction)];
  const pixels = new Uint8ClampedArray(4 * width * height);
  const pen = new OffscreenCanvas(bitmap.width, STRIP).getContext("2d", { willReadFrequently: true });
  if (!pen) throw new Error("this browser gives no canvas of this size");
  pen.fillStyle = "#fff";
  for (let top = 0; top < bitmap.height; top += STRIP) {
    const rows = Math.min(STRIP, bitmap.height - top);
    pen.fillRect(0, 0, bitmap.width, STRIP); // transparent pixels are laid on white
    pen.drawImage(bitmap, 0, top, bitmap.width, rows, 0, 0, bitmap.width, rows);
    const strip = { width: bitmap.width, height: rows, pixels: pen.getImageData(0, 0, bitmap.width, rows).data };
    pixels.set(reduced(strip, reduction), (4 * width * top) / reduction);
  }
  return { width, height, pixels };
}

/** Nearly what libjpeg decodes at a reduction: the mean of each square. One that is not full repeats its last pixels. */
export function reduced(/** @type {Photo} */ { width, height, pixels }, /** @type {number} */ reduction) {
  if (reduction === 1) return pixels;
  const [columns, rows] = [Math.ceil(width / reduction), Math.ceil(height / reduction)];
  const small = new Uint8ClampedArray(4 * columns * rows); // rounds
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
