import numpy as np
import pytest
from helpers.fakes import TAXONOMY

from hierpets.hierarchy.calibration import Temperatures
from hierpets.hierarchy.early import on_main_scale
from hierpets.hierarchy.probabilities import COMBINERS

OWN = Temperatures(species=0.5, breeds={"cat": 2.0, "dog": 0.25})
MAIN = Temperatures(species=3.0, breeds={"cat": 0.7, "rabbit": 4.0})


@pytest.fixture
def logits():
    generator = np.random.default_rng(0)
    return generator.normal(size=(20, 3)).astype(np.float32), generator.normal(size=(20, 6)).astype(np.float32)


@pytest.mark.parametrize("combiner", COMBINERS)
def test_on_main_scale_gives_what_the_main_temperatures_calibrate_as_the_own_ones_do(logits, combiner):
    moved = on_main_scale(*logits, TAXONOMY, own=OWN, main=MAIN)
    assert [array.dtype for array in moved] == [np.float32, np.float32]
    expected, found = (
        temperatures.joint(*given, TAXONOMY, combiner=combiner)
        for temperatures, given in ((OWN, logits), (MAIN, moved))
    )
    np.testing.assert_allclose(found, expected, atol=1e-6)
