"""Feedback: photos that users labeled, in a folder that training and audit can read."""

from __future__ import annotations

import hashlib
import logging
import re
import tempfile
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
from hierpets.files import size_of, write_file
from hierpets.messages.breeds import find_label, meant_labels
from hierpets.taxonomy import Taxonomy
from hierpets.thumbnails import encode_jpeg, limit_longer_side

__all__ = ["FeedbackFull", "FeedbackStore", "check_folder", "tidy_label"]

log = logging.getLogger(__name__)

LONGEST = 1600
LONGEST_NAME = 60  # characters
LONGEST_TEXT = 1000  # characters of a name as it is sent: a megabyte takes a second to look up
# Folders that a reader of labeled photos, or Windows, takes for something else.
RESERVED = {*SPLITS, NO_CLASS, "valid", "validation", "con", "prn", "aux", "nul"} | {
    f"{p}{n}" for p in ("com", "lpt") for n in range(10)
}


class FeedbackFull(Exception):
    """The folder has reached its maximum size, or its disk takes nothing more."""


def check_folder(root: Path) -> None:
    """Make the feedback folder if need be, and write to it once.

    :raises ConfigError: that is not possible.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root):
            pass
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
        """Save an RGB photo; its path inside the root. An empty ``breed`` means that it is not known.

        :raises DataError: a label that is neither known nor a valid name, or is likely meant to be another.
        :raises FeedbackFull: the folder has no room for it.
        """
        content = encode_jpeg(limit_longer_side(photo, LONGEST), quality=92)
        with self._lock:
            label = self._label(species, breed)
            path = Path(*label, hashlib.blake2b(content, digest_size=10).hexdigest() + ".jpg")
            self._write(self._root / path, content)
        return path.as_posix()

    def _label(self, species: str, breed: str) -> tuple[str, ...]:
        """As the model calls it, else as others called it before: a reader refuses a name in two spellings."""
        for what, text in (("species", species), ("breed", breed)):
            if len(text) > LONGEST_TEXT:
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
        """:raises DataError: a new name that is almost a known one, or a breed's of another species; what learns from
        these photos would stop at it, or take it for a class. A species of no known breeds may have any.
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
        """The folders of species, or of the breeds of one."""
        folder = self._root.joinpath(*species)
        names = [entry.name for entry in folder.iterdir() if entry.is_dir()] if folder.is_dir() else []
        return [name for name in names if _is_safe(name)]

    def _write(self, path: Path, content: bytes) -> None:
        if path.exists():
            return
        if self._used + len(content) > self._max_bytes:
            self._used = size_of(self._root)  # photos may have been taken away to train with
            if self._used + len(content) > self._max_bytes:
                raise FeedbackFull
        if not path.resolve().is_relative_to(self._root.resolve()):  # a link that leads out
            raise DataError(f"{path.parent}: points outside the feedback folder")
        new = [folder for folder in (path.parent, path.parent.parent) if not folder.exists()]
        try:
            write_file(path, content)
        except OSError as error:
            for folder in new:  # an empty one would be a class without photos
                with suppress(OSError):
                    folder.rmdir()
            log.error("feedback not saved: %s", error)
            raise FeedbackFull from error
        self._used += len(content)


def tidy_label(text: str, known: Iterable[str], *, what: str) -> str:
    """``" Maine coon "`` -> ``maine_coon``: the spelling of a known name, the last that fits, or a new name that is
    safe as a folder.

    :raises DataError: not a name of letters, digits, spaces, hyphens and apostrophes, or a reserved one.
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
    expected = f"a name of up to {LONGEST_NAME} letters, digits, spaces, hyphens and apostrophes"
    return DataError(f"{what}: expected {expected}, got {text[:80]!r}")


def _is_safe(name: str) -> bool:
    """Whether visitors may name a folder so."""
    return _is_plain(name) and name.casefold() not in RESERVED


def _is_plain(name: str) -> bool:
    """Whether it is of letters of any script, digits and ``_'-``, and begins with a letter or a digit. The vowels of
    some scripts are marks on letters.
    """
    kinds = [unicodedata.category(character)[0] for character in name]
    allowed = (kind in "LMN" or character in "_'-" for kind, character in zip(kinds, name, strict=True))
    return 0 < len(name) <= LONGEST_NAME and kinds[0] in "LN" and all(allowed)
