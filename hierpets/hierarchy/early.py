"""When an early network answers, and how its answer stands beside those of the main one. Pure numpy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from hierpets.hierarchy.calibration import Temperatures
from hierpets.hierarchy.outputs import Calibration, Outputs
from hierpets.taxonomy import Taxonomy

__all__ = ["MOST_EARLY", "ask_in_turn", "on_main_scale"]

MOST_EARLY = 4
"""Early networks of a bundle: each takes memory, and a photo that none is sure of pays for all."""


class Asked(Protocol):
    """A network that is asked before the main one: its temperatures, and what its certainty must exceed to answer."""

    @property
    def temperatures(self) -> Temperatures: ...
    @property
    def threshold(self) -> float: ...


def ask_in_turn(
    early: Sequence[Outputs], main: Outputs, calibration: Calibration, *, asked: Sequence[Asked], learned: np.ndarray
) -> tuple[Outputs, np.ndarray]:
    """What N photos are answered with by the first network that is sure of each, on the scale of the main one; and the
    number of that network, int [N]. ``early`` are the outputs of those that are ``asked``, for the same photos as
    ``main``, whose ``calibration`` is given.

    An early network is sure of no leaf but those that photos taught, ``learned`` bool [L]: the smaller of two networks
    knows less from pretraining than the larger one, and is as sure of it (docs/experiments.md).
    """
    found, stage = Outputs(*(array.copy() for array in main)), np.full(len(main.species), len(early))
    taxonomy, main_scale = calibration.taxonomy, calibration.temperatures
    for number, (own, network) in enumerate(zip(early, asked, strict=True)):
        certain = calibration.with_temperatures(network.temperatures).certainty(own, learned)
        sure = (stage == len(early)) & (certain > network.threshold)
        logits = on_main_scale(own.species, own.leaf, taxonomy, own=network.temperatures, main=main_scale)
        for rows, answers in zip(found, (*logits, own.scores), strict=True):
            rows[sure] = answers[sure]
        stage[sure] = number
    return found, stage


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
