"""The most probable breeds of a species together."""

import numpy as np
from helpers.strategies import logits_of
from hypothesis import given
from hypothesis import strategies as st

from hierpets.hierarchy.breed_sets import breed_sets
from hierpets.hierarchy.probabilities import joint_probabilities, most_probable_species


@given(logits_of(), st.integers(1, 4))
def test_sets_hold_the_most_probable_breeds_of_the_species_and_never_all_of_them(case, largest):
    taxonomy, *logits = case
    named = joint_probabilities(*logits, taxonomy)
    species = most_probable_species(named, taxonomy)
    sets = breed_sets(named, species, taxonomy, largest)
    assert sets.leaves.shape == sets.probabilities.shape == (len(named), largest)
    for row, s, leaves, probabilities in zip(named, species, *sets, strict=True):
        columns = taxonomy.slices[s]
        size = min(largest, columns.stop - columns.start - 1)
        best = np.sort(row[columns])[::-1][:size]
        np.testing.assert_allclose(row[leaves[:size]], best)
        np.testing.assert_allclose(probabilities[:size], best.cumsum())
        assert (taxonomy.leaf_species[leaves[:size]] == s).all()
        assert (leaves[size:] == -1).all()
        assert (probabilities[size:] == 0).all()
    for leaf in range(len(taxonomy.leaves)):
        held = sets.hold(np.full(len(named), leaf))
        expected = [[leaf in leaves[: k + 1] for k in range(largest)] for leaves in sets.leaves]
        np.testing.assert_array_equal(held, np.array(expected, bool).reshape(len(named), largest))
