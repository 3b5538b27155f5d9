from types import SimpleNamespace

import numpy as np
import pytest
from helpers.fakes import TAXONOMY

from hierpets.hierarchy.calibration import Temperatures
from hierpets.hierarchy.early import ask_in_turn, on_main_scale
from hierpets.hierarchy.outputs import Calibration, Outputs
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


def sure_of(*leaves, listed=1.0):
    """Outputs for photos of which each is surely of its leaf; -1 where nothing is known."""
    n = len(leaves)
    species, leaf, scores = np.zeros((n, 3)), np.zeros((n, 6)), np.full((n, 4), listed)
    for row, number in enumerate(leaves):
        if number >= 0:
            species[row, TAXONOMY.leaf_species[number]] = leaf[row, number] = 9.0
    return Outputs(species, leaf, scores)


def test_each_photo_is_answered_by_the_first_network_that_is_sure_of_a_leaf_that_photos_taught():
    """As sure as its own temperatures make it, where its breed is listed."""
    main = Calibration(TAXONOMY, MAIN, "conditional")
    asked = [
        SimpleNamespace(temperatures=OWN, threshold=0.9),
        SimpleNamespace(temperatures=Temperatures(), threshold=0.9),
    ]
    early = [sure_of(-1, 2, -1, 1), sure_of(0, 0, -1, 1)]
    given = sure_of(3, 3, 3, 3)
    found, stage = ask_in_turn(early, given, main, asked=asked, learned=np.arange(6) != 1)
    assert stage.tolist() == [1, 0, 2, 2]
    assert main.joint(found).argmax(axis=1).tolist() == [0, 2, 3, 3]
    own = Calibration(TAXONOMY, OWN, "conditional").joint(early[0])
    np.testing.assert_allclose(main.joint(found)[1], own[1], atol=1e-6)
    assert given.leaf[0].argmax() == 3, "what was given is as it was"
    unlisted = [sure_of(0, listed=0.5)]
    assert ask_in_turn(unlisted, sure_of(3), main, asked=asked[:1], learned=np.ones(6, bool))[1].tolist() == [1]
    flat = [SimpleNamespace(temperatures=Temperatures(species=20.0), threshold=0.9)]
    assert ask_in_turn([sure_of(0)], sure_of(3), main, asked=flat, learned=np.ones(6, bool))[1].tolist() == [1]
