"""The built-in samplers: what each makes equal, for any labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_sample_weight

from hierpets.errors import PluginError
from hierpets.plugin import Labels
from hierpets.registry.loading import bundled_registry, load_registry

REGISTRY = load_registry(bundled_registry())
BREEDS = (3, 2, 0)  # a species without breeds is one leaf
LEAF_SPECIES = np.array([0, 0, 0, 1, 1, 2])


@st.composite
def labels(draw) -> Labels:
    leaf = np.array(draw(st.lists(st.integers(0, 5), min_size=1, max_size=60)))
    hidden = np.array(draw(st.lists(st.booleans(), min_size=len(leaf), max_size=len(leaf))))
    species = LEAF_SPECIES[leaf]
    # The one leaf of a species without breeds is never unknown.
    return Labels(species, np.where(hidden & (species < 2), -1, leaf), ("cat", "dog", "rabbit"), tuple("abcdef"))


def weigh(name: str, given_labels: Labels, **options: object) -> np.ndarray:
    return REGISTRY.get("sampler", name).call(given_labels, **options)


@given(labels())
def test_samplers_keep_a_mean_of_one(drawn):
    for plugin in REGISTRY.of_kind("sampler"):
        weights = plugin.call(drawn)
        assert weights.shape == (len(drawn),)
        assert weights.mean() == pytest.approx(1)


@given(labels())
def test_shuffle_is_even(drawn):
    assert set(weigh("shuffle", drawn)) == {1.0}


@given(labels())
def test_species_balanced_agrees_with_scikit_learn(drawn):
    np.testing.assert_allclose(weigh("species_balanced", drawn), compute_sample_weight("balanced", drawn.species))


@given(labels())
def test_breed_balanced_agrees_with_scikit_learn(drawn):
    classes = [f"{s}/{b}" for s, b in zip(drawn.species, drawn.leaf, strict=True)]  # unknown: one class a species
    np.testing.assert_allclose(weigh("breed_balanced", drawn), compute_sample_weight("balanced", classes))


@given(labels())
def test_effective_number_lies_between_shuffle_and_balanced(drawn):
    np.testing.assert_allclose(weigh("effective_number", drawn, beta=0), 1)
    np.testing.assert_allclose(
        weigh("effective_number", drawn, beta=1 - 1e-9), weigh("breed_balanced", drawn), rtol=1e-5
    )
    np.testing.assert_allclose(
        weigh("effective_number", drawn, beta=1 - 1e-9, level="species"), weigh("species_balanced", drawn), rtol=1e-5
    )


def test_effective_number_is_the_papers_formula():
    drawn = Labels(np.zeros(12, int), np.array([0] * 10 + [1] * 2), ("cat",), ("a", "b"))
    weights = weigh("effective_number", drawn, beta=0.9)
    assert weights[-1] / weights[0] == pytest.approx((1 - 0.9**10) / (1 - 0.9**2))


def test_breed_balanced_counts_unknown_breeds_as_one_more_breed():
    drawn = Labels(np.zeros(9, int), np.array([0] * 2 + [1] * 1 + [-1] * 6), ("cat",), ("a", "b"))
    weights = weigh("breed_balanced", drawn)
    sums = [weights[:2].sum(), weights[2], weights[3:].sum()]
    np.testing.assert_allclose(sums, 3)


@pytest.mark.parametrize("beta", [1, -0.1, 2])
def test_effective_number_refuses_a_beta_out_of_range(beta):
    drawn = Labels(np.zeros(1, int), np.zeros(1, int), ("cat",), ("a",))
    with pytest.raises(PluginError, match=r"beta must lie in \[0, 1\)"):
        weigh("effective_number", drawn, beta=beta)
