import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hierpets.hierarchy.conformal import (
    ScoreGroup,
    conformal_threshold,
    fewest_scores,
    min_alpha,
    nonconformity_scores,
    shared_threshold,
)


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


@pytest.mark.parametrize(("scores", "least"), [([], 1.0), ([0.2, 0.9], 0.2)])
def test_the_largest_alpha_asks_for_the_least_score(scores, least):
    assert conformal_threshold(scores, np.nextafter(1.0, 0.0)) == least


@example(180, 149)
@given(st.integers(1, 999), st.integers(1, 500))
def test_the_rank_is_that_of_whole_numbers_whatever_floats_make_of_it(thousandths, n):
    rank = -(-(n + 1) * (1000 - thousandths) // 1000)
    scores = np.arange(1, n + 1) / (n + 1)
    expected = scores[rank - 1] if rank <= n else 1.0
    assert conformal_threshold(scores, thousandths / 1000) == expected
    assert shared_threshold([ScoreGroup(scores, 1.0, True)], thousandths / 1000) == expected


@example(5, 19, [0.8, 0.2])
@given(st.integers(1, 99), st.integers(1, 200), st.lists(st.floats(0.05, 1), min_size=2, max_size=3))
def test_kinds_that_are_wrong_equally_often_have_the_threshold_of_one_whatever_their_shares(percent, n, shares):
    scores = np.arange(1, n + 1) / (n + 1)
    groups = [ScoreGroup(scores, share, promised=False) for share in shares]
    assert shared_threshold(groups, percent / 100) == conformal_threshold(scores, percent / 100)


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
    scores = nonconformity_scores(np.stack([leaf, species], axis=1), np.stack([leaf_right, species_right], axis=1))
    level = answered(leaf, species, threshold)
    right = np.select([level == 2, level == 1], [leaf_right, species_right], True)
    np.testing.assert_array_equal(right | (scores > threshold), True)
    # and no score asks for more than is needed: at the score itself the answer is right
    for i in range(50):
        at = answered(leaf[i : i + 1], species[i : i + 1], scores[i])[0]
        assert (leaf_right[i], species_right[i], True)[2 - at if at < 2 else 0] or at == 0


@pytest.mark.parametrize(("alpha", "fewest"), [(0.05, 19), (0.15 - 0.1, 19), (0.1, 9), (0.01, 99), (0.3, 3)])
def test_fewest_scores_is_where_a_promise_begins(alpha, fewest):
    assert fewest_scores(alpha) == fewest
    assert conformal_threshold([0.0] * fewest, alpha) == 0.0
    assert conformal_threshold([0.0] * (fewest - 1), alpha) == 1.0
    assert fewest_scores(min_alpha(fewest)) <= fewest
    assert fewest_scores(min_alpha(fewest) - 0.001) > fewest


def group(generator, size, share, promised=True):
    return ScoreGroup(np.sort(np.round(generator.random(size) * generator.random(), 2)), share, promised)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60).map(sorted), st.floats(0.01, 0.99))
def test_the_threshold_of_one_group_is_the_conformal_one(scores, alpha):
    one = [ScoreGroup(np.array(scores), 1.0, True)]
    # A rank is a whole number: next to one, the two may round to different sides.
    if abs((len(scores) + 1) * alpha - round((len(scores) + 1) * alpha)) > 1e-6:
        assert shared_threshold(one, alpha) == conformal_threshold(scores, alpha)


@given(st.integers(0, 2**32 - 1), st.floats(0.02, 0.3))
def test_a_shared_threshold_is_the_least_that_holds_for_each_promised_group_and_for_the_mixture(seed, alpha):
    generator = np.random.default_rng(seed)
    groups = [
        group(generator, n, share, promised)
        for n, share, promised in ((80, 0.5, True), (60, 0.3, True), (90, 0.2, False))
    ]
    found = shared_threshold(groups, alpha)

    def holds(threshold):
        wrong = [((g.scores > threshold).sum() + 1) / (len(g.scores) + 1) for g in groups]
        mixture = sum(g.share * w for g, w in zip(groups, wrong, strict=True))
        return max(wrong[:2]) <= alpha and mixture <= alpha

    candidates = sorted({*np.concatenate([g.scores for g in groups]).tolist(), 1.0})
    assert found == next((c for c in candidates if holds(c)), 1.0)


def test_a_breed_and_sets_of_breeds_together_are_wrong_no_more_often_than_promised():
    from hierpets.hierarchy.policy import Policy

    generator = np.random.default_rng(0)
    wrong, sets = [], 0
    for _ in range(60):
        top = generator.uniform(0.2, 1, (800, 1))
        probabilities = np.minimum(
            np.cumsum(np.concatenate([top, generator.uniform(0, 0.3, (800, 2))], axis=1), axis=1), 1
        )
        truth = generator.random(800)[:, None] < probabilities * 0.97  # a little overconfident
        rows = np.stack(
            [np.where(truth[:, 0], 0, probabilities[:, 0])]
            + [np.where(truth[:, 1:n], 0, probabilities[:, 1:n]).max(axis=1) for n in (2, 3)],
            axis=1,
        )
        policy = Policy(scores={"trained": {"cat": tuple(map(tuple, rows[:400].tolist()))}}, alpha=0.1)
        t = policy.thresholds("cat")
        level = np.select(
            [probabilities[400:, 0] > t.probability, *(probabilities[400:, k] > t.breed_set for k in (1, 2))],
            [0, 1, 2],
            -1,
        )
        answered = level >= 0
        wrong.append((~truth[400:][np.arange(400), level] & answered).mean())
        sets += int((level > 0).sum())
    assert np.mean(wrong) <= 0.1 + 0.005
    assert sets > 100
