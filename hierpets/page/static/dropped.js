// Read what was dropped on the page: files, and the photos in folders.

const isPhoto = ({ name, type }) => !name.startsWith(".") && (type.startsWith("image/") || /\.hei[cf]$/i.test(name));

/**
 * Return the dropped files. A folder is replaced by the photos in it, at any depth; a folder without photos stays.
 * Its card then says that it cannot be read.
 * @returns {Promise<File[]>}
 */
export async function dropped(/** @type {DataTransfer} */ { items }) {
  // The items are only valid until the first `await`.
  const dragged = [...items].filter(({ kind }) => kind === "file");
  const found = dragged.map((item) => [item.getAsFile(), item.webkitGetAsEntry?.()]);
  const files = [];
  for (const [file, entry] of found) {
    const inside = entry?.isDirectory ? await photosIn(entry) : [];
    files.push(...(inside.length ? inside : [file]));
  }
  return files;
}

/** Return the photos in a folder, at any depth; unreadable entries are left out. @returns {Promise<File[]>} */
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

/** Return all entries of a folder, sorted by name. A reader returns some at a time, and none at the end. */
async function entriesOf(folder) {
  const [reader, entries] = [folder.createReader(), []];
  for (;;) {
    const batch = await new Promise((resolve) => reader.readEntries(resolve, () => resolve([])));
    if (!batch.length) return entries.sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
    entries.push(...batch);
  }
}
