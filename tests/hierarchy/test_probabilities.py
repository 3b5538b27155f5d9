import numpy as np
import pytest
from helpers.strategies import logits_of
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from hierpets.hierarchy.probabilities import COMBINERS, joint_probabilities, restrict, species_probabilities
from hierpets.taxonomy import Taxonomy

TAXONOMY = Taxonomy(tree={"cat": ("a", "b"), "dog": ("c", "d", "e"), "rabbit": ()})


@given(logits_of(), st.sampled_from(COMBINERS))
def test_joint_probabilities_sum_to_one_and_breeds_sum_to_their_species(case, combiner):
    taxonomy, species, leaf = case
    joint = joint_probabilities(species, leaf, taxonomy, combiner=combiner)
    assert joint.shape == leaf.shape
    assert (joint >= 0).all()
    np.testing.assert_allclose(joint.sum(axis=1), 1.0, atol=1e-9)
    by_species = species_probabilities(joint, taxonomy)
    np.testing.assert_allclose(by_species.sum(axis=1), 1.0, atol=1e-9)
    for s, columns in enumerate(taxonomy.slices):
        np.testing.assert_allclose(joint[:, columns].sum(axis=1), by_species[:, s], atol=1e-12)


@given(logits_of())
def test_conditional_gives_each_species_what_its_own_head_says(case):
    taxonomy, species, leaf = case
    joint = joint_probabilities(species, leaf, taxonomy, combiner="conditional")
    expected = softmax(species.astype(np.float64), axis=1)
    np.testing.assert_allclose(species_probabilities(joint, taxonomy), expected, atol=1e-9)


@given(logits_of(), st.sampled_from(COMBINERS))
def test_an_answer_does_not_depend_on_its_batch(case, combiner):
    taxonomy, species, leaf = case
    together = joint_probabilities(species, leaf, taxonomy, combiner=combiner)
    alone = [
        joint_probabilities(species[i : i + 1], leaf[i : i + 1], taxonomy, combiner=combiner) for i in range(len(leaf))
    ]
    np.testing.assert_array_equal(together, np.concatenate(alone))


def test_shared_softmax_adds_the_species_logit_to_each_of_its_breeds():
    species, leaf = np.array([[1.0, -1.0, 0.5]]), np.array([[0.1, 0.2, 0.3, 0.4, 0.5, 0.0]])
    joint = joint_probabilities(species, leaf, TAXONOMY, combiner="shared_softmax")
    np.testing.assert_allclose(joint, softmax(leaf + np.array([[1, 1, -1, -1, -1, 0.5]]), axis=1))


def test_flat_reads_the_leaves_alone():
    leaf = np.array([[0.1, 0.2, 0.3, 0.4, 0.5, 0.0]])
    for species in (np.zeros((1, 3)), np.array([[9.0, -9.0, 3.0]])):
        np.testing.assert_allclose(joint_probabilities(species, leaf, TAXONOMY, combiner="flat"), softmax(leaf, axis=1))


@given(st.lists(st.booleans(), min_size=6, max_size=6).filter(any), st.integers(0, 2**32 - 1))
def test_restriction_renormalizes_and_keeps_proportions(allowed, seed):
    allowed = np.array(allowed)
    joint = np.random.default_rng(seed).dirichlet(np.ones(6), size=3)
    kept = restrict(joint, allowed)
    np.testing.assert_allclose(kept.sum(axis=1), 1.0)
    assert (kept[:, ~allowed] == 0).all()
    np.testing.assert_allclose(kept[:, allowed] * joint[:, allowed].sum(axis=1, keepdims=True), joint[:, allowed])


def test_restriction_to_leaves_without_mass_is_uniform_over_them():
    joint = np.array([[1.0, 0, 0, 0, 0, 0]])
    np.testing.assert_allclose(
        restrict(joint, np.array([False, True, True, False, False, False])), [[0, 0.5, 0.5, 0, 0, 0]]
    )


@pytest.mark.parametrize("combiner", COMBINERS)
def test_a_species_without_breeds_keeps_its_whole_mass(combiner):
    joint = joint_probabilities(
        np.array([[0.0, 0.0, 50.0]]), np.array([[0, 0, 0, 0, 0, 50.0]]), TAXONOMY, combiner=combiner
    )
    assert joint[0, 5] == pytest.approx(1.0)
