"""Which frozen features and which heads: recipe ``auto`` cross-validates them on the training photos alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hierpets.config import AutoConfig, BackboneChoice, HeadSpec
from hierpets.hierarchy.probabilities import Combiner
from hierpets.training.frozen.fit import Sample
from hierpets.training.frozen.linear_probe import fit_heads
from hierpets.training.score import Score, score_logits

__all__ = ["Candidate", "best_candidate", "cross_validate", "head_specs"]


@dataclass(frozen=True)
class Candidate:
    """A backbone, the views that its features are averaged over, the heads, and how well they did out of fold."""

    backbone: BackboneChoice
    view: str
    head: HeadSpec
    score: Score

    def as_event(self) -> dict[str, Any]:
        """A row of the table."""
        return {
            "backbone": str(self.backbone),
            "view": self.view,
            "head": str(self.head),
            **{key: value and round(value, 5) for key, value in self.score.as_dict().items()},
        }


def head_specs(auto: AutoConfig, photos: int) -> Iterator[HeadSpec]:
    """The heads to compare; those with a logistic regression only where it ends in seconds."""
    for spec in auto.heads:
        if spec.kind == "lda" or photos <= LOGISTIC_PHOTOS:
            yield spec


LOGISTIC_PHOTOS = 5000


def cross_validate(sample: Sample, spec: HeadSpec, folds: np.ndarray, combiner: Combiner) -> Score | None:
    """How good heads are on photos that they did not see; None where no fold can be judged."""
    logits: list[tuple[np.ndarray, np.ndarray]] = []
    rows: list[np.ndarray] = []
    for fold in np.unique(folds):
        seen = sample.where(folds != fold)
        if not seen.holds_every_class():
            continue
        heads = fit_heads(
            seen.views,
            species=seen.labels.species,
            leaf=seen.labels.leaf,
            weights=seen.weights,
            taxonomy=sample.taxonomy,
            spec=spec,
        )
        rows.append(np.flatnonzero(folds == fold))
        logits.append(heads(sample.features[folds == fold]))
    if not rows:
        return None
    judged = np.concatenate(rows)
    species, leaf = (np.concatenate(level) for level in zip(*logits, strict=True))
    labels = sample.where(np.isin(np.arange(len(folds)), judged)).labels
    order = np.argsort(judged)
    return score_logits(species[order], leaf[order], labels=labels, taxonomy=sample.taxonomy, combiner=combiner)


def best_candidate(candidates: Sequence[Candidate]) -> Candidate:
    """The best by breed balanced accuracy, then likelihood; the earlier, cheaper one of equals."""
    return max(candidates, key=lambda candidate: candidate.score.accuracy)
