"""The names of species and breeds in each language, and other names of the same breed."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from functools import cache, lru_cache, wraps
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import yaml

from hierpets.messages.catalogue import LANGUAGES, Language, current_language

__all__ = [
    "VBO",
    "Names",
    "breed_names",
    "cache_short_names",
    "find_label",
    "local_name",
    "meant_labels",
    "other_names",
    "plain",
    "read_names",
]

FILE = Path(__file__).parent / "breeds.yaml"
VBO = Path(__file__).parent / "vbo.yaml"
MAX_CACHED_LENGTH = 100  # characters


class Names(NamedTuple):
    """The names of a species or breed by language, the usual one first.

    A species has a plural in each language. A breed may have an identifier in the Vertebrate Breed Ontology, such as
    ``"VBO:0200577"``, and ``further`` names there.
    """

    names: Mapping[str, tuple[str, ...]]
    plurals: Mapping[str, str] = {}
    vbo: str | None = None
    further: tuple[str, ...] = ()

    @property
    def own(self) -> tuple[str, ...]:
        """The names in all languages, without ``further`` ones."""
        return tuple(name for names in self.names.values() for name in names)


@cache
def read_names() -> Mapping[tuple[str, str | None], Names]:
    """Read the names by (species, breed); a breed of None stands for the species itself."""
    further = _read(VBO)
    found: dict[tuple[str, str | None], Names] = {}
    for species, entry in _read(FILE).items():
        found[species, None] = Names(_listed(entry["names"]), entry["plurals"])
        for breed, names in entry["breeds"].items():
            vbo = names.get("vbo")
            found[species, breed] = Names(_listed(names), vbo=vbo, further=tuple(further.get(vbo, ())))
    return MappingProxyType(found)


def local_name(species: str, breed: str | None = None) -> str | None:
    """Return the name of a species or breed in the current language; None in English, whose names are the labels, and
    if it is not known.
    """
    if current_language() == "en":
        return None
    known = read_names().get((species, breed))
    return known.names[current_language()][0] if known else None


def breed_names(language: Language) -> dict[str, dict[str, str]]:
    """Return the names for the page: species -> label -> name, and the name of the species itself at ``""``, its plural
    at ``"*"``. Empty in English.
    """
    table: dict[str, dict[str, str]] = {}
    for (species, breed), known in read_names().items() if language != "en" else ():
        own = table.setdefault(species, {})
        own[breed or ""] = known.names[language][0]
        own |= {"*": known.plurals[language]} if breed is None else {}
    return table


def find_label(name: str, labels: Iterable[str], species: str | None = None) -> str | None:
    """Find the label that ``name`` is another name of: ``"Deutscher Schäferhund"`` -> ``german_shepherd``, or
    ``alsatian`` if that is among ``labels``.

    None if there is none, or more than one.
    """
    meant, bare = meant_labels(name, species), plain(name)

    def has_name(label: str) -> bool:
        own = meant_labels(label, species)
        return label in meant or plain(label) == bare or (len(own) == 1 and own <= meant)

    found = [*filter(has_name, labels)]
    return found[0] if len(found) == 1 else None


def other_names(labels: Iterable[str]) -> list[str]:
    """Return the names of some species and breeds in all languages."""
    wanted = {*labels}
    named = (names for (species, breed), names in read_names().items() if (breed or species) in wanted)
    return [name for names in named for name in (*names.own, *names.further)]


def cache_short_names(of_name: Callable[[str], str]) -> Callable[[str], str]:
    """Cache a function of a name, for a few thousand names. Long ones are not kept: strangers send a server names of
    any length.
    """
    cached = lru_cache(maxsize=4096)(of_name)

    @wraps(of_name)
    def call(name: str) -> str:
        return cached(name) if len(name) <= MAX_CACHED_LENGTH else of_name(name)

    return call


@cache_short_names
def plain(name: str) -> str:
    """Strip a name of accents, case, hyphens and the like: ``"Pastor-alemão"`` -> ``"pastor alemao"``."""
    letters = unicodedata.normalize("NFKD", name.casefold())
    bare = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return re.sub(r"[^\w]+|_", " ", bare).strip()


def meant_labels(name: str, species: str | None) -> set[str]:
    """Return the labels that a name stands for in any language, whether a bundle knows them or not."""
    return {label for owner, label in _index().get(plain(name), ()) if species in (None, owner)}


@cache
def _index() -> Mapping[str, frozenset[tuple[str, str]]]:
    """Index (species, label) by the plain names of species and breeds in all languages."""
    index: dict[str, set[tuple[str, str]]] = {}
    for (species, breed), known in read_names().items():
        for name in filter(None, (*known.own, *known.further, *known.plurals.values(), known.vbo)):
            index.setdefault(plain(name), set()).add((species, breed or species))
    return {name: frozenset(owners) for name, owners in index.items()}


def _read(path: Path) -> dict[str, Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(path.read_text(encoding="utf-8"), Loader=loader)  # noqa: S506


def _listed(names: Mapping[str, str | list[str]]) -> dict[str, tuple[str, ...]]:
    """Turn the name or names in each language into a tuple."""
    return {
        language: (given,) if isinstance(given, str) else tuple(given)
        for language in LANGUAGES
        if (given := names.get(language))
    }
