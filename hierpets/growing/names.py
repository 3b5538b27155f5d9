"""Check the names of new classes against each other and against those that the bundle knows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from hierpets.data.labeled.alike import find_almost, find_lookalikes
from hierpets.data.labeled.consistency import find_misspelled, folded
from hierpets.errors import DataError
from hierpets.messages.breeds import find_label, meant_labels
from hierpets.taxonomy import Leaf, Taxonomy

__all__ = ["check_names", "find_misspelled_new", "find_namesakes"]


def check_names(new: Taxonomy, known: Taxonomy) -> None:
    """Check that each new class has a name of its own.

    :raises DataError: names that are almost spelled like, or synonyms of, those of other classes; a species with the
        name of a breed of a known one; breeds of a species that is known without breeds.
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
    """Yield a line for each new breed with the name of a known species, or of a breed of another species."""
    for leaf in new:
        if leaf.breed is None:
            continue
        if _is_name_of(leaf.breed, known.species):
            yield f"{leaf}: the bundle knows {leaf.breed} as a species; check the label"
        for species, breeds in known.tree.items():
            if species != leaf.species and _is_name_of(leaf.breed, breeds, species):
                yield f"{leaf}: the bundle knows {leaf.breed} as a breed of {species}; check the label"


def find_misspelled_new(grown: Taxonomy, known: Taxonomy) -> Iterator[str]:
    """Yield a line for each new class of the grown bundle whose name is likely misspelled."""
    old = find_lookalikes(known)
    yield from (line for leaf, line in find_lookalikes(grown).items() if leaf not in old)


def _owner(species: str, known: Taxonomy) -> str | None:
    """The known species that has a breed with the name of a new species, whether or not the bundle knows that breed."""
    if species in known.tree:
        return None
    meanings = meant_labels(species, None)
    for owner, breeds in known.tree.items():
        own = meant_labels(species, owner)
        if _is_name_of(species, breeds, owner) or (own and own == meanings and owner not in own):
            return owner
    return None


def _is_name_of(name: str, labels: Iterable[str], species: str | None = None) -> bool:
    """Whether a name is another spelling of one of the labels, or a synonym."""
    return folded(name) in map(folded, labels) or find_label(name, labels, species) is not None


def _almost(new: Sequence[str], known: Sequence[str], species: str | None = None) -> Iterator[str]:
    """Yield a line for each synonym and likely slip of the pen; :func:`find_misspelled` reports other spellings."""
    fresh = sorted({*new} - {*known})
    for place, name in enumerate(fresh):
        for others, whose in ((known, "which the bundle knows"), (fresh[:place], "another new one")):
            if folded(name) in map(folded, others):
                continue
            if same := find_label(name, others, species):
                yield f"{name!r} is another name of {same!r}, {whose}; rename the folder"
            elif like := find_almost(name, others, species):
                yield f"{name!r} is almost {like!r}, {whose} (did you mean {like!r}?); rename the folder"
