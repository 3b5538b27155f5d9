"""Photos of one animal are one witness: repeating each photo of a set makes no interval narrower."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hierpets.evaluation.comparison.run import compare_records
from hierpets.evaluation.metrics.compute import evaluate_predictions
from hierpets.evaluation.metrics.resampling import (
    estimate,
    interval_of_difference,
    interval_of_share,
    weights_of_resamples,
    wilson_interval,
    wilson_interval_of,
)
from hierpets.evaluation.predictions import Predictions
from hierpets.evaluation.records import records_of

SHOTS = 5


def repeated(predictions: Predictions) -> Predictions:
    """Five shots of each photo, of which the data says that they show one animal."""
    rows = np.repeat(np.arange(len(predictions)), SHOTS)
    paths = tuple(f"{row}-{shot}.jpg" for row, shot in zip(rows, np.arange(len(rows)) % SHOTS, strict=True))
    # Another path for each: no photo is evaluated twice.
    alone = replace(predictions, paths=tuple(map(str, range(len(predictions)))))
    columns = {
        name: None if value is None else value[rows]
        for name in ("species_true", "leaf_true", "probabilities", "level", "node", "pet_score", "listed")
        for value in (getattr(alone, name),)
    }
    sets = None if alone.breed_sets is None else tuple(alone.breed_sets[row] for row in rows)
    return Predictions(taxonomy=alone.taxonomy, paths=paths, breed_sets=sets, groups=rows * 7, **columns)


def intervals_of(metrics):
    """Every interval of an evaluation, by where it stands."""

    def walk(value, where):
        if isinstance(value, dict):
            for key, inner in value.items():
                yield from walk(inner, f"{where}.{key}")
        elif isinstance(value, list) and "curves" not in where:
            for number, inner in enumerate(value):
                if isinstance(inner, dict):
                    yield from walk(inner, f"{where}[{number}]")
            if "interval" in where and len(value) == 2 and None not in value:
                yield where, value

    return dict(walk(metrics.model_dump(mode="json"), ""))


def test_five_shots_of_each_animal_are_as_sure_as_one(predictions):
    once = evaluate_predictions(predictions, resamples=50)
    often = evaluate_predictions(repeated(predictions), resamples=50)
    assert (once.bootstrap.resampled, often.bootstrap.resampled) == ("photos", "individuals")
    expected, found = intervals_of(once), intervals_of(often)
    assert len(expected) > 30
    assert found.keys() == expected.keys()
    for where, interval in expected.items():
        assert found[where] == pytest.approx(interval, abs=1e-6), where
    assert often.breed.accuracy == pytest.approx(once.breed.accuracy)


def test_shots_that_nobody_says_are_of_one_animal_look_surer_than_they_are(predictions):
    told, untold = (
        evaluate_predictions(made, resamples=200).breed.intervals["accuracy"]
        for made in (repeated(predictions), replace(repeated(predictions), groups=None))
    )
    assert np.ptp(untold) < 0.6 * np.ptp(told)


def test_intervals_cover_the_truth_where_photos_of_an_animal_are_alike():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), SHOTS)
    covered = {"told": 0, "untold": 0}
    for trial in range(60):
        hits = (rng.random(60) < 0.8)[groups].astype(float)
        for name, known in (("told", groups), ("untold", None)):
            _, intervals = estimate(
                lambda w, h=hits: {"share": w @ h / w.sum(axis=1)},
                len(hits), seed=trial, resamples=200, groups=known,
            )  # fmt: skip
            covered[name] += intervals["share"][0] <= 0.8 <= intervals["share"][1]
    assert covered["told"] >= 51  # of 60
    assert covered["untold"] < 45


def test_a_resample_holds_all_photos_of_an_animal_or_none():
    groups = np.array([4, 9, 4, 4, 2])
    (weights,) = weights_of_resamples(5, 40, np.random.default_rng(0), groups)
    assert weights.shape == (40, 5)
    np.testing.assert_array_equal(weights[:, 0], weights[:, 2])
    np.testing.assert_array_equal(weights[:, 0], weights[:, 3])
    np.testing.assert_array_equal(weights[:, [0, 1, 4]].sum(axis=1), 3)


@given(arrays(bool, st.integers(1, 30)))
def test_wilson_counts_animals(hits):
    expected = wilson_interval(int(hits.sum()), len(hits))
    groups = np.repeat(np.arange(len(hits)), SHOTS)
    assert wilson_interval_of(hits) == expected
    assert wilson_interval_of(hits[groups], groups=groups) == pytest.approx(expected)
    low, high = wilson_interval_of(hits[groups])
    assert high - low <= expected[1] - expected[0]


def test_of_animals_with_many_photos_fewer_count():
    """Nine photos of one animal and one of another are little more than one."""
    groups = np.array([0] * 9 + [1])
    assert wilson_interval_of(np.ones(10, bool), groups=groups) == wilson_interval(100 / 82, 100 / 82)
    assert wilson_interval_of(np.empty(0, bool), groups=np.empty(0, int)) is None


def test_what_never_differs_is_as_uncertain_as_its_animals_are_few():
    groups = np.repeat(np.arange(4), SHOTS)
    nothing = np.zeros(20)
    assert interval_of_difference(nothing, (0, 0), groups=groups) == interval_of_difference(nothing[:4], (0, 0))
    weights = np.array([0.5] + [0.5 / 19] * 19)  # of a class of one photo and a class of nineteen
    _, most = interval_of_difference(nothing, (0, 0), weights)
    assert most == pytest.approx(wilson_interval(0, 1 / (weights**2).sum())[1])
    all_right = np.ones(20, bool)
    assert interval_of_share(all_right, (1, 1), groups=groups) == wilson_interval(4, 4)


def test_two_evaluations_are_compared_by_animals(predictions):
    known = predictions.take(np.flatnonzero(predictions.breed_known))
    other = replace(known, probabilities=np.roll(known.probabilities, 1, axis=0))
    once, often = (
        compare_records(*[list(records_of(made)) for made in pair], names=("a", "b"), resamples=100)
        for pair in ((known, other), (repeated(known), repeated(other)))
    )
    for level, found in often.measured.items():
        assert found.interval.accuracy == pytest.approx(once.measured[level].interval.accuracy)
        assert found.difference.accuracy == pytest.approx(once.measured[level].difference.accuracy)
