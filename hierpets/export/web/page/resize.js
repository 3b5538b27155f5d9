// Resize a decoded photo to the square input of a network, as hierpets.data.transforms does with Pillow and OpenCV.

/**
 * @typedef {{width: number, height: number, pixels: Uint8ClampedArray}} Photo  opaque RGBA, row by row
 * @typedef {{first: number, weights: Float64Array}} Taps  the pixels that one pixel of the result
 *   is computed from: the index of the first, and the weight of each
 * @typedef {{size: number, crop: number, resize: "crop"|"squash", interpolation: string, mean: number[],
 *   std: number[]}} Preprocess
 */

const { fround } = Math;
const FIXED = 2 ** 22; // steps of Pillow's fixed-point weights

/** Crop a photo and resize it: RGB, size x size. @returns {Uint8ClampedArray} */
export function toSquare(/** @type {Photo} */ photo, /** @type {Preprocess} */ { size, crop, resize, interpolation }) {
  const cropped = resize === "crop" ? centered(photo, size, roundEven(size / crop)) : photo;
  return resized(cropped, size, kernelOf(interpolation, shorterOf(cropped) / size));
}

/**
 * Resize the whole photo, whatever its shape, to the input of the detector: RGB, size x size.
 * @returns {Uint8ClampedArray}
 */
export const stretched = (/** @type {Photo} */ photo, /** @type {number} */ size) =>
  resized(photo, size, shorterOf(photo) > size ? AREA : LINEAR);

/** Crop a box from a photo: at least one pixel. @returns {Photo} */
export function cut(/** @type {Photo} */ photo, /** @type {import("./detections.js").Box} */ { left, top, width, height }) {
  const from = (edge, length) => Math.min(Math.floor(edge * length), length - 1);
  const to = (edge, length, start) => Math.min(Math.max(roundEven(edge * length), start + 1), length);
  const [x, y] = [from(left, photo.width), from(top, photo.height)];
  return part(photo, x, y, to(left + width, photo.width, x) - x, to(top + height, photo.height, y) - y);
}

const shorterOf = ({ width, height }) => Math.min(width, height);

/** Return `(x / 255 - mean) / std`, one plane per channel, rounded to float32 as numpy does. @returns {Float32Array} */
export function normalized(/** @type {Uint8ClampedArray} */ square, /** @type {Preprocess} */ { mean, std }) {
  const area = square.length / 3;
  const planes = new Float32Array(square.length);
  for (let channel = 0; channel < 3; channel += 1) {
    const factor = fround(1 / fround(255 * fround(std[channel])));
    const shift = fround(fround(mean[channel]) / fround(std[channel]));
    for (let i = 0; i < area; i += 1) planes[channel * area + i] = fround(square[3 * i + channel] * factor) - shift;
  }
  return planes;
}

/** Crop the center square that fills `size` once the shorter side is resized to `shorter`. @returns {Photo} */
function centered(photo, size, shorter) {
  const side = Math.max(1, roundEven((shorterOf(photo) * size) / shorter));
  return part(photo, (photo.width - side) >> 1, (photo.height - side) >> 1, side, side);
}

/** @returns {Photo} */
function part(photo, left, top, width, height) {
  const pixels = new Uint8ClampedArray(4 * width * height);
  for (let row = 0; row < height; row += 1) {
    const start = 4 * ((top + row) * photo.width + left);
    pixels.set(photo.pixels.subarray(start, start + 4 * width), 4 * row * width);
  }
  return { width, height, pixels };
}

/** Resize the rows, then the columns. @returns {Uint8ClampedArray} */
function resized({ width, height, pixels }, size, kernel) {
  const across = kernel.taps(width, size);
  const rows = new Float32Array(3 * height * size);
  for (let y = 0, at = 0; y < height; y += 1) {
    for (const { first, weights } of across) {
      const start = 4 * (y * width + first);
      for (let channel = 0; channel < 3; channel += 1, at += 1) {
        let sum = 0;
        for (let k = 0; k < weights.length; k += 1) sum += weights[k] * pixels[start + channel + 4 * k];
        rows[at] = kernel.ofRow(sum);
      }
    }
  }
  return resizedColumns(rows, 3 * size, kernel.taps(height, size), kernel);
}

function resizedColumns(rows, length, down, { term, toByte }) {
  const square = new Uint8ClampedArray(down.length * length);
  for (let y = 0, at = 0; y < down.length; y += 1) {
    const { first, weights } = down[y];
    for (let x = 0; x < length; x += 1, at += 1) {
      let sum = 0;
      for (let k = 0; k < weights.length; k += 1) sum += term(weights[k], rows[(first + k) * length + x]);
      square[at] = toByte(sum);
    }
  }
  return square;
}

/** Round as Python does: half to even. */
function roundEven(value) {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 ? rounded - 1 : rounded;
}

// ---- kernels: `taps(from, to)` returns the Taps of each of `to` pixels; the other functions round the sums

/** Round once, at the end. */
const roundedOnce = {
  ofRow: (sum) => sum,
  term: (weight, value) => weight * value,
  toByte: (sum) => Math.floor(sum + 0.5),
};
/** OpenCV's mean over areas rounds half to even; in flat colors halves are frequent. */
const roundedHalfToEven = { ...roundedOnce, toByte: roundEven };
/** Pillow rounds after the rows and after the columns. */
const roundedTwice = { ...roundedOnce, ofRow: (sum) => Math.min(255, Math.max(0, Math.floor(sum + 0.5))) };
const STEPS = 2 ** 11;
/** OpenCV's bilinear resize uses fixed-point numbers and drops low bits of intermediate results. */
const fixedPoint = {
  ...roundedOnce,
  term: (weight, value) => (weight * (value >> 4)) >> 16,
  toByte: (sum) => (sum + 2) >> 2,
};

function kernelOf(interpolation, shrinking) {
  if (interpolation !== "adaptive") {
    return { ...roundedTwice, taps: (from, to) => pillowTaps(from, to, PILLOW[interpolation]) };
  }
  if (shrinking >= 2) return AREA;
  return shrinking >= 1 ? LINEAR : { ...roundedOnce, taps: cubicTaps };
}

const cubic = (a) => (x) => {
  const d = Math.abs(x);
  if (d < 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  return d < 2 ? ((d - 5) * d + 8) * d * a - 4 * a : 0;
};
const sinc = (x) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));

const PILLOW = {
  nearest: { reach: 0 },
  bilinear: { reach: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: { reach: 2, weight: cubic(-0.5) },
  lanczos: { reach: 3, weight: (x) => (Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

/** Pillow's kernels: where the photo shrinks, they are stretched, to avoid aliasing. @returns {Taps[]} */
function pillowTaps(from, to, { reach, weight }) {
  const scale = from / to;
  const stretch = Math.max(scale, 1);
  return listOf(to, (i) => {
    const center = (i + 0.5) * scale;
    if (!reach) return { first: Math.floor(center), weights: Float64Array.of(1) };
    const first = Math.max(0, Math.trunc(center - reach * stretch + 0.5));
    const end = Math.min(from, Math.trunc(center + reach * stretch + 0.5));
    const raw = listOf(end - first, (k) => weight((k + first - center + 0.5) / stretch));
    const total = raw.reduce((sum, one) => sum + one, 0);
    return { first, weights: Float64Array.from(raw, (one) => Math.round((one / total) * FIXED) / FIXED) };
  });
}

/** OpenCV's INTER_LINEAR. @returns {Taps[]} */
const linearTaps = (from, to) => tapsAround(from, to, 0, (t) => [1 - t, t].map((weight) => Math.round(STEPS * weight)));

/** OpenCV's INTER_CUBIC. @returns {Taps[]} */
const cubicTaps = (from, to) => tapsAround(from, to, 1, (t) => [t + 1, t, t - 1, t - 2].map(cubic(-0.75)));

/**
 * Return the weights of the pixels around each position, from `before` pixels left of it on; edge pixels are repeated.
 */
function tapsAround(from, to, before, weightsAt) {
  return listOf(to, (i) => {
    const position = ((i + 0.5) * from) / to - 0.5;
    const left = Math.floor(position);
    const inside = (x) => Math.min(from - 1, Math.max(0, x));
    const raw = weightsAt(position - left);
    const first = inside(left - before);
    const weights = new Float64Array(inside(left - before + raw.length - 1) - first + 1);
    raw.forEach((one, k) => { weights[inside(left - before + k) - first] += one; });
    return { first, weights };
  });
}

/** OpenCV's INTER_AREA: the mean over the area that each pixel covers. @returns {Taps[]} */
function areaTaps(from, to) {
  const scale = from / to;
  return listOf(to, (i) => {
    const [start, end] = [i * scale, Math.min(from, (i + 1) * scale)];
    const first = Math.min(from - 1, Math.floor(start + 1e-9));
    const share = (k) => Math.min(end, first + k + 1) - Math.max(start, first + k);
    const covered = listOf(Math.max(1, Math.ceil(end - 1e-9) - first), share);
    const total = covered.reduce((sum, one) => sum + one, 0);
    return { first, weights: Float64Array.from(covered, (one) => fround(one / total)) };
  });
}

const AREA = { ...roundedHalfToEven, taps: areaTaps };
const LINEAR = { ...fixedPoint, taps: linearTaps };

const listOf = (count, make) => Array.from({ length: count }, (_, i) => make(i));
