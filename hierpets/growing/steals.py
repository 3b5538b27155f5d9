"""Where a new breed takes photos from an old one."""

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

HARD = 0.2  # share of a new leaf's photos that look like one old leaf, above which a warning is due


@dataclass(frozen=True)
class Steal:
    """Photos of ``old`` that the grown bundle calls ``new``, and that the bundle of before got right; or, where no old
    photos were at hand, photos of ``new`` that it calls ``old`` without them.
    """

    new: Leaf
    old: Leaf
    photos: tuple[str, ...]
    of_old: bool

    def __str__(self) -> str:
        count, shown = len(self.photos), join_words(self.photos, most=3)
        if self.of_old:
            were = "was" if count == 1 else "were"
            return f"{self.new} takes {counted(count, 'photo')} of {self.old} that {were} right before: {shown}"
        look = "looks" if count == 1 else "look"
        return f"{self.new} is hard to tell from {self.old}: {count} of its own photos {look} like that: {shown}"


def find_confused(photos: NewPhotos, predictions: LeaveOneOutPredictions, new: Sequence[Leaf]) -> list[Steal]:
    """Pairs of a new leaf and an old one that its own photos look like without them."""
    taken: dict[tuple[Leaf, Leaf], list[str]] = defaultdict(list)
    for row, leaf in zip(predictions.rows.tolist(), predictions.answers, strict=True):
        record = photos.records[row]
        if record.label in new and leaf not in new:
            taken[record.label, leaf].append(record.path)
    counts = Counter(record.label for record in photos.records)
    return [Steal(a, b, tuple(paths), False) for (a, b), paths in taken.items() if len(paths) > HARD * counts[a]]


def find_taken(a: Evaluation, b: Evaluation, old: Taxonomy, new: Taxonomy) -> list[Steal]:
    """What the leaves that are ``new`` alone took of photos that were right: evaluations before and after."""
    first, second = (e.predictions.probabilities.argmax(axis=1) for e in (a, b))
    taken: dict[tuple[Leaf, Leaf], list[str]] = defaultdict(list)
    for path, truth, was, now in zip(a.predictions.paths, a.predictions.leaf_true, first, second, strict=True):
        leaf = new.leaves[now]
        if was == truth and leaf not in old.leaves:
            taken[leaf, old.leaves[truth]].append(path)
    return [Steal(leaf, truth, tuple(paths), True) for (leaf, truth), paths in taken.items()]
