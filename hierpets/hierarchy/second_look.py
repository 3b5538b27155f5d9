"""When a photo is looked at again, closer to the animal, and what both looks say together. Pure numpy."""

from __future__ import annotations

import numpy as np

from hierpets.hierarchy.outputs import Calibration, Outputs
from hierpets.hierarchy.policy import PET_SCORE_BAND, SURE_BREED

__all__ = ["both_looks", "is_doubtful"]


def is_doubtful(outputs: Outputs, calibration: Calibration, *, least: float) -> np.ndarray:
    """bool [N]: which of N photos leave doubt whether they show a pet: those whose pet score is near ``least``, the
    least one of a pet, and whose best breed is not sure, other breeds than those listed considered. A species without
    breeds leaves doubt however probable it is: to be told from the other species, a photo need not show a pet.
    """
    found = np.abs(outputs.scores[:, 0] - least) < PET_SCORE_BAND
    if found.any():  # few photos are so near, and every batch is asked about
        found[found] = calibration.certainty(outputs.where(found), calibration.taxonomy.is_breed) < SURE_BREED
    return found


def both_looks(first: Outputs, second: Outputs, rows: np.ndarray) -> Outputs:
    """The outputs of a ``first`` look at N photos, and, for those of the ``rows`` int [M], their mean with those of the
    ``second`` look [M].

    The mean of logits is the geometric mean of what both looks hold for probable.
    """
    found = Outputs(*(array.copy() for array in first))
    for values, closer in zip(found, second, strict=True):
        values[rows] = (values[rows] + closer) / 2
    return found
