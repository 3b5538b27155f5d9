from dataclasses import replace

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from hierpets.config import HeadSpec
from hierpets.hierarchy.probabilities import COMBINERS, joint_probabilities, log_softmax
from hierpets.plugin import Labels
from hierpets.taxonomy import Taxonomy
from hierpets.training.frozen.feature_set import FeatureSet
from hierpets.training.frozen.linear_probe import fit_head, fit_heads, fit_lda, fit_logistic

TAXONOMY = Taxonomy(tree={"cat": ("a", "b"), "dog": ("c", "d", "e")})


def blobs(
    per_class: list[int], dimensions: int = 12, seed: int = 0, spread: float = 1.5
) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    means = generator.normal(scale=spread, size=(len(per_class), dimensions))
    mixing = np.eye(dimensions) + 0.3 * generator.normal(size=(dimensions, dimensions)) / np.sqrt(dimensions)
    labels = np.repeat(np.arange(len(per_class)), per_class)
    return (means[labels] + generator.normal(size=(len(labels), dimensions)) @ mixing).astype(np.float32), labels


def test_fit_lda_agrees_with_scikit_learn_without_shrinkage():
    features, labels = blobs([20000, 20000, 20000], dimensions=4, spread=0.5)
    head = fit_lda(features, labels, np.ones(len(labels)), classes=3, shrinkage=0.0)
    oracle = LinearDiscriminantAnalysis(solver="lsqr", priors=np.ones(3) / 3).fit(features, labels)
    np.testing.assert_allclose(log_softmax(head(features)), oracle.predict_log_proba(features), rtol=0.02, atol=0.01)


def test_fit_lda_has_equal_priors_however_unbalanced_the_photos():
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1], [1000, 20])
    features = (np.where(labels == 0, -1.0, 1.0)[:, None] + 0.3 * generator.normal(size=(1020, 1))).astype(np.float32)
    head = fit_lda(features, labels, np.ones(1020), classes=2)
    boundary = -(head.bias[1] - head.bias[0]) / (head.weight[1, 0] - head.weight[0, 0])
    assert boundary == pytest.approx(0.0, abs=0.1)


def test_fit_lda_survives_fewer_photos_than_dimensions():
    features, labels = blobs([6, 6, 6], dimensions=200, spread=1.0)
    unseen, unseen_labels = blobs([50, 50, 50], dimensions=200, spread=1.0)
    head = fit_lda(features, labels, np.ones(18), classes=3)
    assert (head(unseen).argmax(axis=1) == unseen_labels).mean() > 0.9


def test_fit_lda_counts_a_photo_of_double_weight_twice():
    features, labels = blobs([1000, 2000, 3000], spread=0.5)
    double = np.ones(6000)
    double[::7] = 2.0
    repeated = np.concatenate([features, features[::7]]), np.concatenate([labels, labels[::7]])
    weighted = fit_lda(features, labels, double, classes=3)
    expected = fit_lda(*repeated, np.ones(len(repeated[1])), classes=3)
    differences = [logits - logits[:, :1] for logits in (weighted(features), expected(features))]
    np.testing.assert_allclose(*differences, atol=1e-3)


@pytest.mark.parametrize("fit", [fit_lda, fit_logistic])
@pytest.mark.parametrize("classes", [2, 4])
def test_fit_head_tells_separated_classes_apart(fit, classes):
    features, labels = blobs([40] * classes)
    head = fit(features, labels, np.ones(len(labels)), classes=classes)
    assert head.weight.shape == (classes, 12)
    assert head.weight.dtype == np.float32
    assert (head(features).argmax(axis=1) == labels).mean() > 0.95


def photos(features: np.ndarray, leaf: np.ndarray, *, hidden: slice = slice(0), taxonomy=TAXONOMY) -> FeatureSet:
    """Photos of those leaves, some with their breed hidden."""
    species, shown = taxonomy.leaf_species[leaf], leaf.copy()
    shown[hidden] = -1
    labels = Labels(species, shown, taxonomy.species, tuple(map(str, taxonomy.leaves)))
    return FeatureSet(features, features, labels, np.ones(len(leaf)), taxonomy)


@pytest.mark.parametrize("spec", [HeadSpec(), HeadSpec(kind="logistic", c=1.0)], ids=str)
def test_fit_heads_uses_a_photo_without_breed_for_the_species_head_alone(spec):
    whole = photos(*blobs([30] * 5), hidden=slice(None, None, 3))
    heads, labeled = fit_heads(whole, spec), fit_heads(whole.where(whole.breed_known), spec)
    np.testing.assert_allclose(heads.leaf.weight, labeled.leaf.weight, rtol=1e-4, atol=1e-6)
    assert not np.allclose(heads.species.weight, labeled.species.weight, rtol=1e-3)


@pytest.mark.parametrize("combiner", COMBINERS)
@pytest.mark.parametrize("kind", ["lda", "logistic", "blend"])
@pytest.mark.parametrize("prior", ["uniform", "data"])
def test_fit_heads_predicts_the_prior_where_features_say_nothing(kind, combiner, prior):
    taxonomy = Taxonomy(tree={"cat": ("a", "b"), "dog": tuple("cdefghij")})
    counts = np.array([60, 20, *[10] * 8])
    leaf = np.repeat(np.arange(10), counts)
    features = np.resize(np.float32([-1, 1]), (len(leaf), 1))  # every breed has as many of either
    # Every breed weighs the same, as the sampler breed_balanced has it: 2 breeds of cats against 8 of dogs.
    blind = replace(photos(features, leaf, taxonomy=taxonomy), weights=1 / counts[leaf])
    heads = fit_heads(blind, HeadSpec(kind=kind), prior=prior, combiner=combiner)
    joint = joint_probabilities(*heads(np.zeros((1, 1), np.float32)), taxonomy, combiner=combiner)[0]
    expected = {"uniform": np.repeat([1 / 4, 1 / 16], [2, 8]), "data": counts / counts.sum()}[prior]
    np.testing.assert_allclose(joint, expected, atol=1e-3)


def test_fit_head_blends_both_heads_at_one_scale():
    features, labels = blobs([40] * 4)
    weights = np.ones(160)
    parts = (
        fit_lda(features, labels, weights, classes=4, shrinkage=0.3),
        fit_logistic(features, labels, weights, classes=4),
    )
    blend = fit_head(features, labels, weights, classes=4, spec=HeadSpec(kind="blend", shrinkage=0.3))

    def unit(logits: np.ndarray) -> np.ndarray:
        centered = logits - logits.mean(axis=1, keepdims=True)
        return centered / centered.std()

    got = blend(features) - blend(features).mean(axis=1, keepdims=True)
    np.testing.assert_allclose(got, sum(unit(part(features)) for part in parts), atol=1e-4)


def test_fit_heads_gives_zeros_where_there_is_a_single_species():
    features, leaf = blobs([20, 20])
    heads = fit_heads(photos(features, leaf, taxonomy=Taxonomy(tree={"cat": ("a", "b")})), HeadSpec())
    assert (heads.species(features) == 0).all()
