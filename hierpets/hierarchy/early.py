"""When an early network answers, and how its answer stands beside those of the main one. Pure numpy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from hierpets.hierarchy.calibration import Temperatures
from hierpets.hierarchy.decision import named_probabilities
from hierpets.hierarchy.probabilities import Combiner
from hierpets.taxonomy import Taxonomy

__all__ = ["MOST_EARLY", "Outputs", "ask_in_turn", "certainty", "on_main_scale"]

MOST_EARLY = 4
"""Early networks of a bundle: each takes memory, and a photo that none is sure of pays for all."""


class Outputs(NamedTuple):
    """What a network gives for N photos: ``species`` logits [N, S], ``leaf`` logits [N, L], ``scores`` [N, 1 + S]."""

    species: np.ndarray
    leaf: np.ndarray
    scores: np.ndarray


class Asked(Protocol):
    """A network that is asked before the main one: its temperatures, and what its certainty must exceed to answer."""

    @property
    def temperatures(self) -> Temperatures: ...
    @property
    def threshold(self) -> float: ...


def ask_in_turn(
    early: Sequence[Outputs],
    main: Outputs,
    taxonomy: Taxonomy,
    *,
    asked: Sequence[Asked],
    learned: np.ndarray,
    temperatures: Temperatures,
    combiner: Combiner,
) -> tuple[Outputs, np.ndarray]:
    """What N photos are answered with by the first network that is sure of each, on the scale of the main one; and the
    number of that network, int [N]. ``early`` are the outputs of those that are ``asked``, for the same photos as
    ``main``, whose ``temperatures`` are given; ``learned`` as in :func:`certainty`.
    """
    found, stage = Outputs(*(array.copy() for array in main)), np.full(len(main.species), len(early))
    for number, (own, network) in enumerate(zip(early, asked, strict=True)):
        certain = certainty(*own, taxonomy, learned=learned, temperatures=network.temperatures, combiner=combiner)
        sure = (stage == len(early)) & (certain > network.threshold)
        logits = on_main_scale(own.species, own.leaf, taxonomy, own=network.temperatures, main=temperatures)
        for rows, answers in zip(found, (*logits, own.scores), strict=True):
            rows[sure] = answers[sure]
        stage[sure] = number
    return found, stage


def certainty(
    species: np.ndarray,
    leaf: np.ndarray,
    scores: np.ndarray,
    taxonomy: Taxonomy,
    *,
    learned: np.ndarray,
    temperatures: Temperatures,
    combiner: Combiner,
) -> np.ndarray:
    """The probability that the best leaf is right, other breeds than those listed considered: float64 [N], of N photos
    by their logits [N, S] and [N, L] and their scores [N, 1 + S].

    0 where the best leaf is none of those that photos taught, ``learned`` bool [L]: the smaller of two networks knows
    less from pretraining than the larger one, and is as sure of it (docs/experiments.md).
    """
    joint = temperatures.joint(species, leaf, taxonomy, combiner=combiner)
    named = named_probabilities(joint, scores[:, 1:], taxonomy)
    return np.where(learned[named.argmax(axis=1)], named.max(axis=1), 0.0)


def on_main_scale(
    species: np.ndarray, leaf: np.ndarray, taxonomy: Taxonomy, *, own: Temperatures, main: Temperatures
) -> tuple[np.ndarray, np.ndarray]:
    """Logits [N, S] and [N, L] of an early network, float32, which the temperatures of the main one calibrate as its
    own would: so rows of both networks are decided in one way.
    """
    inverse = Temperatures(
        species=1 / main.species, breeds={name: 1 / temperature for name, temperature in main.breeds.items()}
    )
    scaled = inverse.apply(*own.apply(species, leaf, taxonomy), taxonomy)
    return scaled[0].astype(np.float32), scaled[1].astype(np.float32)
