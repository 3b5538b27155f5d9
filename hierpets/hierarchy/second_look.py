"""When a photo is looked at again, closer to the animal, and what both looks say together. Pure numpy."""

from __future__ import annotations

import numpy as np

from hierpets.hierarchy.outputs import Calibration, Outputs
from hierpets.hierarchy.policy import PET_SCORE_BAND, SURE_BREED

__all__ = ["both_looks", "certainty_in_doubt", "is_doubtful"]


def certainty_in_doubt(outputs: Outputs, calibration: Calibration, *, least: float) -> np.ndarray:
    """How probable the best breed of each of N photos is, other breeds considered, float64 [N], where its pet score is
    near ``least``, the least one of a pet; 1 where it is not. A species without breeds counts for nothing however
    probable it is: to be told from the other species, a photo need not show a pet.
    """
    found = np.ones(len(outputs.scores))
    near = np.abs(outputs.scores[:, 0] - least) < PET_SCORE_BAND
    if near.any():  # few photos are so near, and every batch is asked about
        found[near] = calibration.certainty(outputs.where(near), calibration.taxonomy.is_breed)
    return found


def is_doubtful(outputs: Outputs, calibration: Calibration, *, least: float) -> np.ndarray:
    """bool [N]: which of N photos leave doubt whether they show a pet, and show no breed that is sure: those that are
    looked at again, closer.
    """
    return certainty_in_doubt(outputs, calibration, least=least) < SURE_BREED


def both_looks(first: Outputs, second: Outputs, rows: np.ndarray) -> Outputs:
    """The outputs of a ``first`` look at N photos, and, for those of the ``rows`` int [M], their mean with those of the
    ``second`` look [M].

    The mean of logits is the geometric mean of what both looks hold for probable.
    """
    found = Outputs(*(array.copy() for array in first))
    for values, closer in zip(found, second, strict=True):
        values[rows] = (values[rows] + closer) / 2
    return found
