import numpy as np
import pytest
from helpers.fakes import TAXONOMY

from hierpets.hierarchy.calibration import Temperatures
from hierpets.hierarchy.early import certainty, on_main_scale
from hierpets.hierarchy.probabilities import COMBINERS

OWN = Temperatures(species=0.5, breeds={"cat": 2.0, "dog": 0.25})
EVERY_LEAF = np.ones(6, dtype=bool)
MAIN = Temperatures(species=3.0, breeds={"cat": 0.7, "rabbit": 4.0})


@pytest.fixture
def logits():
    generator = np.random.default_rng(0)
    return generator.normal(size=(20, 3)).astype(np.float32), generator.normal(size=(20, 6)).astype(np.float32)


def test_certainty_is_the_probability_of_the_best_leaf():
    species, leaf = np.log([[0.5, 0.3, 0.2]]), np.log([[0.9, 0.1, 0.6, 0.3, 0.1, 1.0]])
    scores, plain = np.array([[0.0, 1.0, 1.0, 1.0]]), Temperatures()

    def certain(scores, temperatures, learned=EVERY_LEAF):
        how = {"learned": learned, "temperatures": temperatures, "combiner": "conditional"}
        return certainty(species, leaf, scores, TAXONOMY, **how).tolist()

    assert certain(scores, plain) == pytest.approx([0.45])
    # The square root of 0.9 to 0.1 is 3 to 1.
    assert certain(scores, Temperatures(breeds={"cat": 2.0})) == pytest.approx([0.375])
    # Another breed than those listed may be the right one; a species without breeds is always listed.
    assert certain(np.array([[0.0, 0.6, 1.0, 0.1]]), plain) == pytest.approx([0.27])
    assert certain(np.array([[0.0, 0.1, 0.1, 0.1]]), plain) == pytest.approx([0.2])
    # Of a breed that it knows from pretraining alone it is never certain.
    assert certain(scores, plain, np.arange(6) > 0) == [0.0]
    assert certain(scores, plain, np.arange(6) < 1) == pytest.approx([0.45])


@pytest.mark.parametrize("combiner", COMBINERS)
def test_on_main_scale_gives_what_the_main_temperatures_calibrate_as_the_own_ones_do(logits, combiner):
    moved = on_main_scale(*logits, TAXONOMY, own=OWN, main=MAIN)
    assert [array.dtype for array in moved] == [np.float32, np.float32]
    expected, found = (
        temperatures.joint(*given, TAXONOMY, combiner=combiner)
        for temperatures, given in ((OWN, logits), (MAIN, moved))
    )
    np.testing.assert_allclose(found, expected, atol=1e-6)
