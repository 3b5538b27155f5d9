"""Feedback: photos that users labeled, in a folder that training and audit can read."""

from __future__ import annotations

import errno
import hashlib
import logging
import re
import threading
import unicodedata
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np

from hierpets.data.labeled.alike import find_almost, known_labels
from hierpets.data.labeled.consistency import NO_CLASS, folded
from hierpets.data.records import SPLITS
from hierpets.errors import ConfigError, DataError, reason_of
from hierpets.files import size_of, try_to_write, write_file
from hierpets.messages.breeds import find_label, meant_labels
from hierpets.taxonomy import Taxonomy
from hierpets.thumbnails import encode_jpeg, limit_longer_side

__all__ = ["FeedbackFull", "FeedbackStore", "check_folder", "tidy_label"]

log = logging.getLogger(__name__)

MAX_SIDE = 1600  # pixels
NO_SPACE = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))  # Windows has no quota of this name
MAX_NAME = 60  # characters
MAX_TEXT = 1000  # characters of a name as it is sent: a megabyte takes a second to look up
# Folder names that have another meaning to a reader of labeled photos, or to Windows.
RESERVED = {*SPLITS, NO_CLASS, "valid", "validation", "con", "prn", "aux", "nul"} | {
    f"{p}{n}" for p in ("com", "lpt") for n in range(10)
}


class FeedbackFull(Exception):
    """The folder has reached its maximum size, or its disk is full."""


def check_folder(root: Path) -> None:
    """Create the feedback folder if it is missing, and check that it is writable.

    :raises ConfigError: it cannot be created or written.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        try_to_write(root / "photo.jpg")
    except FileExistsError:
        raise ConfigError(f"--feedback {root}: expected a folder, got a file") from None
    except OSError as error:
        raise ConfigError(f"--feedback {root}: cannot be written: {reason_of(error)}") from None


class FeedbackStore:
    """Writes ``ROOT/SPECIES/BREED/NAME.jpg``, or ``ROOT/SPECIES/NAME.jpg`` when the breed is not known.

    The name is a hash of the pixels, so the same photo with the same label is saved once.
    """

    def __init__(self, root: Path, taxonomy: Taxonomy, *, max_bytes: int):
        self._root, self._taxonomy, self._max_bytes = root, taxonomy, max_bytes
        self._lock = threading.Lock()
        check_folder(root)
        self._used = size_of(root)

    def save(self, photo: np.ndarray, species: str, breed: str) -> str:
        """Save an RGB photo and return its path inside the root. An empty ``breed`` means that it is not known.

        :raises DataError: a label is neither known nor a valid name, or is probably a misspelling or a confusion.
        :raises FeedbackFull: the folder has no room for it.
        :raises OSError: the folder can no longer be written.
        """
        content = encode_jpeg(limit_longer_side(photo, MAX_SIDE), quality=92)
        with self._lock:
            label = self._label(species, breed)
            path = Path(*label, hashlib.blake2b(content, digest_size=10).hexdigest() + ".jpg")
            self._write(self._root / path, content)
        return path.as_posix()

    def _label(self, species: str, breed: str) -> tuple[str, ...]:
        """Return the folders of a label: spelled as in the model's taxonomy, else as it was saved before, because a
        reader refuses a name in two spellings.
        """
        for what, text in (("species", species), ("breed", breed)):
            if len(text) > MAX_TEXT:
                raise _no_name(text, what)
        tree = self._taxonomy.tree
        name = tidy_label(find_label(species, tree) or species, [*self._saved(), *tree], what="species")
        self._check_meant(name, self._saved(), tree, None)
        if not breed.strip():
            return (name,)
        known = tree.get(name, ())
        own = tidy_label(find_label(breed, known, name) or breed, [*self._saved(name), *known], what="breed")
        self._check_meant(own, self._saved(name), known, name)
        return name, own

    def _check_meant(self, name: str, saved: Collection[str], known: Collection[str], species: str | None) -> None:
        """Check that a new name is not a mistake. A species without known breeds may get any breed.

        :raises DataError: the name is almost a known one, or a breed of another species; training on these photos would
            stop at it, or take it for a class.
        """
        if name in saved or name in known:
            return
        what = "breed" if species else "species"
        if like := find_almost(name, (*known, *known_labels(species)), species):
            raise DataError(f"{what}: {name!r} is almost {like!r} (did you mean {like!r}?)")
        if species and known and not meant_labels(name, species):
            for owner, breeds in self._taxonomy.tree.items():
                if find_label(name, breeds, owner):
                    raise DataError(f"breed: {name!r} is a breed of {owner}, not of {species}; correct one of the two")

    def _saved(self, *species: str) -> list[str]:
        """Folder names of the saved species, or of the saved breeds of one species."""
        folder = self._root.joinpath(*species)
        names = [entry.name for entry in folder.iterdir() if entry.is_dir()] if folder.is_dir() else []
        return [name for name in names if _is_safe(name)]

    def _write(self, path: Path, content: bytes) -> None:
        if path.exists():
            return
        if self._used + len(content) > self._max_bytes:
            self._used = size_of(self._root)  # photos may have been moved away since
            if self._used + len(content) > self._max_bytes:
                raise FeedbackFull
        if not path.resolve().is_relative_to(self._root.resolve()):  # a link that leads out
            raise DataError(f"{path.parent}: points outside the feedback folder")
        new = [folder for folder in (path.parent, path.parent.parent) if not folder.exists()]
        try:
            write_file(path, content)
        except OSError as error:
            for folder in new:  # an empty folder would be a class without photos
                with suppress(OSError):
                    folder.rmdir()
            if error.errno not in NO_SPACE:  # such as a folder that has become read-only: more space would not help
                raise
            log.error("feedback not saved: %s", error)
            raise FeedbackFull from error
        self._used += len(content)


def tidy_label(text: str, known: Iterable[str], *, what: str) -> str:
    """Turn text into a label that is safe as a folder name, such as ``" Maine coon "`` into ``maine_coon``.

    A known name, the last one that matches, keeps its spelling.

    :raises DataError: the text has characters other than letters, digits, spaces, hyphens and apostrophes, is too long,
        or is a reserved name.
    """
    name = re.sub(r"\s+", "_", unicodedata.normalize("NFC", text).strip()).replace("’", "'")  # which phones type
    spellings = {folded(one): one for one in known}
    if folded(name) in spellings:
        return spellings[folded(name)]
    name = unicodedata.normalize("NFC", name.casefold())
    if not _is_plain(name):
        raise _no_name(text, what)
    if name in RESERVED:
        raise DataError(f"{what}: {name!r} is a reserved name; choose another")
    return name


def _no_name(text: str, what: str) -> DataError:
    expected = f"a name of up to {MAX_NAME} letters, digits, spaces, hyphens and apostrophes"
    return DataError(f"{what}: expected {expected}, got {text[:80]!r}")


def _is_safe(name: str) -> bool:
    """Whether users may choose this as the name of a folder."""
    return _is_plain(name) and name.casefold() not in RESERVED


def _is_plain(name: str) -> bool:
    """Whether a name has only letters of any script, digits and ``_'-``, starting with a letter or a digit. Marks count
    as letters: they are the vowels of some scripts.
    """
    kinds = [unicodedata.category(character)[0] for character in name]
    allowed = (kind in "LMN" or character in "_'-" for kind, character in zip(kinds, name, strict=True))
    return 0 < len(name) <= MAX_NAME and kinds[0] in "LN" and all(allowed)
