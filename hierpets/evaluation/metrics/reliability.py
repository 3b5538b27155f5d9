"""Calibration: whether confidences match observed accuracies, by reliability bins and their mean gap."""

from __future__ import annotations

import numpy as np

from hierpets.evaluation.metrics.classes import divide
from hierpets.evaluation.metrics.resampling import effective_size, groups_of, wilson_interval_of
from hierpets.evaluation.metrics.schema import ReliabilityBin, ReliabilityMetrics

__all__ = ["N_BINS", "chance_error", "expected_calibration_error", "reliability"]

N_BINS = 15


def expected_calibration_error(confidence: np.ndarray, hit: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Expected calibration error, float [R] in [0, 1]: mean gap between confidence and accuracy over bins of equal
    width, weighted by their photos (Naeini et al., AAAI 2015). NaN without photos.

    ``confidence`` float [N] in [0, 1], ``hit`` bool [N]; ``weights`` float [R, N] weighs the photos in each of R
    resamples.
    """
    gaps = (confidence - hit)[:, None] * np.eye(N_BINS)[_bin_of(confidence)]
    return divide(np.abs(weights @ gaps).sum(axis=1), weights.sum(axis=1), np.nan)


def reliability(confidence: np.ndarray, hit: np.ndarray, groups: np.ndarray | None = None) -> ReliabilityMetrics:
    """Compute the bins of a reliability diagram. Arguments are as in :func:`expected_calibration_error`, ``groups`` as
    in :class:`hierpets.evaluation.predictions.Predictions`.
    """
    bins = _bin_of(confidence)
    n = np.bincount(bins, minlength=N_BINS)
    hits = np.bincount(bins, hit.astype(float), N_BINS)
    mean = divide(np.bincount(bins, confidence, N_BINS), n, np.nan)
    accuracy = divide(hits, n, np.nan)
    return ReliabilityMetrics(
        mean_confidence=confidence.mean(),
        bins=tuple(
            ReliabilityBin(
                low=b / N_BINS,
                high=(b + 1) / N_BINS,
                n=n[b],
                effective_n=effective_size(np.ones(n[b]), groups_of(groups, inside)),
                confidence=mean[b],
                accuracy=accuracy[b],
                accuracy_interval=wilson_interval_of(hit[inside], groups=groups_of(groups, inside)),
            )
            for b in range(N_BINS)
            for inside in (bins == b,)
        ),
    )


def chance_error(found: ReliabilityMetrics) -> float:
    """Expected calibration error that perfectly calibrated confidences would show by chance with so few photos.

    In each bin it is the mean absolute deviation of a binomial share over as many photos as the bin's effective sample
    size, by De Moivre's formula (Diaconis and Zabell, "Closed Form Summation for Classical Distributions", Statistical
    Science 1991).
    """
    from scipy.stats import binom

    filled = [one for one in found.bins if one.n and one.confidence is not None]
    photos, p = np.array([one.n for one in filled]), np.array([one.confidence for one in filled])
    n = np.array([max(1, round(one.effective_size)) for one in filled])
    most = np.floor(n * p) + 1
    deviations = 2 * most * (1 - p) * binom.pmf(most, n, p) / n  # of the share of hits
    return float(photos @ deviations / photos.sum()) if filled else 0.0


def _bin_of(confidence: np.ndarray) -> np.ndarray:
    """Bin of each confidence, int [N]; a bin includes its upper bound, but not its lower one."""
    return np.clip(np.ceil(confidence * N_BINS).astype(int) - 1, 0, N_BINS - 1)
