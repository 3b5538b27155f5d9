"""The closed form against the statistics without the photo, fitted anew."""

import numpy as np
import pytest
from helpers.features import blobs

from hierpets.growing.leave_one_out import LeaveOneOut
from hierpets.model.statistics.classes import ClassStatistics
from hierpets.taxonomy import Leaf
from hierpets.training.frozen.lda import fit_lda

NAMES = (Leaf("cat", "a"), Leaf("cat", "b"), Leaf("dog", "c"), Leaf("rabbit", None))


@pytest.fixture
def photos() -> LeaveOneOut:
    features, classes = blobs([40, 12, 25, 8], dimensions=10)
    weights = np.array([1.0, 2.5, 0.5, 3.0])[classes]
    profiles = np.random.default_rng(1).dirichlet(np.ones(6), size=len(classes))
    known = ClassStatistics.of(features, classes, weights, NAMES, profiles)
    return LeaveOneOut(known, features.astype(float), profiles, classes, weights)


def without(photos: LeaveOneOut, row: int) -> ClassStatistics:
    at = slice(row, row + 1)
    one = photos.features[at], photos.rows[at], photos.weights[at], NAMES, photos.profiles[at]
    return photos.statistics - ClassStatistics.of(*one)


def centered(logits: np.ndarray) -> np.ndarray:
    return logits - logits.mean(axis=-1, keepdims=True)


@pytest.mark.parametrize("shrinkage", [0.1, 0.4])
def test_logits_are_those_of_heads_fitted_without_the_photo(photos, shrinkage):
    found = photos.logits(NAMES, shrinkage)
    for row in range(0, len(photos.rows), 7):
        expected = fit_lda(without(photos, row), NAMES, shrinkage=shrinkage)(photos.features[row])
        np.testing.assert_allclose(centered(found[row]), centered(expected), rtol=0.03, atol=0.1)
    # Far closer than the heads that saw it, in a class of few photos.
    seen = fit_lda(photos.statistics, NAMES, shrinkage=shrinkage)(photos.features)
    few = np.flatnonzero(photos.rows == 3)
    exact = [fit_lda(without(photos, row), NAMES, shrinkage=shrinkage)(photos.features[row]) for row in few]
    gap = np.abs(centered(found[few]) - centered(np.array(exact))).mean()
    assert gap < 0.25 * np.abs(centered(seen[few]) - centered(np.array(exact))).mean()


def test_logits_are_exact_where_nothing_is_shrunk(photos):
    found = photos.logits(NAMES, 0.0)
    for row in range(0, len(photos.rows), 5):
        expected = fit_lda(without(photos, row), NAMES, shrinkage=0.0)(photos.features[row])
        np.testing.assert_allclose(centered(found[row]), centered(expected), rtol=1e-3, atol=1e-3)


def test_species_logits_are_those_of_species_fitted_without_the_photo(photos):
    names = tuple(Leaf(name, None) for name in ("cat", "dog", "rabbit"))
    found = photos.by_species().logits(names, 0.4)
    for row in range(0, len(photos.rows), 11):
        expected = fit_lda(without(photos, row).by_species, names, shrinkage=0.4)(photos.features[row])
        np.testing.assert_allclose(centered(found[row]), centered(expected), rtol=0.03, atol=0.1)


def test_signals_are_those_of_class_means_without_the_photo(photos):
    cosine, profile = photos.cosine(), photos.profile()
    for row in range(0, len(photos.rows), 9):
        rest, x = without(photos, row), photos.features[row]
        unit = rest.means / np.linalg.norm(rest.means, axis=1, keepdims=True)
        assert cosine[row] == pytest.approx(unit @ x / np.linalg.norm(x))
        roots = np.sqrt(rest.profiles_of(NAMES)) @ np.sqrt(photos.profiles[row])
        assert profile[row] == pytest.approx(roots)


def test_a_photo_that_is_alone_in_its_class_is_not_judged():
    features, classes = blobs([5, 1], dimensions=3)
    known = ClassStatistics.of(features, classes, np.ones(6), NAMES)
    left = LeaveOneOut(known, features.astype(float), np.zeros((6, 0)), classes, np.ones(6))
    assert left.judged.tolist() == [True] * 5 + [False]
    assert np.isfinite(left.logits(NAMES[:2], 0.4)).all()


def test_photos_of_no_stated_breed_take_nothing_out_of_the_scatter():
    """They are in none; few photos of many features show what a wrong one does to it."""
    names = (*NAMES[:3], Leaf("cat", None))
    features, classes = blobs([40, 30, 40, 10], dimensions=300)
    weights, profiles = np.ones(len(classes)), np.zeros((len(classes), 0))
    known = ClassStatistics.of(features, classes, weights, names, profiles)
    rows = np.array([known.labels.index(label) for label in names])[classes]
    photos = LeaveOneOut(known, features.astype(float), profiles, rows, weights)
    species = tuple(Leaf(name, None) for name in ("cat", "dog"))
    found = photos.by_species().logits(species, 0.2)
    for row in np.flatnonzero(classes == 3):
        rest = known - ClassStatistics.of(features[[row]], classes[[row]], weights[[row]], names, profiles[[row]])
        expected = fit_lda(rest.by_species, species, shrinkage=0.2)(features[row])
        np.testing.assert_allclose(centered(found[row]), centered(expected), rtol=0.1, atol=1.0)
