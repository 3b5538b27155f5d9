"""Heads on frozen features, without gradient descent on the backbone: shrinkage LDA, logistic regression."""

from __future__ import annotations

from typing import Literal

import numpy as np

from hierpets.errors import ConfigError
from hierpets.model.heads import Heads, Linear
from hierpets.taxonomy import UNKNOWN_LEAF, Taxonomy

__all__ = ["HEAD_KINDS", "HeadKind", "fit_heads", "fit_lda", "fit_logistic"]

HeadKind = Literal["lda", "logistic"]
HEAD_KINDS: tuple[HeadKind, ...] = ("lda", "logistic")


def fit_lda(features: np.ndarray, labels: np.ndarray, weights: np.ndarray, *, classes: int) -> Linear:
    """Linear discriminant analysis with equal priors and one covariance pooled over all classes.

    ``features`` [N, D], ``labels`` int [N] in 0..classes-1 with every class present, ``weights`` [N] positive. The
    pooled covariance of the standardised features is shrunk towards the identity by the share that Ledoit and Wolf
    derive ("A well-conditioned estimator for large-dimensional covariance matrices", 2004).
    """
    from sklearn.covariance import ledoit_wolf

    x = features.astype(np.float64)
    weights = weights * (len(weights) / weights.sum())
    mass = np.bincount(labels, weights=weights, minlength=classes)
    means = np.zeros((classes, x.shape[1]))
    np.add.at(means, labels, x * weights[:, None])
    means /= mass[:, None]

    residuals = (x - means[labels]) * np.sqrt(weights)[:, None]
    scale = np.sqrt((residuals**2).mean(axis=0)).clip(min=1e-12)
    covariance, _ = ledoit_wolf(residuals / scale, assume_centered=True)
    whitened_means = np.linalg.solve(covariance, (means / scale).T).T
    bias = -0.5 * np.einsum("kd,kd->k", whitened_means, means / scale)
    return Linear((whitened_means / scale).astype(np.float32), bias.astype(np.float32))


def fit_logistic(
    features: np.ndarray, labels: np.ndarray, weights: np.ndarray, *, classes: int, c: float = 0.1
) -> Linear:
    """Multinomial logistic regression with an L2 penalty on standardised features. Arguments as :func:`fit_lda`."""
    from sklearn.linear_model import LogisticRegression

    mean, scale = features.mean(axis=0), features.std(axis=0).clip(min=1e-12)
    model = LogisticRegression(C=c, max_iter=300).fit((features - mean) / scale, labels, sample_weight=weights)
    coefficients, intercept = model.coef_, model.intercept_
    if classes == 2:  # scikit-learn keeps one row for two classes
        coefficients, intercept = (
            np.vstack([-coefficients, coefficients]) / 2,
            np.array([-intercept[0], intercept[0]]) / 2,
        )
    weight = coefficients / scale
    return Linear(weight.astype(np.float32), (intercept - weight @ mean).astype(np.float32))


FIT = {"lda": fit_lda, "logistic": fit_logistic}


def fit_heads(
    features: np.ndarray,
    *,
    species: np.ndarray,
    leaf: np.ndarray,
    weights: np.ndarray,
    taxonomy: Taxonomy,
    kind: HeadKind = "lda",
) -> Heads:
    """Fit the species head on all photos and the breed heads on those whose breed is known.

    ``features`` [N, D], ``species`` int [N], ``leaf`` int [N] (-1: breed unknown), ``weights`` [N] from the sampler.
    """
    known = leaf != UNKNOWN_LEAF
    return Heads(
        species=_fit(features, species, weights, classes=len(taxonomy.species), kind=kind),
        leaf=_fit(features[known], leaf[known], weights[known], classes=len(taxonomy.leaves), kind=kind),
    )


def _fit(features: np.ndarray, labels: np.ndarray, weights: np.ndarray, *, classes: int, kind: HeadKind) -> Linear:
    if kind not in FIT:
        raise ConfigError(f"unknown head {kind!r}; choose one of {', '.join(HEAD_KINDS)}")
    if classes == 1:  # nothing to tell apart
        return Linear(np.zeros((1, features.shape[1]), np.float32), np.zeros(1, np.float32))
    return FIT[kind](features, labels, weights, classes=classes)
