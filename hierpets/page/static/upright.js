// A photo as its EXIF says that it lies: browsers turn JPEG, PNG and AVIF, but not all of them WebP.

const VP8X = 12, FLAGS = 20, CHUNKS = 30; // where a WebP says that it has more than a picture, what, and begins with it
const HAS_EXIF = 8;
const ORIENTATION = 0x0112;
// A photo of 2 x 1 pixels that lies on its side.
const LYING = "UklGRk4AAABXRUJQVlA4WAoAAAAIAAAAAQAAAAAAVlA4TA4AAAAvAQAAAAcQEf0PRET/A0VYSUYaAAAATU0AKgAAAAgAAQESAAMAAAABAAYAAAAAAAA=";

/** The matrix that each orientation is undone by, of a picture that is stored with this width and height. */
const MATRICES = {
  2: (width) => [-1, 0, 0, 1, width, 0],
  3: (width, height) => [-1, 0, 0, -1, width, height],
  4: (width, height) => [1, 0, 0, -1, 0, height],
  5: () => [0, 1, 1, 0, 0, 0],
  6: (width, height) => [0, 1, -1, 0, height, 0],
  7: (width, height) => [0, -1, -1, 0, height, width],
  8: (width) => [0, -1, 1, 0, 0, width],
};

let heeded = null;

/**
 * The picture of a file, upright; `options` are those of `createImageBitmap`.
 * @returns {Promise<ImageBitmap>}  rejects with an error that `isUnreadable` where it is the file's fault
 */
export async function upright(/** @type {Blob} */ file, options = {}) {
  const bitmap = await pictureOf(file, options).catch((error) => { throw Object.assign(error, { isUnreadable: true }); });
  const orientation = await webpOrientation(file);
  if (orientation === 1) return bitmap;
  heeded ??= heedsWebp();
  return (await heeded) ? bitmap : turned(bitmap, orientation);
}

const pictureOf = (file, options) => createImageBitmap(file, { ...options, imageOrientation: "from-image" });

/** Whether this browser turns a WebP by itself. */
async function heedsWebp() {
  const { width } = await pictureOf(new Blob([Uint8Array.from(atob(LYING), (c) => c.charCodeAt(0))]));
  return width === 1;
}

function turned(bitmap, orientation) {
  const { width, height } = bitmap;
  const canvas = orientation < 5 ? new OffscreenCanvas(width, height) : new OffscreenCanvas(height, width);
  const pen = canvas.getContext("2d");
  if (!pen) throw new Error("this browser gives no canvas of this size");
  pen.setTransform(...MATRICES[orientation](width, height));
  pen.drawImage(bitmap, 0, 0);
  bitmap.close();
  return canvas.transferToImageBitmap();
}

/** The orientation 1 to 8 that a WebP states; 1 where it states none, or is another file. @returns {Promise<number>} */
async function webpOrientation(file) {
  const start = new Uint8Array(await file.slice(0, CHUNKS).arrayBuffer());
  const text = (from, to) => String.fromCharCode(...start.subarray(from, to));
  if (text(0, 4) !== "RIFF" || text(8, VP8X + 4) !== "WEBPVP8X" || !(start[FLAGS] & HAS_EXIF)) return 1;
  try {
    return orientationOf(exifOf(new DataView(await file.arrayBuffer())));
  } catch (error) {
    if (error instanceof RangeError) return 1; // it is cut off
    throw error;
  }
}

/** The TIFF structure of the EXIF chunk. */
function exifOf(/** @type {DataView} */ view) {
  const [chunk, exif] = [0x45584946, 0x45786966]; // "EXIF", and "Exif", which some write before the structure
  let at = CHUNKS;
  while (view.getUint32(at) !== chunk) at += 8 + view.getUint32(at + 4, true) + (view.getUint32(at + 4, true) % 2);
  const start = view.getUint32(at + 8) === exif ? 6 : 0;
  return new DataView(view.buffer, at + 8 + start, view.getUint32(at + 4, true) - start);
}

function orientationOf(/** @type {DataView} */ tiff) {
  const little = tiff.getUint16(0) === 0x4949;
  const first = tiff.getUint32(4, little);
  for (let entry = first + 2; entry < first + 2 + 12 * tiff.getUint16(first, little); entry += 12) {
    if (tiff.getUint16(entry, little) !== ORIENTATION) continue;
    const value = tiff.getUint16(entry + 8, little);
    return value >= 1 && value <= 8 ? value : 1;
  }
  return 1;
}
