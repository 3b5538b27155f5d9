"""Photos that are added to the statistics of others."""

import numpy as np
import pytest
from helpers.features import blobs

from hierpets.growing.learning import add_photos
from hierpets.model.statistics.classes import ClassStatistics
from hierpets.taxonomy import Leaf
from hierpets.training.frozen.lda import fit_lda

OLD, LABELS = 6, [Leaf("cat", name) for name in "abcdefgh"]
COUNTS = [*[30] * OLD, 20, 9]


@pytest.fixture
def photos():
    features, classes = blobs(COUNTS)
    return features, classes, np.random.default_rng(1).dirichlet(np.ones(4), size=len(classes))


@pytest.fixture
def known(photos):
    """Six classes; the last 10 photos of the first are still to come."""
    rows = np.flatnonzero((photos[1] < OLD) & (np.arange(len(photos[1])) >= 10))
    features, classes, profiles = (column[rows] for column in photos)
    weights = 25 / np.bincount(classes)[classes]
    return ClassStatistics.of(features, classes, weights, LABELS, profiles)


def add(known, photos, rows):
    features, classes, profiles = (column[rows] for column in photos)
    labels = [LABELS[c] for c in np.unique(classes)]
    return add_photos(known, features, np.unique(classes, return_inverse=True)[1], labels, profiles)[0]


@pytest.mark.parametrize("first", [(1, 1, 1), (3, 19, 2), (0, 6, 0), (10, 0, 5)])
def test_growing_in_unequal_steps_is_growing_at_once(known, photos, first):
    """Some photos of a known class and of two new ones, then the rest. How those of one class scatter is not known."""
    new = [np.arange(10), *(np.flatnonzero(photos[1] == c) for c in (6, 7))]
    once = add(known, photos, np.concatenate(new))
    step = add(known, photos, np.concatenate([rows[:n] for rows, n in zip(new, first, strict=True)]))
    last = add(step, photos, np.concatenate([rows[n:] for rows, n in zip(new, first, strict=True)]))
    assert once.labels == last.labels == tuple(LABELS)
    assert once.counts.tolist() == last.counts.tolist() == COUNTS
    for statistics in (once, step, last):
        np.testing.assert_allclose(statistics.weights, 25)
    np.testing.assert_allclose(last.means, once.means)
    np.testing.assert_allclose(last.profiles, once.profiles)
    assert np.trace(last.scatter) == pytest.approx(np.trace(once.scatter), rel=0.1)
    weights = [fit_lda(statistics, LABELS, shrinkage=0.1).weight.ravel() for statistics in (once, last)]
    assert np.corrcoef(*weights)[0, 1] > 0.99


def test_a_photo_that_was_alone_in_its_class_takes_no_scatter_with_it(known, photos):
    alone = add(known, photos, np.flatnonzero(photos[1] == 6)[:1])
    weights = np.where([label == LABELS[6] for label in alone.labels], 1.0, alone.weights)
    np.testing.assert_allclose(alone.reweighted(weights).scatter, alone.scatter)
