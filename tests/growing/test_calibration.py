"""Thresholds of a bundle that has learned a new species."""

import numpy as np
import pytest

from hierpets.growing.calibration import Unseen, grow_policy
from hierpets.hierarchy.policy import MAX_SET, Policy
from hierpets.plugin import Labels
from hierpets.taxonomy import Leaf, Taxonomy

TREE = Taxonomy(tree={"cat": ("birman", "siamese"), "rabbit": ()})
RABBIT = Leaf("rabbit", None)


@pytest.mark.parametrize(("before", "after"), [(0.5, 0.01), (-3.0, -3.0)])
def test_one_in_a_hundred_photos_of_a_new_species_may_count_as_no_pet(before, after):
    labels = Labels(np.ones(101, int), np.full(101, 2), TREE.species, tuple(map(str, TREE.leaves)))
    scores = np.stack([np.linspace(0, 1, 101), *np.ones((2, 101))], axis=1)
    unseen = Unseen(np.arange(101), np.tile([0.0, 0.0, 1.0], (101, 1)), scores, labels, (RABBIT,) * 101)
    known = Policy(pet=before, scores={"trained": {"cat": ((0.0,) * MAX_SET,) * 30}})
    assert grow_policy(known, unseen, {RABBIT}, TREE).pet == pytest.approx(after)
