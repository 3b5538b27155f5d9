"""Confident learning and the neighbors: wrong labels are suspected, hard photos are not."""

import numpy as np
import pytest

from hierpets.auditing.labels.label_errors import confident_classes, confident_mismatches, suspected_errors
from hierpets.auditing.pairs.neighbors import find_neighbors, find_outliers
from hierpets.plugin import Labels
from hierpets.taxonomy import Taxonomy

TREE = Taxonomy(tree={"cat": ("birman", "siamese"), "dog": ("beagle", "pug")})


def labels_of(leaf, species=None):
    leaf = np.asarray(leaf)
    species = TREE.leaf_species[leaf] if species is None else np.asarray(species)
    return Labels(species, leaf, TREE.species, tuple(map(str, TREE.leaves)))


def clusters(n=40, seed=0):
    """Four well-separated classes: features [4n, 8], true leaf [4n], and probabilities that know the truth."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(4), n)
    features = np.eye(4, 8)[truth] * 4 + rng.normal(0, 0.5, (4 * n, 8)) + 1
    joint = np.full((4 * n, 4), 0.02)
    joint[np.arange(4 * n), truth] = 0.94
    return features, truth, joint


def test_confident_classes_use_the_mean_confidence_of_each_class():
    labels = np.array([0, 0, 1, 1])
    probabilities = np.array([[0.9, 0.1], [0.3, 0.7], [0.4, 0.6], [0.2, 0.8]])
    # Means: class 0 0.6, class 1 0.7. Row 1 reaches 1's bar, row 2 reaches none.
    assert confident_classes(labels, probabilities).tolist() == [0, 1, -1, 1]
    assert confident_mismatches(labels, probabilities).tolist() == [1]


def test_confident_classes_leave_out_a_class_without_rows():
    assert 2 not in confident_classes(np.array([0, 1]), np.array([[0.3, 0.1, 0.6], [0.1, 0.3, 0.6]]))


@pytest.mark.parametrize(("given", "true"), [(1, 0), (2, 0)], ids=["within the species", "across species"])
def test_suspected_errors_are_the_swapped_labels_and_nothing_else(given, true):
    features, truth, joint = clusters()
    leaf = truth.copy()
    swapped = np.flatnonzero(truth == true)[:3]
    leaf[swapped] = given
    errors = suspected_errors(labels_of(leaf), joint, find_neighbors(features, k=10), TREE)
    assert {d.row for d in errors} == set(swapped.tolist())
    assert {d.likely for d in errors} == {true}


def test_suspected_errors_leave_out_a_hard_photo_among_its_own_kind():
    features, truth, joint = clusters()
    joint[0] = [0.02, 0.94, 0.02, 0.02]  # the heads err, the neighbors do not
    assert suspected_errors(labels_of(truth), joint, find_neighbors(features, k=10), TREE) == []


def test_suspected_errors_check_a_photo_without_a_breed_by_its_species():
    features, truth, joint = clusters()
    leaf, species = truth.copy(), TREE.leaf_species[truth].copy()
    leaf[[0, 1]] = -1
    species[1] = 1  # a birman called a dog of no stated breed
    errors = suspected_errors(labels_of(leaf, species), joint, find_neighbors(features, k=10), TREE)
    assert [(d.row, d.likely) for d in errors] == [(1, 0)]


def test_find_neighbors_finds_the_nearest_other_rows():
    features = np.random.default_rng(1).normal(size=(700, 16))
    features[1] = features[0]
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -1)
    found = find_neighbors(features, k=4)
    np.testing.assert_allclose(found.similarity, -np.sort(-cosines, axis=1)[:, :4], atol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(cosines, found.rows, axis=1), found.similarity, atol=1e-6)
    assert (found.rows[0, 0], found.rows[1, 0]) == (1, 0)


def test_find_outliers_finds_the_one_beyond_the_fence():
    features, _, _ = clusters()
    features[5] = np.eye(1, 8, 7) * 9
    outlying, distance = find_outliers(find_neighbors(features, k=10))
    assert np.flatnonzero(outlying).tolist() == [5]
    assert distance.argmax() == 5
