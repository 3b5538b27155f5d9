"""Which photos get a second look, closer to the animal, and how the outputs of both looks are merged. Pure numpy."""

from __future__ import annotations

import numpy as np

from hierpets.hierarchy.outputs import Calibration, Outputs
from hierpets.hierarchy.policy import PET_SCORE_BAND, SURE_BREED

__all__ = ["both_looks", "certainty_in_doubt", "is_doubtful"]


def certainty_in_doubt(outputs: Outputs, calibration: Calibration, *, pet_threshold: float) -> np.ndarray:
    """Return the probability of the best breed, unlisted breeds considered, of each of N photos whose pet score is near
    ``pet_threshold``, the lowest one of a pet; 1 for other photos. float64 [N].

    It is 0 where the best leaf is a species without breeds: a photo can be most like that species among the known ones
    and still show no pet.
    """
    found = np.ones(len(outputs.scores))
    near = np.abs(outputs.scores[:, 0] - pet_threshold) < PET_SCORE_BAND
    if near.any():  # few photos are, and this runs for every batch
        found[near] = calibration.certainty(outputs.where(near), calibration.taxonomy.is_breed)
    return found


def is_doubtful(outputs: Outputs, calibration: Calibration, *, pet_threshold: float) -> np.ndarray:
    """Which of N photos get a closer second look, bool [N]: those that may show no pet, and no sure breed."""
    return certainty_in_doubt(outputs, calibration, pet_threshold=pet_threshold) < SURE_BREED


def both_looks(first: Outputs, second: Outputs, rows: np.ndarray) -> Outputs:
    """The outputs of the ``first`` look at N photos; for the ``rows`` int [M], the mean with the ``second`` look at M.

    The mean of logits corresponds to the geometric mean of the probabilities of both looks.
    """
    found = Outputs(*(array.copy() for array in first))
    for values, closer in zip(found, second, strict=True):
        values[rows] = (values[rows] + closer) / 2
    return found
