"""Every metric agrees with scikit-learn, with hiclass, or with a count by hand."""

from __future__ import annotations

import json
import warnings

import hiclass.metrics
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from hierpets.errors import DataError
from hierpets.evaluation.metrics.classes import ClassTotals, balanced_weights
from hierpets.evaluation.metrics.compute import evaluate_predictions
from hierpets.evaluation.metrics.curves import one_vs_rest
from hierpets.evaluation.metrics.hierarchical import lca_height
from hierpets.evaluation.metrics.levels import breed_given_species_level, breed_level, species_level
from hierpets.evaluation.metrics.reliability import chance_error, expected_calibration_error, reliability
from hierpets.evaluation.metrics.resampling import (
    estimate,
    exact_interval,
    interval_of_share,
    mean_of,
    weights_of_resamples,
    wilson_interval,
)
from hierpets.evaluation.metrics.schema import ReliabilityBin, RocCurve
from hierpets.evaluation.metrics.selective import risk_coverage
from hierpets.evaluation.predictions import OODPredictions, Predictions
from hierpets.taxonomy import Taxonomy

NO_INTERVAL = {"accuracy_interval": None}
LEVELS = {"species": species_level, "breed": breed_level, "breed_given_species": breed_given_species_level}


@pytest.fixture(scope="module")
def result(predictions):
    return evaluate_predictions(predictions, resamples=50)


@pytest.mark.parametrize("name", LEVELS)
def test_evaluate_predictions_flat_metrics_agree_with_scikit_learn(name, predictions, result):
    level, got = LEVELS[name](predictions), getattr(result, name)
    truth, guess = level.truth, level.guess
    macro = sk.precision_recall_fscore_support(truth, guess, average="macro", zero_division=0)
    assert [got.macro_precision, got.macro_recall, got.macro_f1] == pytest.approx(macro[:3])
    assert got.accuracy == pytest.approx(sk.accuracy_score(truth, guess))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a class that is guessed but never true
        assert got.balanced_accuracy == pytest.approx(sk.balanced_accuracy_score(truth, guess))
    assert got.mcc == pytest.approx(sk.matthews_corrcoef(truth, guess))
    labels = range(len(level.labels))
    assert np.array_equal(got.confusion_matrix.counts, sk.confusion_matrix(truth, guess, labels=labels))
    per_class = sk.precision_recall_fscore_support(truth, guess, labels=labels, zero_division=0)
    for key, expected in zip(("precision", "recall", "f1", "support"), per_class, strict=True):
        assert [getattr(scores, key) for scores in got.per_class.values()] == pytest.approx(expected.tolist())


@pytest.mark.parametrize("name", LEVELS)
def test_evaluate_predictions_probability_metrics_agree_with_scikit_learn(name, predictions, result):
    level, got = LEVELS[name](predictions), getattr(result, name)
    labels = range(len(level.labels))
    assert got.log_loss == pytest.approx(sk.log_loss(level.truth, level.probabilities, labels=labels))
    one_hot = np.eye(len(level.labels))[level.truth]
    assert got.brier == pytest.approx(((level.probabilities - one_hot) ** 2).sum(axis=1).mean())
    if name != "species":
        expected = sk.top_k_accuracy_score(level.truth, level.probabilities, k=3, labels=labels)
        assert got.top3_accuracy == pytest.approx(expected)


@pytest.mark.parametrize("name", ["species", "breed"])
def test_one_vs_rest_areas_agree_with_scikit_learn(name, predictions, result):
    level, got = LEVELS[name](predictions), getattr(result, name)
    areas = []
    for c, label in enumerate(level.labels):
        positive = level.truth == c
        if not positive.any():
            assert got.per_class[label].roc_auc is None
            continue
        areas.append(sk.roc_auc_score(positive, level.probabilities[:, c]))
        assert got.per_class[label].roc_auc == pytest.approx(areas[-1])
        precision = sk.average_precision_score(positive, level.probabilities[:, c])
        assert got.per_class[label].pr_auc == pytest.approx(precision)
        curve = got.curves[label].roc
        assert sk.auc(curve.fpr, curve.tpr) == pytest.approx(areas[-1], abs=0.01)
    assert got.macro_roc_auc == pytest.approx(np.mean(areas))


@pytest.mark.parametrize("digits", [0, 1, 3])
@pytest.mark.parametrize("n", [2, 3, 8, 50])
def test_one_vs_rest_draws_the_curves_of_scikit_learn(n, digits):
    rng = np.random.default_rng(n)
    for _ in range(10):
        truth, scores = rng.permutation(np.arange(n) % 2), rng.random((n, 2)).round(digits)  # which are often equal
        found = one_vs_rest(truth, scores, np.ones((n, 2), bool), ("a", "b"))
        for c, name in enumerate("ab"):
            fpr, tpr, _ = sk.roc_curve(truth == c, scores[:, c])
            precision, recall, _ = sk.precision_recall_curve(truth == c, scores[:, c], drop_intermediate=True)
            roc, pr = found[name].curves.roc, found[name].curves.pr
            np.testing.assert_allclose([roc.fpr, roc.tpr], [fpr, tpr], atol=1e-5)
            np.testing.assert_allclose([pr.recall, pr.precision], [recall[::-1], precision[::-1]], atol=1e-5)


def test_one_vs_rest_given_the_species_is_among_its_photos(predictions, result):
    level = breed_given_species_level(predictions)
    cats = np.isin(level.truth, range(4))
    expected = sk.roc_auc_score(level.truth[cats] == 2, level.probabilities[cats, 2])
    assert result.breed_given_species.per_class["cat/birman"].roc_auc == pytest.approx(expected)


def test_breed_given_species_level_of_a_lone_breed_is_always_right(result):
    given = result.breed_given_species
    assert given.per_class["horse/arabian"].recall == 1.0
    assert given.per_class["horse/arabian"].roc_auc is None  # no photo against it


def test_reliability_bins_give_the_expected_calibration_error(result):
    for name in LEVELS:
        bins = [b for b in getattr(result, name).calibration.bins if b.n]
        gaps = [b.n * abs(b.confidence - b.accuracy) for b in bins]
        assert getattr(result, name).ece == pytest.approx(sum(gaps) / getattr(result, name).n)
        assert all(b.low < b.confidence <= b.high + 1e-12 for b in bins)


def naive_calibration_error(confidence: np.ndarray, hit: np.ndarray) -> float:
    """As the definition reads: for each of 15 bins (low, high], the gap of its means, weighted by its photos."""
    error = 0.0
    for b in range(15):
        inside = [i for i, c in enumerate(confidence) if b / 15 < c <= (b + 1) / 15]
        if inside:
            gap = abs(np.mean([confidence[i] for i in inside]) - np.mean([hit[i] for i in inside]))
            error += len(inside) / len(confidence) * gap
    return error


@given(st.lists(st.tuples(st.floats(0.01, 1), st.booleans()), min_size=1, max_size=60))
def test_expected_calibration_error_agrees_with_a_naive_reference(photos):
    confidence, hit = map(np.array, zip(*photos, strict=True))
    found = expected_calibration_error(confidence, hit, np.ones((1, len(hit))))
    # An edge of a bin may fall to either side by a rounding error.
    if not np.isclose(confidence * 15, np.round(confidence * 15), atol=1e-9).any():
        assert found[0] == pytest.approx(naive_calibration_error(confidence, hit))
    assert 0 <= found[0] <= 1


def test_expected_calibration_error_of_known_cases():
    def error(confidence, hit, weights=None):
        rows = np.ones((1, len(hit))) if weights is None else np.array([weights], float)
        return expected_calibration_error(np.array(confidence), np.array(hit, bool), rows)[0]

    assert error([0.9, 0.9], [True, True]) == pytest.approx(0.1)
    assert error([1.0, 1.0], [True, False]) == pytest.approx(0.5)
    assert error([1.0, 1.0], [True, False], weights=[1, 3]) == pytest.approx(0.75)
    assert error([1 / 15, 2 / 15], [True, True]) == pytest.approx((14 / 15 + 13 / 15) / 2)  # an edge closes its bin
    assert np.isnan(error([], []))


def test_breed_level_leaves_out_photos_without_a_breed(predictions, result):
    assert result.species.n == 400
    assert result.breed.n == int(predictions.breed_known.sum()) < 400
    assert result.hierarchy.n > result.breed.n  # rabbits have a whole path and no breed


def _paths(taxonomy: Taxonomy, level: np.ndarray, node: np.ndarray) -> np.ndarray:
    rows = []
    for at, index in zip(level, node, strict=True):
        if at == "unknown":
            rows.append(["", ""])
        elif at == "species":
            rows.append([taxonomy.species[index], ""])
        else:
            leaf = taxonomy.leaves[index]
            rows.append([leaf.species, str(leaf) if leaf.breed else ""])
    return np.array(rows)


@pytest.mark.parametrize("prefix", ["", "decided_"])
def test_hierarchy_metrics_agree_with_hiclass(prefix, predictions, result):
    whole = predictions.leaf_true >= 0
    as_breed = np.full(whole.sum(), "breed")
    truth = _paths(predictions.taxonomy, as_breed, predictions.leaf_true[whole])
    answer = (
        _paths(predictions.taxonomy, predictions.level[whole], predictions.node[whole])
        if prefix
        else _paths(predictions.taxonomy, as_breed, predictions.top_leaf[whole])
    )
    got = result.hierarchy
    assert getattr(got, f"{prefix}precision") == pytest.approx(hiclass.metrics.precision(truth, answer))
    assert getattr(got, f"{prefix}recall") == pytest.approx(hiclass.metrics.recall(truth, answer))
    assert getattr(got, f"{prefix}f1") == pytest.approx(hiclass.metrics.f1(truth, answer))


def hand_made(taxonomy: Taxonomy, answers: list[tuple[int, int]], **changes) -> Predictions:
    """One photo for each (true leaf, winning leaf)."""
    truth, top = np.array(answers).T
    n, n_leaves = len(answers), len(taxonomy.leaves)
    probabilities = np.full((n, n_leaves), 0.1 / (n_leaves - 1))
    probabilities[np.arange(n), top] = 0.9
    fields = {
        "taxonomy": taxonomy,
        "paths": tuple(f"{i}.jpg" for i in range(n)),
        "species_true": taxonomy.leaf_species[truth],
        "leaf_true": truth,
        "probabilities": probabilities,
        "level": np.full(n, "breed"),
        "node": top,
    }
    return Predictions(**(fields | changes))


def test_hierarchy_metrics_by_hand(taxonomy):
    # right, a sister breed, the other species, a species without breeds for a cat
    predictions = hand_made(taxonomy, [(0, 0), (0, 1), (0, 4), (0, 7)])
    got = evaluate_predictions(predictions, resamples=20).hierarchy
    assert got.full_path_accuracy == pytest.approx(1 / 4)
    assert got.cross_species_error == pytest.approx(2 / 4)
    assert got.mistake_severity == pytest.approx((1 + 2 + 2) / 3)
    assert got.distance_at_1 == pytest.approx((0 + 1 + 2 + 2) / 4)
    assert got.precision == pytest.approx((2 + 1 + 0 + 0) / (2 + 2 + 2 + 1))
    assert got.recall == pytest.approx(3 / 8)


def test_hierarchy_metrics_distance_at_3_averages_the_top_3_leaves(taxonomy):
    probabilities = np.array([[0.5, 0.3, 0.0, 0.0, 0.2, 0.0, 0.0, 0.0, 0.0]])
    predictions = hand_made(taxonomy, [(0, 0)], probabilities=probabilities)
    got = evaluate_predictions(predictions, resamples=5).hierarchy
    assert got.distance_at_3 == pytest.approx((0 + 1 + 2) / 3)


def test_hierarchy_metrics_without_mistakes_have_no_severity(taxonomy):
    got = evaluate_predictions(hand_made(taxonomy, [(0, 0), (4, 4)]), resamples=5).hierarchy
    assert got.mistake_severity is None
    assert got.intervals["mistake_severity"] == (None, None)


def test_lca_height_of_leaves(taxonomy):
    height = lca_height(taxonomy)
    assert height[0, 0] == 0 and height[0, 3] == 1 and height[0, 4] == 2 and height[7, 8] == 2
    assert lca_height(taxonomy.without_breeds())[0, 1] == 1


def test_evaluate_predictions_of_species_alone_has_no_breed_metrics(taxonomy):
    flat = taxonomy.without_breeds()
    got = evaluate_predictions(hand_made(flat, [(0, 0), (1, 0), (2, 2)]), resamples=5)
    assert got.breed is None and got.breed_given_species is None and got.selective.breed is None
    assert got.species.accuracy == pytest.approx(2 / 3)
    assert got.hierarchy.full_path_accuracy == pytest.approx(2 / 3)


def test_selective_metrics_unknown_holds_the_truth_and_is_not_right(taxonomy):
    predictions = hand_made(
        taxonomy,
        [(0, 0), (0, 1), (0, 4), (4, 5)],
        level=np.array(["breed", "species", "species", "unknown"]),
        node=np.array([0, 0, 1, -1]),
    )
    got = evaluate_predictions(predictions, resamples=5).selective
    assert got.answers.model_dump() == {"n": 4, "breed": 0.25, "species": 0.5, "unknown": 0.25}
    assert got.node.holds_truth == pytest.approx(3 / 4)
    assert got.node.right_when_answered == pytest.approx(2 / 3)
    assert got.node.per_species["cat"].holds_truth == pytest.approx(2 / 3)
    assert got.species.coverage == pytest.approx(3 / 4)
    assert got.species.risk == pytest.approx(1 / 3)
    assert got.breed.coverage == pytest.approx(1 / 4) and got.breed.risk == 0


def test_selective_metrics_do_not_judge_a_breed_without_a_label(taxonomy):
    predictions = hand_made(taxonomy, [(0, 0), (0, 4)], leaf_true=np.array([-1, -1]))
    node = evaluate_predictions(predictions, resamples=5).selective.node
    assert (node.n_not_judged, node.n_judged, node.holds_truth) == (1, 1, 0.0)


@given(st.lists(st.tuples(st.sampled_from([0.2, 0.5, 0.9]), st.booleans()), min_size=1, max_size=40), st.randoms())
def test_risk_coverage_does_not_depend_on_the_order_of_equals(photos, random):
    confidence, hit = map(np.array, zip(*photos, strict=True))
    risk = risk_coverage(confidence, hit)
    shuffled = random.sample(photos, len(photos))
    confidence2, hit2 = map(np.array, zip(*shuffled, strict=True))
    assert np.allclose(risk, risk_coverage(confidence2, hit2))
    assert risk[-1] == pytest.approx(1 - hit.mean())


def test_risk_coverage_by_hand():
    risk = risk_coverage(np.array([0.9, 0.6, 0.8]), np.array([True, True, False]))
    assert risk.tolist() == pytest.approx([0, 1 / 2, 1 / 3])


@pytest.mark.parametrize("name", ["species", "breed"])
def test_trade_offs_agree_with_a_naive_reference(name, predictions, result):
    level, trade_off = LEVELS[name](predictions), getattr(result.selective, name)
    order = np.argsort(-level.confidence)
    accuracy = [level.hit[order[:kept]].mean() for kept in range(1, len(order) + 1)]
    assert trade_off.aurc == pytest.approx(1 - np.mean(accuracy))
    for share, found in trade_off.accuracy_at_coverage.items():
        assert found == pytest.approx(
            next(a for kept, a in enumerate(accuracy, 1) if kept >= float(share) * len(order))
        )


def test_sets_of_breeds_are_judged_among_themselves(taxonomy):
    predictions = hand_made(
        taxonomy,
        [(0, 0), (0, 1), (0, 1), (4, 5)],
        level=np.array(["breed", "species", "species", "species"]),
        node=np.array([0, 0, 0, 1]),
        breed_sets=((), (1, 0), (1, 2, 3), (5, 6)),
    )
    got = evaluate_predictions(predictions, resamples=5).selective
    assert (got.breed_sets.n, got.breed_sets.share, got.breed_sets.mean_size) == (4, 3 / 4, pytest.approx(7 / 3))
    assert got.breed_sets.holds_truth == pytest.approx(1 / 3)
    assert got.breed_sets.holds_truth_interval == wilson_interval(1, 3)
    assert got.node.holds_truth == pytest.approx(2 / 4)


def test_ood_metrics_agree_with_scikit_learn(predictions):
    rng = np.random.default_rng(1)
    ood = OODPredictions(
        paths=tuple(f"x{i}" for i in range(60)),
        pet_score=rng.normal(-1.5, size=60),
        level=np.array(["unknown"] * 45 + ["species"] * 15),
        kind=("car",) * 30 + ("food",) * 30,
    )
    got = evaluate_predictions(predictions, ood=ood, resamples=5).ood
    truth = np.r_[np.ones(400), np.zeros(60)]
    score = np.r_[predictions.pet_score, ood.pet_score]
    assert got.auroc == pytest.approx(sk.roc_auc_score(truth, score))
    fpr, tpr, _ = sk.roc_curve(truth, score, drop_intermediate=False)
    assert got.fpr_at_95_tpr == pytest.approx(fpr[np.argmax(tpr >= 0.95)])
    assert got.rejected == pytest.approx(45 / 60)
    assert got.pets_rejected == pytest.approx((predictions.level == "unknown").mean())
    assert (predictions.pet_score >= got.threshold_at_95_tpr).sum() == 380
    assert got.per_kind["car"].rejected == 1.0 and got.per_kind["food"].rejected == 0.5


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=30))
@pytest.mark.filterwarnings("ignore:A single label")
def test_class_totals_agree_with_scikit_learn_on_any_labels(pairs):
    truth, guess = np.array(pairs).T
    got = ClassTotals.count(truth, guess, np.ones((1, len(pairs))), n_classes=5).summary()
    macro = sk.precision_recall_fscore_support(truth, guess, average="macro", zero_division=0)
    assert [got["macro_precision"][0], got["macro_recall"][0], got["macro_f1"][0]] == pytest.approx(macro[:3])
    assert got["mcc"][0] == pytest.approx(sk.matthews_corrcoef(truth, guess), abs=1e-9)


def test_class_totals_with_weights_are_those_of_the_resample(predictions):
    level = species_level(predictions)
    rng = np.random.default_rng(0)
    weights = next(weights_of_resamples(400, 3, rng))
    got = ClassTotals.count(level.truth, level.guess, weights, n_classes=4).summary()
    for r in range(3):
        rows = np.repeat(np.arange(400), weights[r].astype(int))
        assert got["macro_f1"][r] == pytest.approx(sk.f1_score(level.truth[rows], level.guess[rows], average="macro"))


def test_weights_of_resamples_hold_as_many_photos_in_blocks():
    blocks = list(weights_of_resamples(2_000_000, 5, np.random.default_rng(0)))
    assert [len(block) for block in blocks] == [2, 2, 1]
    assert all((block.sum(axis=1) == 2_000_000).all() for block in blocks)


@pytest.mark.parametrize("weights", [None, np.array([0.5, 1, 2, 0])])
def test_mean_of_is_that_of_the_photos_drawn_by_their_weights(weights):
    values = np.array([1.0, 3, -2, 5])
    drawn = np.array([[1.0, 1, 1, 1], [0, 3, 1, 0]])
    expected = [np.average(values, weights=row if weights is None else row * weights) for row in drawn]
    np.testing.assert_allclose(mean_of("score", values, weights)(drawn)["score"], expected)


def test_estimate_intervals_cover_the_truth_as_often_as_they_say(taxonomy):
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(60):
        hits = rng.random(150) < 0.8
        predictions = hand_made(taxonomy, [(0, 0 if hit else 1) for hit in hits])
        low, high = evaluate_predictions(predictions, seed=trial, resamples=200).breed.intervals["accuracy"]
        covered += low <= 0.8 <= high
    assert covered >= 51  # of 60; 57 expected, fewer than 51 three times in a thousand


def test_the_interval_of_a_mean_is_as_wide_as_its_standard_error_says():
    values = np.random.default_rng(0).normal(size=500)
    _, intervals = estimate(lambda weights: {"mean": weights @ values / 500}, 500, seed=0, resamples=4000)
    error = 1.96 * values.std() / np.sqrt(500)
    assert intervals["mean"] == pytest.approx((values.mean() - error, values.mean() + error), abs=0.1 * error)


def test_shares_without_mistakes_are_as_uncertain_as_their_photos_are_few(taxonomy):
    many = [(0, 0)] * 36 + [(4, 4)] * 4
    intervals = evaluate_predictions(hand_made(taxonomy, many), resamples=20).breed.intervals
    assert intervals["accuracy"] == intervals["top3_accuracy"] == wilson_interval(40, 40)
    # Two classes of 36 and 4 photos say as much of their mean as two of 7.2.
    assert intervals["balanced_accuracy"] == pytest.approx(wilson_interval(14.4, 14.4))
    alike = evaluate_predictions(hand_made(taxonomy, [(0, 0), (4, 4)] * 10), resamples=20).breed.intervals
    assert alike["balanced_accuracy"] == pytest.approx(alike["accuracy"])
    wrong = evaluate_predictions(hand_made(taxonomy, [(0, 1), (4, 5)] * 10), resamples=20).breed.intervals
    assert wrong["balanced_accuracy"] == pytest.approx(wilson_interval(0, 20), abs=1e-12)
    few = evaluate_predictions(hand_made(taxonomy.without_breeds(), [(0, 0), (1, 1)]), resamples=20).species
    assert (few.top3_accuracy is None) == (few.intervals["top3_accuracy"] == (None, None))


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.integers(0, 5)), min_size=2, max_size=40), st.data())
def test_a_mistake_more_never_makes_an_interval_say_that_the_model_is_better(photos, data):
    """Of classes of unequal size, of some animals: neither end rises where a hit becomes a miss."""
    classes, hits, groups = map(np.array, zip(*photos, strict=True))
    missed = hits & (np.arange(len(hits)) != data.draw(st.integers(0, len(hits) - 1)))
    weights = balanced_weights(classes)

    def interval(of):
        _, found = estimate(mean_of("share", of, weights), len(of), seed=0, resamples=50, groups=groups)
        return interval_of_share(of, found["share"], weights, groups=groups)

    assert np.all(np.subtract(interval(missed), interval(hits)) <= 1e-12)


def test_one_mistake_leaves_balanced_accuracy_as_uncertain_as_its_rare_class(taxonomy):
    """A hundred cats and two rabbits: what the rabbits leave open, no cat can settle."""
    flat = taxonomy.without_breeds()
    none, one = (
        evaluate_predictions(hand_made(flat, [(0, 0)] * (100 - n) + [(0, 1)] * n + [(2, 2)] * 2), resamples=200).species
        for n in (0, 1)
    )
    assert none.intervals["balanced_accuracy"][0] == pytest.approx(0.671, abs=0.001)
    assert one.intervals["balanced_accuracy"][0] < 0.671
    assert none.intervals["macro_recall"] == none.intervals["balanced_accuracy"]


@pytest.mark.parametrize(
    ("photos", "recalls"),
    [((2,) * 10 + (40,) * 2, (0.9,) * 12), ((200, 200, 5), (0.95,) * 3), ((100, 10), (0.99, 0.7))],
)
def test_intervals_of_balanced_accuracy_cover_the_truth_where_classes_are_unequal(photos, recalls):
    classes, rng = np.repeat(np.arange(len(photos)), photos), np.random.default_rng(0)
    weights, covered = balanced_weights(classes), 0
    for trial in range(200):
        hits = rng.random(len(classes)) < np.array(recalls)[classes]
        _, found = estimate(mean_of("share", hits, weights), len(hits), seed=trial, resamples=100)
        low, high = interval_of_share(hits, found["share"], weights)
        covered += low <= np.mean(recalls) <= high
    assert covered >= 190  # of 200; of the bootstrap alone 172, 132 and 186


@pytest.mark.parametrize(("gap", "least"), [(0.0, 24), (0.02, 43), (0.05, 51)])  # of 60; percentiles: 0, 0 and 7
def test_the_interval_of_the_calibration_error_covers_the_truth(gap, least):
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(60):
        confidence = rng.uniform(0.3, 0.95, 400)
        hit = rng.random(400) < confidence - gap
        _, intervals = estimate(
            lambda weights, c=confidence, h=hit: {"ece": expected_calibration_error(c, h, weights)},
            400, seed=trial, resamples=200, biased=("ece",),
        )  # fmt: skip
        low, high = intervals["ece"]
        covered += low <= gap <= high
    assert covered >= least


def test_evaluate_predictions_seed_decides_the_intervals(predictions):
    first, again = (evaluate_predictions(predictions, seed=3, resamples=30) for _ in range(2))
    other = evaluate_predictions(predictions, seed=4, resamples=30)
    assert first == again
    assert first.breed.intervals != other.breed.intervals
    assert first.breed.accuracy == other.breed.accuracy


@given(st.integers(0, 50), st.integers(1, 50))
def test_wilson_interval_agrees_with_scipy(hits, n):
    from scipy.stats import binomtest

    hits = min(hits, n)
    low, high = wilson_interval(hits, n)
    assert low <= hits / n <= high
    expected = binomtest(hits, n).proportion_ci(method="wilson")
    assert wilson_interval(hits, n) == pytest.approx((expected.low, expected.high), abs=1e-9)


@given(st.integers(0, 50), st.integers(1, 50), st.integers(1, 100))
def test_exact_interval_of_one_share_among_many_is_that_of_scipy(hits, n, among):
    from scipy.stats import binomtest

    expected = binomtest(min(hits, n), n).proportion_ci(1 - 0.05 / among, method="exact")
    assert exact_interval(min(hits, n), n, among=among) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_recall_of_one_class_among_many_counts_animals(result):
    scores = result.breed.per_class["cat/birman"]
    assert scores.effective_n == scores.support
    whole, shared = scores.recall_among(9), scores.model_copy(update={"effective_n": 2.5}).recall_among(9)
    assert shared[0] < whole[0] < scores.recall < whole[1] < shared[1]
    assert scores.model_copy(update={"effective_n": None}).recall_among(9) == whole


def test_level_metrics_count_a_class_without_photos_only_if_predicted(taxonomy):
    never_guessed = evaluate_predictions(hand_made(taxonomy, [(0, 0), (1, 1)]), resamples=5).breed
    assert never_guessed.macro_recall == 1.0
    assert never_guessed.per_class["dog/pug"].model_dump() == {
        "support": 0, "recall": 0, "recall_interval": None, "effective_n": 0,
        "precision": 0, "f1": 0, "roc_auc": None, "pr_auc": None,
    }  # fmt: skip
    guessed = evaluate_predictions(hand_made(taxonomy, [(0, 0), (1, 6)]), resamples=5).breed
    assert guessed.macro_recall == pytest.approx(1 / 3) and guessed.balanced_accuracy == pytest.approx(1 / 2)


def test_level_metrics_majority_class_and_worst_classes(taxonomy):
    got = evaluate_predictions(hand_made(taxonomy, [(0, 0), (0, 0), (0, 1), (1, 0), (4, 4)]), resamples=5)
    assert got.breed.majority_class.model_dump() == {"label": "cat/abyssinian", "accuracy": 3 / 5}
    assert got.breed.worst_classes == ("cat/bengal", "cat/abyssinian", "dog/beagle")
    assert got.breed_by_species["cat"].model_dump() == {"n": 4, "accuracy": 0.5, "accuracy_given_species": 0.5}


def test_metrics_take_numpy_values_and_turn_the_undefined_into_none(result):
    json.dumps(result.model_dump(mode="json"), allow_nan=False)
    made = ReliabilityBin(low=np.float32(0), high=1, n=np.int64(0), confidence=np.nan, accuracy=np.inf, **NO_INTERVAL)
    assert json.loads(made.model_dump_json()) == {
        "low": 0.0, "high": 1.0, "n": 0, "effective_n": None,
        "confidence": None, "accuracy": None, "accuracy_interval": None,
    }  # fmt: skip
    assert RocCurve(fpr=np.array([0.0, 1 + 1e-12]), tpr=[0, 1]).fpr == (0.0, 1.0)  # a rounding error above 1


def test_evaluate_predictions_of_two_thousand_photos_takes_seconds(make_predictions):
    import time

    breeds = {"cat": tuple(f"c{i}" for i in range(12)), "dog": tuple(f"d{i}" for i in range(25))}
    predictions = make_predictions(Taxonomy(tree=breeds), 2200)
    start = time.process_time()
    evaluate_predictions(predictions)
    assert time.process_time() - start < 20


def test_predictions_refuse_arrays_that_do_not_fit(taxonomy):
    with pytest.raises(DataError, match="no photo"):
        hand_made(taxonomy, [(0, 0)], paths=())
    with pytest.raises(DataError, match=r"a\.jpg is listed twice"):
        hand_made(taxonomy, [(0, 0), (0, 0)], paths=("a.jpg", "a.jpg"))
    with pytest.raises(ValueError, match="shape"):
        hand_made(taxonomy, [(0, 0)], node=np.array([0, 1]))
    with pytest.raises(ValueError, match="sum to 1"):
        hand_made(taxonomy, [(0, 0)], probabilities=np.full((1, 9), 0.5))
    with pytest.raises(ValueError, match="contradict"):
        hand_made(taxonomy, [(0, 0)], species_true=np.array([1]))
    with pytest.raises(ValueError, match="level must be"):
        hand_made(taxonomy, [(0, 0)], level=np.array(["family"]))


@pytest.mark.parametrize("shots", [1, 5])
@pytest.mark.parametrize("n", [30, 200, 2000])
def test_chance_error_is_the_calibration_error_of_confidences_that_are_right(n, shots):
    generator = np.random.default_rng(0)
    confidence = generator.beta(5, 1, size=n).clip(0.01, 0.999)
    centers = np.array([one.confidence or 0.5 for one in reliability(confidence, confidence > 0).bins])
    confidence = centers[np.clip(np.ceil(confidence * 15).astype(int) - 1, 0, 14)]  # one confidence a bin: exact
    hits = np.repeat(generator.random((2000, n)) < confidence, shots, axis=1)  # of an animal all or none
    confidence, animals = np.repeat(confidence, shots), np.repeat(np.arange(n), shots)
    weights = np.ones((1, n * shots))
    seen = np.mean([expected_calibration_error(confidence, hit, weights)[0] for hit in hits])
    assert chance_error(reliability(confidence, hits[0], animals)) == pytest.approx(seen, rel=0.03)
