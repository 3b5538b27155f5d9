// Decode a photo in the orientation that its EXIF states. All browsers rotate JPEG, PNG and AVIF; not all rotate WebP.

// Offsets in an extended WebP: of its first chunk, of the flags in it, and of the next chunk.
const VP8X = 12, FLAGS = 20, CHUNKS = 30;
const HAS_EXIF = 8;
const ORIENTATION = 0x0112;
// A WebP of 2 x 1 pixels whose EXIF says to rotate it to 1 x 2.
const ROTATED_WEBP = "UklGRk4AAABXRUJQVlA4WAoAAAAIAAAAAQAAAAAAVlA4TA4AAAAvAQAAAAcQEf0PRET/A0VYSUYaAAAATU0AKgAAAAgAAQESAAMAAAABAAYAAAAAAAA=";

/** Maps an orientation to the matrix that undoes it, given the stored width and height. */
const MATRICES = {
  2: (width) => [-1, 0, 0, 1, width, 0],
  3: (width, height) => [-1, 0, 0, -1, width, height],
  4: (width, height) => [1, 0, 0, -1, 0, height],
  5: () => [0, 1, 1, 0, 0, 0],
  6: (width, height) => [0, 1, -1, 0, height, 0],
  7: (width, height) => [0, -1, -1, 0, height, width],
  8: (width) => [0, -1, 1, 0, 0, width],
};

let isWebpRotated = null; // a promise, once it was needed

/**
 * Decode a file to an upright image; `options` are those of `createImageBitmap`.
 * @returns {Promise<ImageBitmap>}  rejects with an error that has `isUnreadable` if the browser cannot decode the file
 */
export async function upright(/** @type {Blob} */ file, options = {}) {
  const bitmap = await decoded(file, options).catch((error) => { throw Object.assign(error, { isUnreadable: true }); });
  const orientation = await webpOrientation(file);
  if (orientation === 1) return bitmap;
  isWebpRotated ??= rotatesWebp();
  return (await isWebpRotated) ? bitmap : rotated(bitmap, orientation);
}

const decoded = (file, options) => createImageBitmap(file, { ...options, imageOrientation: "from-image" });

/** Return whether this browser rotates WebP by itself. */
async function rotatesWebp() {
  const { width } = await decoded(new Blob([Uint8Array.from(atob(ROTATED_WEBP), (c) => c.charCodeAt(0))]));
  return width === 1;
}

function rotated(bitmap, orientation) {
  const { width, height } = bitmap;
  const canvas = orientation < 5 ? new OffscreenCanvas(width, height) : new OffscreenCanvas(height, width);
  const context = canvas.getContext("2d");
  if (!context) throw new Error("this browser cannot create a canvas of this size");
  context.setTransform(...MATRICES[orientation](width, height));
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return canvas.transferToImageBitmap();
}

/**
 * Return the orientation, 1 to 8, that a WebP states; 1 if it states none, or the file is no WebP.
 * @returns {Promise<number>}
 */
async function webpOrientation(file) {
  const start = new Uint8Array(await file.slice(0, CHUNKS).arrayBuffer());
  const text = (from, to) => String.fromCharCode(...start.subarray(from, to));
  if (text(0, 4) !== "RIFF" || text(8, VP8X + 4) !== "WEBPVP8X" || !(start[FLAGS] & HAS_EXIF)) return 1;
  try {
    return orientationOf(exifOf(new DataView(await file.arrayBuffer())));
  } catch (error) {
    if (error instanceof RangeError) return 1; // the file is truncated
    throw error;
  }
}

/** Return the TIFF structure in the EXIF chunk. */
function exifOf(/** @type {DataView} */ view) {
  // "EXIF", and "Exif", which some programs write before the structure.
  const [chunk, prefix] = [0x45584946, 0x45786966];
  let at = CHUNKS;
  while (view.getUint32(at) !== chunk) at += 8 + view.getUint32(at + 4, true) + (view.getUint32(at + 4, true) % 2);
  const start = view.getUint32(at + 8) === prefix ? 6 : 0;
  return new DataView(view.buffer, at + 8 + start, view.getUint32(at + 4, true) - start);
}

function orientationOf(/** @type {DataView} */ tiff) {
  const isLittleEndian = tiff.getUint16(0) === 0x4949;
  const first = tiff.getUint32(4, isLittleEndian);
  for (let entry = first + 2; entry < first + 2 + 12 * tiff.getUint16(first, isLittleEndian); entry += 12) {
    if (tiff.getUint16(entry, isLittleEndian) !== ORIENTATION) continue;
    const value = tiff.getUint16(entry + 8, isLittleEndian);
    return value >= 1 && value <= 8 ? value : 1;
  }
  return 1;
}
