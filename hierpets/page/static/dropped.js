// What was dropped on the page: files, and the photos in folders.

const isPhoto = ({ name, type }) => !name.startsWith(".") && (type.startsWith("image/") || /\.hei[cf]$/i.test(name));

/**
 * The files that were dropped; of a folder the photos in it, at any depth, or itself if it has none.
 * @returns {Promise<File[]>}
 */
export async function dropped(/** @type {DataTransfer} */ { items }) {
  // A browser forgets the items once it waits for anything.
  const carried = [...items].filter(({ kind }) => kind === "file");
  const found = carried.map((item) => [item.getAsFile(), item.webkitGetAsEntry?.()]);
  const files = [];
  for (const [file, entry] of found) {
    const inside = entry?.isDirectory ? await photosIn(entry) : [];
    files.push(...(inside.length ? inside : [file]));
  }
  return files;
}

/** What cannot be read is left out. @returns {Promise<File[]>} */
async function photosIn(folder) {
  const photos = [];
  for (const entry of await entriesOf(folder)) {
    if (entry.isDirectory) {
      photos.push(...(await photosIn(entry)));
    } else {
      const file = await new Promise((resolve) => entry.file(resolve, () => resolve(null)));
      if (file && isPhoto(file)) photos.push(file);
    }
  }
  return photos;
}

/** All of them in the order of their names: a reader gives some at a time, and none at the end. */
async function entriesOf(folder) {
  const [reader, entries] = [folder.createReader(), []];
  for (;;) {
    const some = await new Promise((resolve) => reader.readEntries(resolve, () => resolve([])));
    if (!some.length) return entries.sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
    entries.push(...some);
  }
}
