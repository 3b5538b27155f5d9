"""Statistics of classes: what is added and taken away in parts is what all photos give at once."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from sklearn.covariance import empirical_covariance
from threadpoolctl import threadpool_limits

from hierpets.model.statistics.classes import ClassStatistics
from hierpets.taxonomy import Leaf

NAMES = [Leaf("cat", "birman"), Leaf("cat", "siamese"), Leaf("dog", "pug"), Leaf("rabbit", None), Leaf("cat", None)]
D, P = 5, 3


def photos(count: int = 60, seed: int = 0):
    """Features far from the origin, classes, weights and profiles."""
    generator = np.random.default_rng(seed)
    classes = generator.integers(len(NAMES), size=count)
    features = 100 + generator.normal(size=(len(NAMES), D))[classes] + 0.3 * generator.normal(size=(count, D))
    return features, classes, generator.uniform(0.5, 2, size=count), generator.dirichlet(np.ones(P), size=count)


def statistics(rows=slice(None), **of) -> ClassStatistics:
    features, classes, weights, profiles = (column[rows] for column in photos(**of))
    return ClassStatistics.of(features, classes, weights, NAMES, profiles)


def assert_same(one: ClassStatistics, other: ClassStatistics) -> None:
    assert one.labels == other.labels
    for name in ("counts", "weights", "sums", "profiles", "scatter"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-9, atol=1e-9, err_msg=name)


def test_covariance_and_means_agree_with_their_definitions():
    features, classes, weights, _ = photos()
    found = statistics()
    assert found.labels == tuple(sorted(NAMES, key=lambda leaf: (leaf.species, leaf.breed or "")))
    stated, moment = classes < 4, np.zeros((D, D))
    for label, mean, count in zip(found.labels, found.means, found.counts, strict=True):
        own = classes == NAMES.index(label)
        np.testing.assert_allclose(mean, np.average(features[own], axis=0, weights=weights[own]))
        assert count == own.sum()
        if label != Leaf("cat", None):
            moment += np.cov(features[own].T, aweights=weights[own], ddof=0) * weights[own].sum()
    np.testing.assert_allclose(found.covariance, moment / weights[stated].sum())


def test_parts_add_up_in_any_order():
    parts = [statistics(slice(at, at + 20)) for at in (0, 20, 40)]
    for order in permutations(parts):
        assert_same(ClassStatistics.total(order), statistics())


def test_a_part_that_is_taken_away_leaves_the_others():
    assert_same(statistics() - statistics(slice(0, 45)), statistics(slice(45, None)))
    single = statistics() - statistics(slice(0, 1))
    assert_same(single, statistics(slice(1, None)))


def test_a_class_is_gone_with_its_last_photo():
    _, classes, *_ = photos()
    rest = statistics() - statistics(classes == 2)
    assert Leaf("dog", "pug") not in rest.labels
    assert_same(rest, statistics(classes != 2))


def test_photos_of_no_stated_breed_move_their_species_and_no_leaf():
    _, classes, *_ = photos()
    whole, stated = statistics(), statistics(classes != 4)
    np.testing.assert_allclose(whole.covariance, stated.covariance)
    assert whole.leaves == stated.leaves == tuple(NAMES[:4])
    assert not np.allclose(whole.by_species.means[0], stated.by_species.means[0])


def test_by_species_is_what_species_labels_give():
    features, classes, weights, _ = photos()
    rows = classes < 4
    species = np.array([0, 0, 1, 2])[classes[rows]]
    names = [Leaf(name, None) for name in ("cat", "dog", "rabbit")]
    expected = ClassStatistics.of(features[rows], species, weights[rows], names)
    found = statistics(rows).by_species
    assert found.labels == expected.labels
    np.testing.assert_allclose(found.means, expected.means)
    np.testing.assert_allclose(found.covariance, expected.covariance)


def test_scatter_is_exact_far_from_the_origin():
    generator = np.random.default_rng(1)
    features = 1e6 + generator.normal(size=(5000, 2))
    parts = [
        ClassStatistics.of(chunk, np.zeros(len(chunk), int), np.ones(len(chunk)), [Leaf("cat", None)])
        for chunk in np.array_split(features, 50)
    ]
    np.testing.assert_allclose(ClassStatistics.total(parts).covariance, empirical_covariance(features), rtol=1e-6)


@pytest.mark.parametrize("label", [Leaf("dog", "pug"), Leaf("rabbit", None)])
def test_means_and_counts_are_found_by_label(label):
    found = statistics()
    row = found.labels.index(label)
    np.testing.assert_array_equal(found.means_of([label])[0], found.means[row])
    assert found.counts_of([label, Leaf("dog", "beagle")]).tolist() == [found.counts[row], 0]
    assert found.profiles_of([label])[0].sum() == pytest.approx(1.0)


def test_to_forget_a_class_leaves_the_scatter_of_a_photo_as_it_is():
    whole = statistics()
    for forgotten in ([Leaf("dog", "pug")], [Leaf("dog", "pug"), Leaf("cat", "birman")]):
        rest = whole
        for label in forgotten:
            rest = rest.without(label)
        assert rest.labels == tuple(label for label in whole.labels if label not in forgotten)
        np.testing.assert_allclose(rest.covariance, whole.covariance, rtol=1e-12)
        np.testing.assert_allclose(rest.means, whole.means_of(rest.labels), rtol=1e-12)


def test_the_factor_is_the_same_whatever_the_number_of_threads():
    generator = np.random.default_rng(0)
    wide = ClassStatistics.of(generator.normal(size=(40, 600)), np.arange(40) % 2, np.ones(40), NAMES[:2])
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads, "blas"):
            found.append(replace(wide).factor(0.4))
    np.testing.assert_array_equal(*found)
