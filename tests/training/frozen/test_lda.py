import numpy as np
import pytest
from helpers.features import blobs, feature_set
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from hierpets.hierarchy.probabilities import log_softmax
from hierpets.model.heads import Linear
from hierpets.model.statistics.classes import ClassStatistics
from hierpets.taxonomy import Leaf, Taxonomy
from hierpets.training.frozen.lda import fit_lda, fit_lda_heads, fit_lda_without
from hierpets.training.frozen.statistics import collect_statistics


def lda(features, labels, weights=None, *, shrinkage=0.4) -> Linear:
    names = [Leaf(f"{c}", None) for c in range(labels.max() + 1)]
    known = ClassStatistics.of(features, labels, np.ones(len(labels)) if weights is None else weights, names)
    return fit_lda(known, names, shrinkage=shrinkage)


def test_fit_lda_agrees_with_scikit_learn_without_shrinkage():
    features, labels = blobs([20000, 20000, 20000], dimensions=4, spread=0.5)
    head = lda(features, labels, shrinkage=0.0)
    oracle = LinearDiscriminantAnalysis(solver="lsqr", priors=np.ones(3) / 3).fit(features, labels)
    np.testing.assert_allclose(log_softmax(head(features)), oracle.predict_log_proba(features), rtol=0.02, atol=0.01)


@pytest.mark.parametrize("shrinkage", [0.1, 0.4, 0.9])
def test_fit_lda_agrees_with_its_definition(shrinkage):
    features, labels = blobs([30, 20, 10], dimensions=6)
    x, means = features.astype(float), np.stack([features[labels == c].mean(axis=0, dtype=float) for c in range(3)])
    scatter = (x - means[labels]).T @ (x - means[labels]) / len(x)
    shrunk = (1 - shrinkage) * scatter + shrinkage * np.trace(scatter) / 6 * np.eye(6)
    inverse = np.linalg.inv(shrunk)
    distance = [((x - mean) @ inverse * (x - mean)).sum(axis=1) for mean in means]
    expected = log_softmax(-0.5 * np.stack(distance, axis=1))
    np.testing.assert_allclose(log_softmax(lda(features, labels, shrinkage=shrinkage)(x)), expected, atol=1e-3)


def test_fit_lda_has_equal_priors_however_unbalanced_the_photos():
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1], [1000, 20])
    features = (np.where(labels == 0, -1.0, 1.0)[:, None] + 0.3 * generator.normal(size=(1020, 1))).astype(np.float32)
    head = lda(features, labels)
    boundary = -(head.bias[1] - head.bias[0]) / (head.weight[1, 0] - head.weight[0, 0])
    assert boundary == pytest.approx(0.0, abs=0.1)


def test_fit_lda_survives_fewer_photos_than_dimensions():
    features, labels = blobs([6, 6, 6], dimensions=200, spread=1.0)
    unseen, unseen_labels = blobs([50, 50, 50], dimensions=200, spread=1.0)
    head = lda(features, labels)
    assert (head(unseen).argmax(axis=1) == unseen_labels).mean() > 0.9


def test_fit_lda_counts_a_photo_of_double_weight_twice():
    features, labels = blobs([1000, 2000, 3000], spread=0.5)
    double = np.ones(6000)
    double[::7] = 2.0
    repeated = np.concatenate([features, features[::7]]), np.concatenate([labels, labels[::7]])
    differences = [h(features) - h(features)[:, :1] for h in (lda(features, labels, double), lda(*repeated))]
    np.testing.assert_allclose(*differences, atol=1e-3)


@pytest.mark.parametrize("dimensions", [4, 12, 300])  # of 96 photos
@pytest.mark.parametrize("count", [0, 1, 10, 19])
def test_fit_lda_without_photos_is_a_fit_without_them_but_for_the_amount_of_identity(dimensions, count):
    features, labels = blobs([30, 20, 40, 6], dimensions=dimensions, spread=0.4)
    weights = np.random.default_rng(1).uniform(0.5, 2.0, size=len(labels))
    names = [Leaf(f"{c}", None) for c in range(4)]
    known = ClassStatistics.of(features, labels, weights, names)
    gone = np.isin(np.arange(len(labels)), np.flatnonzero(labels == 1)[:count])
    without = fit_lda_without(
        known, fit_lda(known, names, shrinkage=0.4), names, 1, features[gone], weights[gone], shrinkage=0.4
    )

    rest = ClassStatistics.of(features[~gone], labels[~gone], weights[~gone], names)
    odds = 0.4 / 0.6 * np.trace(known.scatter) / np.trace(rest.scatter)
    refit = fit_lda(rest, names, shrinkage=odds / (1 + odds))
    scale = 0.6 * (1 + odds) * rest.covariance_weight / known.covariance_weight  # of all logits alike
    expected, found = (head(features) - head(features)[:, :1] for head in (refit, without))
    np.testing.assert_allclose(found, expected / scale, atol=1e-3 * np.ptp(found))
    guesses = (head(features).argmax(axis=1) for head in (fit_lda(rest, names, shrinkage=0.4), without))
    assert np.equal(*guesses).mean() > 0.97


def test_a_single_class_has_a_head_of_zeros():
    taxonomy = Taxonomy(tree={"cat": ("a", "b")})
    features, leaf = blobs([20, 20])
    (known,) = collect_statistics(feature_set(features, leaf, taxonomy), None)
    heads = fit_lda_heads(known, taxonomy, shrinkage=0.4)
    assert (heads.species(features) == 0).all()
    assert np.ptp(heads.leaf(features)) > 0


def test_the_species_head_tells_species_of_several_breeds_apart():
    taxonomy = Taxonomy(tree={"cat": ("a", "b"), "dog": ("c", "d", "e"), "rabbit": ()})
    features, leaf = blobs([40] * 6)
    photos = feature_set(features, leaf, taxonomy)
    (known,) = collect_statistics(photos, None)
    species = fit_lda_heads(known, taxonomy, shrinkage=0.2).species(features)
    assert (species.argmax(axis=1) == photos.labels.species).mean() > 0.95
