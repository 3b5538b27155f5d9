"""Fit heads that need the features of all photos in memory: logistic regression, or its mean with LDA."""

from __future__ import annotations

import numpy as np

from hierpets.config import HeadSpec
from hierpets.hierarchy.probabilities import Combiner, Prior
from hierpets.model.heads import Heads, Linear
from hierpets.model.statistics.classes import ClassStatistics
from hierpets.taxonomy import Leaf
from hierpets.training.features.feature_set import FeatureSet
from hierpets.training.frozen.lda import fit_lda
from hierpets.training.prior import equal_masses, head_prior_shift, weigh_classes

__all__ = ["fit_blend", "fit_head", "fit_heads", "fit_logistic"]

SPECIES_HEAD = HeadSpec(kind="logistic", c=0.01)


def fit_logistic(
    features: np.ndarray, labels: np.ndarray, weights: np.ndarray, *, classes: int, c: float = 0.01
) -> Linear:
    """Fit a multinomial logistic regression with an L2 penalty to centered features of unit scale.

    ``features`` [N, D], ``labels`` int [N] in 0..classes-1 with every class present, ``weights`` [N] positive.
    """
    from sklearn.linear_model import LogisticRegression

    center = features.mean(axis=0)
    # One scale for all features: scaling each by itself would amplify the noise of those that hardly vary.
    scale = max(float(np.sqrt(((features - center) ** 2).mean())), 1e-12)
    model = LogisticRegression(C=c, max_iter=500).fit((features - center) / scale, labels, sample_weight=weights)
    weight, bias = model.coef_ / scale, model.intercept_
    if classes == 2:  # scikit-learn keeps one row for two classes
        weight, bias = np.vstack([-weight, weight]) / 2, np.array([-bias[0], bias[0]]) / 2
    return Linear(weight.astype(np.float32), (bias - weight @ center).astype(np.float32))


def fit_blend(
    features: np.ndarray, labels: np.ndarray, weights: np.ndarray, *, classes: int, shrinkage: float, c: float
) -> Linear:
    """Fit LDA and logistic regression, and average them, each divided by the standard deviation of its logits.

    The result is a single linear head, so prediction costs no more. Both parts have equal priors: the classes have the
    same total weight in the regression.
    """
    equal = weights / np.bincount(labels, weights=weights, minlength=classes)[labels]
    parts = (
        _fit_lda(features, labels, weights, classes=classes, shrinkage=shrinkage),
        fit_logistic(features, labels, equal * (len(equal) / equal.sum()), classes=classes, c=c),
    )
    scales = [max(float((head(features) - head(features).mean(axis=1, keepdims=True)).std()), 1e-12) for head in parts]
    return Linear(
        sum((head.weight / scale for head, scale in zip(parts, scales, strict=True)), np.zeros_like(parts[0].weight)),
        sum((head.bias / scale for head, scale in zip(parts, scales, strict=True)), np.zeros_like(parts[0].bias)),
    )


def fit_heads(
    photos: FeatureSet, spec: HeadSpec, *, prior: Prior = "uniform", combiner: Combiner = "conditional"
) -> Heads:
    """Fit the species head to all photos, and the breed heads to those of known breed.

    The breed heads are a logistic regression or a blend, as ``spec`` says. Uninformative features give the ``prior``
    when ``combiner`` combines both heads.
    """
    taxonomy, known = photos.taxonomy, photos.where(photos.labels.breed_known)
    views = np.asarray(photos.views)
    heads = Heads(
        species=fit_head(
            views, photos.labels.species, photos.weights, classes=len(taxonomy.species), spec=SPECIES_HEAD
        ),
        leaf=fit_head(
            np.asarray(known.views), known.labels.leaf, known.weights, classes=len(taxonomy.leaves), spec=spec
        ),
    )
    weighed = weigh_classes(photos.weights, photos.labels, taxonomy)
    # A blend has equal priors, whatever the weights.
    seen = weighed if spec.kind == "logistic" else weighed._replace(leaf=equal_masses(taxonomy).leaf)
    counts = weigh_classes(np.ones(len(photos)), photos.labels, taxonomy)
    return heads.shifted(*head_prior_shift(seen, counts, taxonomy, target=prior, combiner=combiner))


def fit_head(features: np.ndarray, labels: np.ndarray, weights: np.ndarray, *, classes: int, spec: HeadSpec) -> Linear:
    """Fit a linear head, by logistic regression or blended; it is zero if there is only one class."""
    if classes == 1:
        return Linear(np.zeros((1, features.shape[1]), np.float32), np.zeros(1, np.float32))
    if spec.kind == "logistic":
        return fit_logistic(features, labels, weights, classes=classes, c=spec.c)
    return fit_blend(features, labels, weights, classes=classes, shrinkage=spec.shrinkage, c=spec.c)


def _fit_lda(
    features: np.ndarray, labels: np.ndarray, weights: np.ndarray, *, classes: int, shrinkage: float
) -> Linear:
    names = [Leaf(f"{c:09}", None) for c in range(classes)]
    return fit_lda(ClassStatistics.of(features, labels, weights, names), names, shrinkage=shrinkage)
