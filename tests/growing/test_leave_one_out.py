"""The closed form against the statistics without the photo, fitted anew."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.features import blobs

from hierpets.growing.leave_one_out import LeaveOneOut
from hierpets.model.statistics.classes import ClassStatistics
from hierpets.taxonomy import Leaf
from hierpets.training.frozen.lda import fit_lda

NAMES = (Leaf("cat", "a"), Leaf("cat", "b"), Leaf("dog", "c"), Leaf("rabbit", None))


@pytest.fixture(params=[1, 3], ids=["a photo of each animal", "up to three photos of each animal"])
def shots(request) -> int:
    return request.param


@pytest.fixture
def close(shots):
    """How close: what shrinking takes for unchanged changes with each photo that is left out."""
    return {"rtol": 0.03 * shots, "atol": 0.1 * shots}


@pytest.fixture
def photos(shots) -> LeaveOneOut:
    features, classes = blobs([40, 12, 25, 8], dimensions=10)
    n = len(classes)
    weights = np.array([1.0, 2.5, 0.5, 3.0])[classes]
    profiles = np.random.default_rng(1).dirichlet(np.ones(6), size=n)
    known = ClassStatistics.of(features, classes, weights, NAMES, profiles)
    animals = classes * n + np.arange(n) // shots  # of one class each
    return LeaveOneOut(known, features.astype(float), profiles, classes, weights, animals)


def without(photos: LeaveOneOut, row: int) -> ClassStatistics:
    at = np.flatnonzero(photos.groups == photos.groups[row])
    animal = photos.features[at], photos.rows[at], photos.weights[at], NAMES, photos.profiles[at]
    return photos.statistics - ClassStatistics.of(*animal)


def centered(logits: np.ndarray) -> np.ndarray:
    return logits - logits.mean(axis=-1, keepdims=True)


@pytest.mark.parametrize("shrinkage", [0.1, 0.4])
def test_logits_are_those_of_heads_fitted_without_the_animal(photos, shots, shrinkage, close):
    found = photos.logits(NAMES, shrinkage)
    for row in range(0, len(photos.rows), 7):
        expected = fit_lda(without(photos, row), NAMES, shrinkage=shrinkage)(photos.features[row])
        np.testing.assert_allclose(centered(found[row]), centered(expected), **close)
    # Far closer than the heads that saw it, in a class of few photos.
    seen = fit_lda(photos.statistics, NAMES, shrinkage=shrinkage)(photos.features)
    few = np.flatnonzero(photos.rows == 3)
    exact = [fit_lda(without(photos, row), NAMES, shrinkage=shrinkage)(photos.features[row]) for row in few]
    gap = np.abs(centered(found[few]) - centered(np.array(exact))).mean()
    assert gap < 0.25 * np.sqrt(shots) * np.abs(centered(seen[few]) - centered(np.array(exact))).mean()


def test_logits_are_exact_where_nothing_is_shrunk(photos):
    found = photos.logits(NAMES, 0.0)
    for row in range(0, len(photos.rows), 5):
        expected = fit_lda(without(photos, row), NAMES, shrinkage=0.0)(photos.features[row])
        np.testing.assert_allclose(centered(found[row]), centered(expected), rtol=1e-3, atol=1e-3)


def test_leaving_out_photos_of_no_stated_breed_changes_no_logit_of_a_breed(photos):
    names = (Leaf("cat", "a"), Leaf("cat", "b"), Leaf("cat", None), Leaf("dog", "c"))
    known = ClassStatistics.of(photos.features, photos.rows, photos.weights, names, photos.profiles)
    breeds, unstated = (names[0], names[1], names[3]), photos.rows == 2
    rows = np.array([known.labels.index(name) for name in names])[photos.rows]
    found = replace(photos, statistics=known, rows=rows).logits(breeds, 0.4)[unstated]
    expected = fit_lda(known, breeds, shrinkage=0.4)(photos.features[unstated])
    np.testing.assert_allclose(centered(found), centered(expected), rtol=1e-4, atol=1e-4)


def test_species_logits_are_those_of_species_fitted_without_the_animal(photos, close):
    names = tuple(Leaf(name, None) for name in ("cat", "dog", "rabbit"))
    found = photos.by_species().logits(names, 0.4)
    for row in range(0, len(photos.rows), 11):
        expected = fit_lda(without(photos, row).by_species, names, shrinkage=0.4)(photos.features[row])
        np.testing.assert_allclose(centered(found[row]), centered(expected), **close)


def test_signals_are_those_of_class_means_without_the_animal(photos):
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
    left = LeaveOneOut(known, features.astype(float), np.zeros((6, 0)), classes, np.ones(6), np.arange(6))
    assert left.judged.tolist() == [True] * 5 + [False]
    assert np.isfinite(left.logits(NAMES[:2], 0.4)).all()


def test_an_animal_that_is_alone_in_its_class_is_not_judged_by_its_other_photos():
    features, classes = blobs([5, 3], dimensions=3)
    known = ClassStatistics.of(features, classes, np.ones(8), NAMES)
    animals = np.array([0, 0, 1, 2, 2, 3, 3, 3])
    left = LeaveOneOut(known, features.astype(float), np.zeros((8, 0)), classes, np.ones(8), animals)
    assert left.judged.tolist() == [True] * 5 + [False] * 3
    assert np.isfinite(left.logits(NAMES[:2], 0.4)).all()
    assert np.isfinite(left.cosine()).all()


def test_photos_of_no_stated_breed_take_nothing_out_of_the_scatter():
    """They are in none; few photos of many features show what a wrong one does to it."""
    names = (*NAMES[:3], Leaf("cat", None))
    features, classes = blobs([40, 30, 40, 10], dimensions=300)
    weights, profiles = np.ones(len(classes)), np.zeros((len(classes), 0))
    known = ClassStatistics.of(features, classes, weights, names, profiles)
    rows = np.array([known.labels.index(label) for label in names])[classes]
    photos = LeaveOneOut(known, features.astype(float), profiles, rows, weights, np.arange(len(rows)))
    species = tuple(Leaf(name, None) for name in ("cat", "dog"))
    found = photos.by_species().logits(species, 0.2)
    for row in np.flatnonzero(classes == 3):
        rest = known - ClassStatistics.of(features[[row]], classes[[row]], weights[[row]], names, profiles[[row]])
        expected = fit_lda(rest.by_species, species, shrinkage=0.2)(features[row])
        np.testing.assert_allclose(centered(found[row]), centered(expected), rtol=0.1, atol=1.0)
