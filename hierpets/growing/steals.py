"""Find new breeds that take photos from old ones."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from hierpets.evaluation.result import Evaluation
from hierpets.growing.leave_one_out import LeaveOneOutPredictions
from hierpets.growing.photos import NewPhotos
from hierpets.taxonomy import Leaf, Taxonomy
from hierpets.text import counted, join_words

__all__ = ["Steal", "find_confused", "find_taken"]

HARD = 0.2  # share of a new leaf's photos predicted as one old leaf above which there is a warning


@dataclass(frozen=True)
class Steal:
    """A new leaf that takes photos from an old one.

    If ``of_old``, ``photos`` are photos of ``old`` that were right before and are predicted as ``new`` by the grown
    bundle. Otherwise, they are photos of ``new`` that are predicted as ``old`` when left out.
    """

    new: Leaf
    old: Leaf
    photos: tuple[str, ...]
    of_old: bool

    def __str__(self) -> str:
        count, shown = len(self.photos), join_words(self.photos, limit=3)
        if self.of_old:
            were = "was" if count == 1 else "were"
            return f"{self.new} takes {counted(count, 'photo')} of {self.old} that {were} right before: {shown}"
        look = "looks" if count == 1 else "look"
        return f"{self.new} is hard to tell from {self.old}: {count} of its own photos {look} like that: {shown}"


def find_confused(photos: NewPhotos, predictions: LeaveOneOutPredictions, new: Sequence[Leaf]) -> list[Steal]:
    """Pairs of a new leaf and an old one as which many of its own photos are predicted when left out."""
    taken: dict[tuple[Leaf, Leaf], list[str]] = defaultdict(list)
    for row, leaf in zip(predictions.rows.tolist(), predictions.answers, strict=True):
        record = photos.records[row]
        if record.label in new and leaf not in new:
            taken[record.label, leaf].append(record.path)
    counts = Counter(record.label for record in photos.records)
    return [Steal(a, b, tuple(paths), False) for (a, b), paths in taken.items() if len(paths) > HARD * counts[a]]


def find_taken(a: Evaluation, b: Evaluation, old: Taxonomy, new: Taxonomy) -> list[Steal]:
    """Photos that were right before and are predicted as a new leaf now.

    ``a`` and ``b`` are evaluations on the same photos before and after, ``old`` and ``new`` the taxonomies.
    """
    first, second = (e.predictions.probabilities.argmax(axis=1) for e in (a, b))
    taken: dict[tuple[Leaf, Leaf], list[str]] = defaultdict(list)
    for path, truth, was, now in zip(a.predictions.paths, a.predictions.leaf_true, first, second, strict=True):
        leaf = new.leaves[now]
        if was == truth and leaf not in old.leaves:
            taken[leaf, old.leaves[truth]].append(path)
    return [Steal(leaf, truth, tuple(paths), True) for (leaf, truth), paths in taken.items()]
