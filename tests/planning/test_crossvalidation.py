"""Curves and gains against the same computed the long way: every head fitted anew, from its photos."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from hierpets.evaluation.metrics.classes import balanced_accuracy
from hierpets.planning.crossvalidation import (
    REMOVED,
    cross_validate_sizes,
    curve_sizes,
    trained_on,
)
from hierpets.planning.curve import class_gains, curve_points
from hierpets.plugin import Labels
from hierpets.progress import no_progress
from hierpets.taxonomy import Taxonomy
from hierpets.training.features.feature_set import FeatureSet

TREE = Taxonomy(tree={"cat": ("birman", "siamese"), "dog": ("husky", "pug"), "rabbit": ()})


def clouds(counts, *, spread=1.0, seed=0, dimensions=12):
    """Photos of each leaf around a center of their own, breeds of one species near each other."""
    rng = np.random.default_rng(seed)
    leaf = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    species = TREE.leaf_species[leaf]
    kinds, centers = rng.normal(size=(3, dimensions)) * 3, rng.normal(size=(5, dimensions))
    features = (kinds[species] + centers[leaf] + spread * rng.normal(size=(len(leaf), dimensions))).astype(np.float32)
    labels = Labels(species, leaf, TREE.species, tuple(map(str, TREE.leaves)))
    return FeatureSet(features, features, labels, np.ones(len(leaf)), TREE)


@pytest.fixture(scope="module")
def photos():
    return clouds((40, 40, 40, 20, 12), spread=2.0)


@pytest.fixture(scope="module")
def found(photos):
    return cross_validate_sizes(photos, curve_sizes(photos.labels), progress=no_progress)


def labels_of(*animals):
    """The photos of each leaf: so many of each of its animals, or a number of photos that are all of different ones."""
    shots = [[1] * each if isinstance(each, int) else each for each in animals]
    leaf = np.repeat(np.arange(len(shots)), [sum(each) for each in shots])
    groups = np.repeat(np.arange(sum(map(len, shots))), [count for each in shots for count in each])
    return Labels(TREE.leaf_species[leaf], leaf, TREE.species, tuple(map(str, TREE.leaves)), groups)


def test_curve_sizes_stop_where_fewer_than_half_of_the_classes_carry_them():
    assert curve_sizes(labels_of(100, 10, 10)) == (1, 2, 3, 5, 7, 80)
    assert curve_sizes(labels_of(100, 100, 10)) == (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 80)
    assert curve_sizes(labels_of(4, 4)) == (1, 2, 3, 4)


def test_trained_on_is_what_a_fold_leaves():
    assert trained_on(labels_of(100, 24, 4)).tolist() == [80, 20, 3]


def test_trained_on_is_what_photos_of_few_animals_were_judged_by():
    """Of 40 photos, 38 are judged by two, and two by 39; where one of eleven animals has half of a class, that half is
    judged by the other.
    """
    assert trained_on(labels_of([38, 1, 1], [20, *[2] * 10], 40)).tolist() == [4, 28, 32]


def test_the_end_of_a_curve_holds_every_photo_where_folds_hold_none_of_a_class():
    labels = labels_of([38, 1, 1], [13, 13, 14], 10, 10, 10)
    sizes = curve_sizes(labels)
    assert sizes == (1, 2, 3, 5, 7, 40)
    shown = clouds((40, 40, 10, 10, 10), spread=3.0)
    order = np.argsort(shown.labels.leaf, kind="stable")
    photos = replace(shown, features=shown.features[order], views=shown.views[order], labels=labels)
    found = cross_validate_sizes(photos, sizes, progress=no_progress)
    everything = cross_validate_sizes(photos, (len(photos),), progress=no_progress)
    assert (found.guesses[:, -1] == everything.guesses[:, 0]).all()
    last = list(curve_points(found, photos))[-1]
    assert (last.photos, last.classes) == (40, 1)
    assert last.mean_photos == pytest.approx(np.mean([4, 27, 8, 8, 8]))
    removed = {gain.label: gain.removed for gain in class_gains(found, photos)}
    assert removed["cat/birman"] == 2 and removed["cat/siamese"] == REMOVED


def test_balanced_accuracy_is_the_mean_recall():
    classes = np.array([0, 0, 0, 0, 3, 3])
    assert balanced_accuracy(np.array([1, 1, 1, 0, 1, 0]), classes) == pytest.approx((0.75 + 0.5) / 2)
    assert balanced_accuracy(np.ones((2, 3, 6)), classes).shape == (2, 3)
    assert np.isnan(balanced_accuracy(np.ones(0), classes[:0]))


def test_balanced_accuracy_does_not_depend_on_which_photos_of_a_class_are_right():
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 40, 1000)
    right = np.ones((20, 1000), bool)
    assert (balanced_accuracy(right, classes) == 1).all()
    for row in right:
        for leaf in range(40):
            row[rng.choice(np.flatnonzero(classes == leaf), 3, replace=False)] = False
    assert len(set(balanced_accuracy(right, classes))) == 1


def test_more_photos_are_better_and_all_are_as_good_as_scikit_learn_says(found, photos):
    points = list(curve_points(found, photos))
    accuracy = [point.accuracy for point in points]
    assert accuracy[0] < accuracy[3] < accuracy[-1]
    assert all(point.low <= point.accuracy <= point.high for point in points)
    assert all(point.interval[0] < point.accuracy < point.interval[1] for point in points)
    assert points[0].mean_photos == points[0].photos == 1 and points[-1].photos == 32
    assert points[-1].mean_photos == pytest.approx((32 + 32 + 32 + 16 + 10) / 5)
    assert [point.classes for point in points[:2]] == [5, 5] and points[-1].classes == 3
    oracle = _scikit_learn(photos)
    assert accuracy[-1] == pytest.approx(oracle, abs=0.05)
    assert points[-1].species > points[-1].accuracy


def test_few_photos_that_are_all_recognized_prove_neither_perfection_nor_that_more_bring_nothing():
    photos = clouds((8, 8, 8, 8, 8), spread=0.01)
    found = cross_validate_sizes(photos, curve_sizes(photos.labels), progress=no_progress)
    last = list(curve_points(found, photos))[-1]
    assert last.accuracy == 1 and last.interval == (pytest.approx(0.912, abs=0.001), 1)
    for gain in class_gains(found, photos):
        assert gain.gain == 0 and gain.interval == (pytest.approx(-0.324, abs=0.001), pytest.approx(0.324, abs=0.001))


def test_each_photo_is_judged_at_every_size_in_every_repeat(found, photos):
    assert found.guesses.shape == (5, len(found.sizes), len(photos))
    assert (found.guesses[0] != found.guesses[1]).any()
    assert len(np.unique(found.guesses)) == 5


def test_cross_validate_sizes_is_the_same_each_time(found, photos):
    again = cross_validate_sizes(photos, found.sizes, progress=no_progress)
    assert (again.guesses == found.guesses).all() and (again.right_without == found.right_without).all()


def test_the_curve_of_labels_that_mean_nothing_is_chance(photos):
    shuffled = np.random.default_rng(1).permutation(photos.labels.leaf)
    labels = replace(photos.labels, leaf=shuffled, species=TREE.leaf_species[shuffled])
    random = replace(photos, labels=labels)
    points = list(curve_points(cross_validate_sizes(random, curve_sizes(labels), progress=no_progress), random))
    assert all(point.accuracy < 0.35 for point in points)


def test_gains_are_those_of_heads_that_lack_the_last_photos():
    """Far apart classes need no photos; one whose few photos miss half of it does."""
    rng = np.random.default_rng(0)
    easy = clouds((60, 60, 60, 60, 24), spread=0.2)
    leaf = easy.labels.leaf
    features = np.asarray(easy.features).copy()
    # Rabbits look so different from each other that their mean needs many of them.
    features[leaf == 4] = features[leaf == 0][:24] + 3 * rng.normal(size=(24, 12))
    photos = replace(easy, features=features, views=features)
    found = cross_validate_sizes(photos, curve_sizes(photos.labels), progress=no_progress)
    gains = class_gains(found, photos)
    assert gains[0].label == "rabbit" and gains[0].gain > 0.02
    assert all(abs(other.gain) < 0.02 and other.recall > 0.95 for other in gains[1:])
    assert gains[0].interval[0] <= gains[0].gain <= gains[0].interval[1]
    assert gains[0].photos == 24 and gains[0].removed == REMOVED


def test_gains_of_small_classes_take_half_of_their_photos():
    photos = clouds((8, 8, 8, 8, 8))
    gains = class_gains(cross_validate_sizes(photos, (7,), repeats=1, progress=no_progress), photos)
    assert {found.removed for found in gains} == {3}  # of the seven that four folds hold


def test_gains_are_not_hidden_where_photos_are_fewer_than_features():
    """A covariance that still held the photos that are gone would recognize those near them: 0.02, where a fit without
    them brings 0.24.
    """
    photos = clouds((24, 24, 24, 24, 24), dimensions=300, spread=6.0)
    gains = class_gains(cross_validate_sizes(photos, (20,), repeats=2, progress=no_progress), photos)
    assert np.mean([found.gain for found in gains]) > 0.2


def test_a_class_that_a_fold_leaves_one_photo_of_keeps_it():
    labels = labels_of([3, 1], 10, 10, 10, 10)
    shown = clouds((4, 10, 10, 10, 10), spread=0.01)
    order = np.argsort(shown.labels.leaf, kind="stable")
    photos = replace(shown, features=shown.features[order], views=shown.views[order], labels=labels)
    assert cross_validate_sizes(photos, (10,), repeats=1, progress=no_progress).right_without.all()


def _scikit_learn(photos):
    """Mean recall of LDA with the same shrinkage and equal priors, five folds."""
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    leaf = photos.labels.leaf
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.4, priors=np.full(5, 0.2))
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    return balanced_accuracy(cross_val_predict(model, photos.features, leaf, cv=folds) == leaf, leaf)


@pytest.mark.parametrize("counts", [(26, 25, 25, 25, 25), (13, 13, 13, 13, 13)])
def test_the_end_of_a_curve_is_no_worse_where_a_fold_has_no_more_photos(counts):
    photos = clouds(counts, spread=0.01)
    found = cross_validate_sizes(photos, curve_sizes(photos.labels), repeats=2, progress=no_progress)
    assert (found.guesses[:, -2:] == photos.labels.leaf).all()
