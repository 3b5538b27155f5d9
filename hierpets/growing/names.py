"""Names of new classes, checked against each other and against those that the bundle knows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher

from hierpets.data.labeled.consistency import find_misspelled, folded
from hierpets.errors import DataError
from hierpets.messages.breeds import find_label, meant_labels
from hierpets.taxonomy import Leaf, Taxonomy

__all__ = ["check_names", "find_namesakes"]

ALIKE = 0.9  # of difflib: names as like as "siamese" and "siamesse" are taken for one
WORD = 5  # letters, of which one may be mistaken


def check_names(new: Taxonomy, known: Taxonomy) -> None:
    """Whether each class that is new has a name of its own.

    :raises DataError: names that are written almost as those of other classes, or stand for the same; a species that is
        called as a breed of a known one; breeds of a species without breeds.
    """
    labels = [("the bundle", leaf) for leaf in known.leaves] + [("the photos", leaf) for leaf in new.leaves]
    problems = [*find_misspelled(labels), *_almost(new.species, known.species)]
    for species in new.species:
        if owner := _owner(species, known):
            problems.append(f"{species}: is a breed of {owner}, no species; give the folder above it")
        problems += _almost(new.tree[species], known.tree.get(species, ()), species)
        if new.tree[species] and known.tree.get(species) == ():
            problems.append(
                f"{species}: the bundle knows no breeds of it, and its old photos would be of none; put the new ones "
                f"into the folder {species} itself, or train again with the breeds of all"
            )
    if problems:
        raise DataError("\n".join(dict.fromkeys(problems)))


def find_namesakes(new: Iterable[Leaf], known: Taxonomy) -> Iterator[str]:
    """A line for each new breed that is called as a known species, or as a breed of another one."""
    for leaf in new:
        if leaf.breed is None:
            continue
        if _is_called(leaf.breed, known.species):
            yield f"{leaf}: the bundle knows {leaf.breed} as a species; check the label"
        for species, breeds in known.tree.items():
            if species != leaf.species and _is_called(leaf.breed, breeds, species):
                yield f"{leaf}: the bundle knows {leaf.breed} as a breed of {species}; check the label"


def _owner(species: str, known: Taxonomy) -> str | None:
    """The known species of which a new one is a breed by its name, whether the bundle knows that breed or not."""
    if species in known.tree:
        return None
    meanings = meant_labels(species, None)
    for owner, breeds in known.tree.items():
        own = meant_labels(species, owner)
        if _is_called(species, breeds, owner) or (own and own == meanings and owner not in own):
            return owner
    return None


def _is_called(name: str, labels: Iterable[str], species: str | None = None) -> bool:
    """Whether a name is that of a label in another spelling, or another name of it."""
    return folded(name) in map(folded, labels) or find_label(name, labels, species) is not None


def _almost(new: Sequence[str], known: Sequence[str], species: str | None = None) -> Iterator[str]:
    fresh = sorted({*new} - {*known})
    for place, name in enumerate(fresh):
        for others, whose in ((known, "which the bundle knows"), (fresh[:place], "another new one")):
            if same := find_label(name, others, species):
                yield f"{name!r} is another name of {same!r}, {whose}; rename the folder"
            elif meant_labels(name, species):
                continue  # a Welsh Springer Spaniel is no slip of the pen for an English one
            elif like := next((other for other in others if _are_alike(name, other)), None):
                yield f"{name!r} is almost {like!r}, {whose} (did you mean {like!r}?); rename the folder"


def _are_alike(one: str, other: str) -> bool:
    """Whether two names are likely meant to be one: singular and plural, or a slip of the pen."""
    short, long = sorted(map(folded, (one, other)), key=len)
    plurals = {short + "s", short + "es", short.removesuffix("y") + "ies"}
    return long in plurals or _is_a_letter_apart(short, long) or SequenceMatcher(None, short, long).ratio() >= ALIKE


def _is_a_letter_apart(short: str, long: str) -> bool:
    """Whether a letter is left out, or two are swapped; or, in a name that is no short word, one is another: a rat is
    no cat.
    """
    same = next((i for i, letters in enumerate(zip(short, long, strict=False)) if len({*letters}) > 1), len(short))
    rest, other = short[same:], long[same:]
    if len(short) < len(long):
        return rest == other[1:]
    swapped = rest[:2] == other[1::-1] and rest[2:] == other[2:]
    return len(short) == len(long) and (swapped or (len(short) >= WORD and rest[1:] == other[1:]))
