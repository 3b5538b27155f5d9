"""Recall of every class: the lowest that counts, where it rests on the most photos."""

from __future__ import annotations

from typing import NamedTuple

from hierpets.checklist import commands
from hierpets.checklist.evidence import RunEvidence
from hierpets.checklist.verdict import ORDER, Item, Status, worst_of
from hierpets.evaluation.metrics.schema import ClassScores
from hierpets.text import join_words

__all__ = ["judge_recall"]

SPECIES_RECALL = (0.95, 0.80)  # below the first: warn, below the second: fail
BREED_RECALL = (0.70, 0.40)
NAMED = 3  # classes that are called by name
SUPPORT = 5  # photos of a class, below which its recall says little


def judge_recall(run: RunEvidence) -> Item:
    """Judge whether any class is recognized too rarely, or too few of its photos were judged."""
    question = "recall of every class?"
    parts: list[str] = []
    status: Status = "pass"
    next_step = ""
    for level, bounds in (("species", SPECIES_RECALL), ("breed", BREED_RECALL)):
        if recalls := _recalls(run, level):
            found, highest, verdict = _LowestRecall.of(recalls, bounds)
            luck = f", but by its 95% interval it may be {highest:.1%}"
            parts.append(f"lowest {level}: {found}{luck if verdict == 'warn' else ''}")
            status = worst_of(status, verdict)
            if verdict != "pass":
                may_be_luck = highest >= bounds[0]
                next_step = commands.evaluate_elsewhere(run) if may_be_luck else commands.train_on_more(run)
    if not parts:
        evidence = f"no class has {SUPPORT} photos, {run.held_out[0]}"
        return Item(question, "not done", evidence, commands.evaluate_elsewhere(run))
    if skipped := _without_recall(run):
        parts.append(f"fewer than {SUPPORT} photos of {join_words(skipped, limit=NAMED)}")
        status, next_step = "warn" if status == "pass" else status, next_step or commands.evaluate_elsewhere(run)
    return Item(question, status, "; ".join(parts), next_step)


class _ClassRecall(NamedTuple):
    """The recall of a class, where it rests on the most photos."""

    label: str
    scores: ClassScores
    source: str

    def __str__(self) -> str:
        return f"{self.label} {self.scores.recall:.1%} of {self.scores.support} ({self.source})"


class _LowestRecall(NamedTuple):
    """The recall that decides a level, the ``highest`` that it may be by its interval, and the verdict."""

    found: _ClassRecall
    highest: float
    verdict: Status

    @classmethod
    def of(cls, recalls: list[_ClassRecall], bounds: tuple[float, float]) -> _LowestRecall:
        """Fail what is surely too low, for one of so many classes; warn of what is too low as it was measured."""

        def judged(found: _ClassRecall) -> _LowestRecall:
            highest = found.scores.recall_among(len(recalls))[1]
            low: Status = "warn" if found.scores.recall < bounds[0] else "pass"
            return cls(found, highest, "fail" if highest < bounds[1] else low)

        return max(map(judged, recalls), key=lambda one: (ORDER.index(one.verdict), -one.found.scores.recall))


def _recalls(run: RunEvidence, level: str) -> list[_ClassRecall]:
    """Of each class with enough photos: where it has the most, held out or in an evaluation elsewhere."""
    best: dict[str, _ClassRecall] = {}
    for source, metrics in (run.held_out, *run.elsewhere.items()):
        measured = metrics.by_level.get(level)
        for label, scores in measured.per_class.items() if measured else ():
            if scores.support >= SUPPORT and (label not in best or scores.support > best[label].scores.support):
                best[label] = _ClassRecall(label, scores, source)
    return list(best.values())


def _without_recall(run: RunEvidence) -> list[str]:
    """The breeds that were learned from photos, and of which too few were judged."""
    judged = {found.label for found in _recalls(run, "breed")}
    pairs = zip(run.manifest.taxonomy.leaves, run.manifest.origins, strict=True)
    learned = [str(leaf) for leaf, origin in pairs if leaf.breed and origin != "pretrained"]
    return [label for label in learned if label not in judged]
