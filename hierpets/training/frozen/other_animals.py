"""How strongly a pretrained head sees animals that are no pets, relative to its outputs for the training photos."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hierpets.hierarchy.likeness import OtherAnimal
from hierpets.inference.detector.second_look import OTHERS
from hierpets.model.statistics.classes import ClassStatistics
from hierpets.plugin import PretrainedHead

__all__ = ["find_other_animals"]


def find_other_animals(statistics: ClassStatistics, head: PretrainedHead | None) -> tuple[OtherAnimal, ...]:
    """Return each pretrained class that shows one of :data:`OTHERS`, except species that have training photos."""
    return tuple(_animals(statistics, head)) if head is not None else ()


def _animals(statistics: ClassStatistics, head: PretrainedHead) -> Iterator[OtherAnimal]:
    weights = head.head.weight.detach().cpu().double().numpy()
    for name in OTHERS:
        if name in statistics.taxonomy.species:
            continue
        for shown in head.species_classes.get(name, ()):
            lead = np.zeros(statistics.sums.shape[1])
            lead[: weights.shape[1]] = weights[shown] - weights.mean(axis=0)
            mean, deviation = _moments(statistics, lead)
            if deviation > 0:  # 0 for a single photo
                # The head's biases are left out, as they are the same for every photo.
                yield OtherAnimal(
                    name=name, weights=tuple(map(_short, lead / deviation)), bias=_short(-mean / deviation)
                )


def _moments(statistics: ClassStatistics, weights: np.ndarray) -> tuple[float, float]:
    """Return mean and standard deviation, over the training photos, of the features' product with ``weights`` [D]."""
    shares = statistics.weights / statistics.weights.sum()
    by_class = statistics.means @ weights
    mean = shares @ by_class
    variance = shares @ (by_class - mean) ** 2 + weights @ statistics.covariance @ weights
    return float(mean), float(np.sqrt(max(variance, 0.0)))


def _short(value: float) -> float:
    """Round to six digits, about the precision of features."""
    return float(f"{value:.6g}")
