import numpy as np
import pytest
from helpers.fakes import TAXONOMY

from hierpets.hierarchy.calibration import Temperatures
from hierpets.hierarchy.outputs import Calibration, Outputs

EVERY_LEAF = np.ones(6, dtype=bool)


def test_certainty_is_the_probability_of_the_best_leaf():
    species, leaf = np.log([[0.5, 0.3, 0.2]]), np.log([[0.9, 0.1, 0.6, 0.3, 0.1, 1.0]])
    scores, plain = np.array([[0.0, 1.0, 1.0, 1.0]]), Temperatures()

    def certain(scores, temperatures, leaves=EVERY_LEAF):
        calibration = Calibration(TAXONOMY, temperatures, "conditional")
        return calibration.certainty(Outputs(species, leaf, scores), leaves).tolist()

    assert certain(scores, plain) == pytest.approx([0.45])
    # The square root of 0.9 to 0.1 is 3 to 1.
    assert certain(scores, Temperatures(breeds={"cat": 2.0})) == pytest.approx([0.375])
    # Another breed than those listed may be the right one; a species without breeds is always listed.
    assert certain(np.array([[0.0, 0.6, 1.0, 0.1]]), plain) == pytest.approx([0.27])
    assert certain(np.array([[0.0, 0.1, 0.1, 0.1]]), plain) == pytest.approx([0.2])
    # Of a leaf that does not count it is never certain.
    assert certain(scores, plain, np.arange(6) > 0) == [0.0]
    assert certain(scores, plain, np.arange(6) < 1) == pytest.approx([0.45])
