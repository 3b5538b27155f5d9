"""Measure heads on a tuned backbone, with its weights interpolated between the start and the end of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hierpets.config import HeadSpec
from hierpets.data.records import PhotoIndex
from hierpets.model.heads import Linear
from hierpets.model.rounding import round_weights
from hierpets.plugin import Labels
from hierpets.progress import Progress, no_progress
from hierpets.training.features.extractor import FeatureExtractor
from hierpets.training.frozen.linear_probe import fit_head
from plugins.samplers.balanced import breed_balanced
from tools.tuning.procedure import LOGISTIC
from tools.tuning.tuned import Tuned

__all__ = ["ALPHAS", "Accuracy", "measure", "table"]

ALPHAS = (0.0, 0.25, 0.5, 0.75, 1.0)
HEADS = {"LDA": HeadSpec(kind="lda"), "logistic": LOGISTIC}
Accuracy = dict[str, dict[str, dict[str, float]]]
"""Percent, by coefficient, by head, by set of photos."""


def measure(
    tuned: Tuned, photos: PhotoIndex, judged: Mapping[str, PhotoIndex], *, progress: Progress = no_progress
) -> Accuracy:
    """Measure accuracy on each set of ``judged``: of the tuned head and of heads newly fitted to ``photos``, with the
    backbone at each coefficient, rounded as in a bundle.
    """
    return {f"{alpha:g}": _at(alpha, tuned, photos, judged, progress) for alpha in ALPHAS}


def _at(
    alpha: float, tuned: Tuned, photos: PhotoIndex, judged: Mapping[str, PhotoIndex], progress: Progress
) -> dict[str, dict[str, float]]:
    network = tuned.at(alpha)
    round_weights(network.backbone)
    extractor = FeatureExtractor(tuned.backbone, tuned.device)
    features, labels = extractor.features(photos.paths, progress=progress), photos.labels()
    classes, weights = len(photos.taxonomy.leaves), breed_balanced(labels)
    heads = {"tuned": network.get_heads().leaf}
    heads |= {
        name: fit_head(features, labels.leaf, weights, classes=classes, spec=spec) for name, spec in HEADS.items()
    }
    seen = {
        name: (extractor.features(index.paths, progress=progress), index.labels()) for name, index in judged.items()
    }
    return {name: {where: _accuracy(head, *found) for where, found in seen.items()} for name, head in heads.items()}


def _accuracy(head: Linear, features: np.ndarray, labels: Labels) -> float:
    return round(100 * float((head(features).argmax(axis=1) == labels.leaf).mean()), 2)


def table(parts: Sequence[Accuracy]) -> str:
    """Return a Markdown table of means over ``parts``: rows are coefficients and heads, columns are sets of photos."""
    first = parts[0]["0"]["tuned"]
    lines = [f"| coefficient | head | {' | '.join(first)} |", f"| --- | --- |{' ---: |' * len(first)}"]
    for alpha, heads in parts[0].items():
        for head in heads:
            means = [np.mean([part[alpha][head][where] for part in parts]) for where in first]
            lines.append(f"| {alpha} | {head} | {' | '.join(f'{mean:.2f}' for mean in means)} |")
    return "\n".join(lines)
