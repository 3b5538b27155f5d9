"""Find names that are probably misspellings of others: a misspelled folder becomes a class of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher

from hierpets.data.labeled.consistency import folded
from hierpets.messages.breeds import find_label, meant_labels, read_names
from hierpets.taxonomy import Leaf, Taxonomy

__all__ = ["find_almost", "find_lookalikes", "known_labels"]

ALIKE = 0.9  # ratio of difflib from which on names count as the same, such as "siamese" and "siamesse"
WORD = 5  # letters; in shorter names, none may be replaced


def find_lookalikes(taxonomy: Taxonomy) -> dict[Leaf, str]:
    """Return a line for each species, by ``Leaf(species, None)``, and each breed whose name is almost that of an
    earlier one or of one that hierpets knows, or is another name for an earlier one.
    """
    found = {Leaf(name, None): like for name, like in _lookalikes(taxonomy.species, None)}
    for species, breeds in taxonomy.tree.items():
        found |= {Leaf(species, name): like for name, like in _lookalikes(breeds, species)}
    return {
        leaf: f"class {leaf} is {like}; if that is meant, rename it: as it is, it is learned as a class of its own"
        for leaf, like in found.items()
    }


def find_almost(name: str, others: Iterable[str], species: str | None) -> str | None:
    """Return the first of the others that ``name`` is probably a misspelling of; None if it is a known name: a Welsh
    Springer Spaniel is no misspelled English one.
    """
    return None if meant_labels(name, species) else next((one for one in others if _are_alike(name, one)), None)


def known_labels(species: str | None) -> list[str]:
    """Return the breeds of a species that hierpets knows by name; the species if it is None."""
    return [breed or owner for owner, breed in read_names() if (owner if breed else None) == species]


def _lookalikes(names: Iterable[str], species: str | None) -> Iterator[tuple[str, str]]:
    labels = known_labels(species)
    earlier: list[str] = []
    for name in sorted(names, key=lambda name: (name not in labels, name)):
        if name not in labels:
            if same := find_label(name, earlier, species):
                yield name, f"another name of {same!r}"
            elif like := find_almost(name, (*earlier, *labels), species):
                yield name, f"almost {like!r}"
        earlier.append(name)


def _are_alike(one: str, other: str) -> bool:
    """Whether two names probably mean the same: singular and plural, or a misspelling."""
    short, long = sorted(map(folded, (one, other)), key=len)
    plurals = {short + "s", short + "es", short.removesuffix("y") + "ies"}
    return long in plurals or _is_a_letter_apart(short, long) or _share_most_letters(short, long)


def _share_most_letters(one: str, other: str) -> bool:
    """Whether they share most letters in the same order; counting letters, which is cheap, rules out most pairs."""
    letters = len(one) + len(other)
    may_be = letters - len({*one} ^ {*other}) >= ALIKE * letters
    return may_be and SequenceMatcher(None, one, other).ratio() >= ALIKE


def _is_a_letter_apart(short: str, long: str) -> bool:
    """Whether a letter is left out or two are swapped; or, except in short words, one is replaced: a rat is no cat."""
    same = next((i for i, letters in enumerate(zip(short, long, strict=False)) if len({*letters}) > 1), len(short))
    rest, other = short[same:], long[same:]
    if len(short) < len(long):
        return rest == other[1:]
    swapped = rest[:2] == other[1::-1] and rest[2:] == other[2:]
    return len(short) == len(long) and (swapped or (len(short) >= WORD and rest[1:] == other[1:]))
