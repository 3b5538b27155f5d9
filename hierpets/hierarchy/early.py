"""When an early network answers, and how its logits are put on the scale of the main network. Pure numpy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from hierpets.hierarchy.calibration import Temperatures
from hierpets.hierarchy.outputs import Calibration, Outputs
from hierpets.taxonomy import Taxonomy

__all__ = ["MAX_EARLY", "ask_in_turn", "on_main_scale"]

MAX_EARLY = 4
"""Most early networks of a bundle: each takes memory, and a photo that none is sure of runs through all."""


class Asked(Protocol):
    """An early network: its temperatures, and the threshold that its certainty must exceed to answer."""

    @property
    def temperatures(self) -> Temperatures: ...
    @property
    def threshold(self) -> float: ...


def ask_in_turn(
    early: Sequence[Outputs], main: Outputs, calibration: Calibration, *, asked: Sequence[Asked], learned: np.ndarray
) -> tuple[Outputs, np.ndarray]:
    """The outputs for N photos of the first network that is sure of each, on the scale of the main one, and the number
    of that network, int [N].

    ``early`` are the outputs of the networks ``asked`` before the main one, and ``main`` those of the main one, all for
    the same photos; ``calibration`` is that of the main network.

    An early network can be sure only of leaves learned from photos, ``learned`` bool [L]: a smaller network knows less
    from pretraining than a larger one, but is just as confident (docs/experiments.md).
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
    """Rescale the logits [N, S] and [N, L] of an early network, float32, so that the temperatures of the main network
    calibrate them: rows of both networks can then be decided together.
    """
    inverse = Temperatures(
        species=1 / main.species, breeds={name: 1 / temperature for name, temperature in main.breeds.items()}
    )
    scaled = inverse.apply(*own.apply(species, leaf, taxonomy), taxonomy)
    return scaled[0].astype(np.float32), scaled[1].astype(np.float32)
