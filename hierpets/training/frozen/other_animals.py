"""What a pretrained head says of animals that are no pets, measured by what it says of the training photos."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hierpets.hierarchy.likeness import OtherAnimal
from hierpets.inference.detector.second_look import OTHERS
from hierpets.model.statistics.classes import ClassStatistics
from hierpets.plugin import PretrainedHead

__all__ = ["find_other_animals"]


def find_other_animals(statistics: ClassStatistics, head: PretrainedHead | None) -> tuple[OtherAnimal, ...]:
    """The classes of the pretrained head that show one of :data:`OTHERS`, but for species that have training photos."""
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
            if deviation > 0:  # of a single photo there is none
                # What the head's biases add is the same for every photo.
                yield OtherAnimal(
                    name=name, weights=tuple(map(_short, lead / deviation)), bias=_short(-mean / deviation)
                )


def _moments(statistics: ClassStatistics, weights: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of a linear function of the features, [D], over the training photos."""
    shares = statistics.weights / statistics.weights.sum()
    by_class = statistics.means @ weights
    mean = shares @ by_class
    variance = shares @ (by_class - mean) ** 2 + weights @ statistics.covariance @ weights
    return float(mean), float(np.sqrt(max(variance, 0.0)))


def _short(value: float) -> float:
    """With the digits that features have."""
    return float(f"{value:.6g}")
