import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierpets.hierarchy.conformal import conformal_threshold, fewest_scores, nonconformity_scores


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60).map(sorted), st.floats(0.01, 0.99))
def test_at_least_the_promised_share_of_calibration_scores_lies_at_or_below(scores, alpha):
    threshold = conformal_threshold(scores, alpha)
    assert (np.array(scores) <= threshold).mean() >= min(1.0, (1 - alpha) * (len(scores) + 1) / len(scores)) - 1e-9


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60).map(sorted), st.floats(0.01, 0.5), st.floats(0.01, 0.49))
def test_a_stricter_alpha_never_lowers_the_threshold(scores, alpha, more):
    assert conformal_threshold(scores, alpha) >= conformal_threshold(scores, alpha + more)


def test_too_few_photos_promise_nothing_and_so_demand_everything():
    assert conformal_threshold([0.1] * 18, 0.05) == 1.0
    assert conformal_threshold([0.1] * 19, 0.05) == 0.1


@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_coverage_of_new_photos_is_what_was_promised(alpha):
    generator = np.random.default_rng(0)
    covered = []
    for _ in range(400):
        scores = generator.beta(1, 4, size=101)
        covered.append(scores[100] <= conformal_threshold(np.sort(scores[:100]), alpha))
    assert np.mean(covered) == pytest.approx(1 - alpha, abs=0.04)


def answered(leaf, species, threshold):
    """The level that the rule gives: 2 breed, 1 species, 0 unknown."""
    return np.where(leaf > threshold, 2, np.where(species > threshold, 1, 0))


@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_a_score_is_exactly_what_the_threshold_must_reach(seed, threshold):
    generator = np.random.default_rng(seed)
    species = generator.uniform(0.34, 1, 50)
    leaf = species * generator.uniform(0.1, 1, 50)
    species_right = generator.random(50) < 0.8
    leaf_right = species_right & (generator.random(50) < 0.7)
    scores = nonconformity_scores(leaf, species, breed_right=leaf_right, species_right=species_right)
    level = answered(leaf, species, threshold)
    right = np.select([level == 2, level == 1], [leaf_right, species_right], True)
    np.testing.assert_array_equal(right | (scores > threshold), True)
    # and no score asks for more than is needed: at the score itself the answer is right
    for i in range(50):
        at = answered(leaf[i : i + 1], species[i : i + 1], scores[i])[0]
        assert (leaf_right[i], species_right[i], True)[2 - at if at < 2 else 0] or at == 0


@pytest.mark.parametrize(("alpha", "fewest"), [(0.05, 19), (0.1, 9), (0.01, 99), (0.3, 3)])
def test_fewest_scores_is_where_a_promise_begins(alpha, fewest):
    assert fewest_scores(alpha) == fewest
    assert conformal_threshold([0.0] * fewest, alpha) == 0.0
    assert conformal_threshold([0.0] * (fewest - 1), alpha) == 1.0
