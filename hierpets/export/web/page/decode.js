// From a file to pixels, upright, as hierpets.data.photos reads them. The browser decodes; runs in a worker.

/** @typedef {import("./resize.js").Photo} Photo */

const BLOCK = 8; // the side of a JPEG's blocks
const STRIP = 32 * BLOCK; // rows that are copied out of the picture at a time
const REDUCTIONS = [8, 4, 2];

/**
 * The pixels of a photo; a large JPEG reduced, but its shorter side not below `shorterSide`.
 * @param {Blob} file
 * @param {number} shorterSide
 * @returns {Promise<Photo>}
 */
export async function decode(file, shorterSide) {
  const bitmap = await createImageBitmap(file, { imageOrientation: "from-image", colorSpaceConversion: "none" });
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

/** What libjpeg decodes at a reduction: the low frequencies of each block. @returns {Uint8ClampedArray} */
export function reduced(/** @type {Photo} */ { width, height, pixels }, /** @type {number} */ reduction) {
  if (reduction === 1) return pixels;
  const kept = lowFrequencies(BLOCK / reduction);
  const [columns, rows] = [Math.ceil(width / reduction), Math.ceil(height / reduction)];
  const narrow = new Float32Array(4 * columns * height);
  for (let y = 0, at = 0; y < height; y += 1) {
    for (let x = 0; x < columns; x += 1) {
      for (let c = 0; c < 4; c += 1, at += 1) narrow[at] = sample(pixels, 4 * y * width + c, 4, width, x, kept);
    }
  }
  const small = new Uint8ClampedArray(4 * columns * rows); // rounds
  for (let y = 0, at = 0; y < rows; y += 1) {
    for (let x = 0; x < 4 * columns; x += 1, at += 1) small[at] = sample(narrow, x, 4 * columns, height, y, kept);
  }
  return small;
}

/** Pixel `place` of a line of `length` pixels, which is reduced; a block that is not full repeats the last pixel. */
function sample(line, start, step, length, place, kept) {
  const block = BLOCK * Math.floor(place / kept.length);
  const weights = kept[place % kept.length];
  let sum = 0;
  for (let k = 0; k < BLOCK; k += 1) sum += weights[k] * line[start + step * Math.min(block + k, length - 1)];
  return sum;
}

/** @returns {number[][]} [n][8]: transforms 8 samples to frequencies, keeps n of them, and transforms them back */
function lowFrequencies(n) {
  const wave = (size, frequency, x) => Math.sqrt((frequency ? 2 : 1) / size) * Math.cos(((2 * x + 1) * frequency * Math.PI) / (2 * size));
  const numbers = (count, make) => Array.from({ length: count }, (_, i) => make(i));
  const gain = (x, from) => numbers(n, (f) => wave(n, f, x) * wave(BLOCK, f, from)).reduce((sum, one) => sum + one, 0);
  return numbers(n, (x) => numbers(BLOCK, (from) => Math.sqrt(n / BLOCK) * gain(x, from)));
}
