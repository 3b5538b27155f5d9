"""The bootstrap: values of statistics of photo weights, with 95% intervals.

Photos of one animal are not independent. If ``groups`` int [N] is given, with one number for all photos of an animal,
the bootstrap draws animals instead of photos (Davison and Hinkley, "Bootstrap Methods and their Application", 1997,
ch. 3.8), and intervals by formula use the effective sample size. None means that each photo shows another animal.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

import numpy as np

__all__ = [
    "CONFIDENCE",
    "Statistic",
    "effective_size",
    "estimate",
    "exact_interval",
    "groups_of",
    "interval_of_difference",
    "interval_of_share",
    "mean_difference",
    "mean_of",
    "weights_of_resamples",
    "wilson_interval",
    "wilson_interval_of",
]

CONFIDENCE = 0.95

Statistic = Callable[[np.ndarray], dict[str, np.ndarray]]
"""Maps weights float [R, N], how often each resample has each photo, to named values [R]; NaN where undefined."""

# At most this many weights are in memory at a time: 32 MB.
_BLOCK = 4_000_000


def weights_of_resamples(
    n: int, resamples: int, rng: np.random.Generator, groups: np.ndarray | None = None
) -> Iterator[np.ndarray]:
    """Yield blocks of photo weights, float [R, N]. Each row draws with replacement as many photos as there are, or as
    many groups. Without photos, nothing is yielded.
    """
    if n == 0:
        return
    unit_of_photo = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1]
    units = int(unit_of_photo.max()) + 1
    rows = max(1, min(resamples, _BLOCK // n))
    for start in range(0, resamples, rows):
        block = min(rows, resamples - start)
        drawn = rng.integers(0, units, size=(block, units)) + np.arange(block)[:, None] * units
        counts = np.bincount(drawn.ravel(), minlength=block * units).reshape(block, units).astype(np.float64)
        yield counts if groups is None else counts[:, unit_of_photo]


def estimate(
    statistic: Statistic,
    n: int,
    *,
    seed: int,
    resamples: int,
    biased: Collection[str] = (),
    groups: np.ndarray | None = None,
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """Compute a statistic on all ``n`` photos, and its percentile bootstrap intervals (Efron and Tibshirani 1993,
    ch. 13).

    A resample on which a value is undefined is left out of that value's interval. ``biased`` values, which are sums of
    absolute differences, get the basic interval, cut off at zero (Davison and Hinkley 1997, ch. 5.2): resampling adds
    their upward bias a second time, so percentiles would lie above the truth.
    """
    values = {name: float(value[0]) for name, value in statistic(np.ones((1, n))).items()}
    rng = np.random.default_rng(seed)
    blocks = [statistic(weights) for weights in weights_of_resamples(n, resamples, rng, groups)]
    intervals = {}
    for name in values:
        drawn = np.concatenate([np.empty(0), *(block[name] for block in blocks)])
        interval = _percentiles(drawn[np.isfinite(drawn)])
        intervals[name] = _basic_interval(interval, values[name]) if name in biased else interval
    return values, intervals


def mean_of(name: str, values: np.ndarray, weights: np.ndarray | None = None) -> Statistic:
    """A statistic called ``name``: the mean of ``values`` [N], weighted by ``weights`` [N] if given."""
    weighted = values if weights is None else values * weights

    def mean(drawn: np.ndarray) -> dict[str, np.ndarray]:
        return {name: drawn @ weighted / (drawn.sum(axis=1) if weights is None else drawn @ weights)}

    return mean


def _percentiles(drawn: np.ndarray) -> tuple[float, float]:
    if not drawn.size:
        return float("nan"), float("nan")
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return float(low), float(high)


def _basic_interval(percentiles: tuple[float, float], value: float) -> tuple[float, float]:
    low, high = np.maximum(0.0, 2 * value - np.array(percentiles[::-1]))  # NaN stays NaN
    return float(low), float(high)


def groups_of(groups: np.ndarray | None, rows: np.ndarray) -> np.ndarray | None:
    """Select the groups of some photos, by their indices or by a mask, bool [N]."""
    return None if groups is None else groups[rows]


def interval_of_share(
    hits: np.ndarray,
    bootstrapped: tuple[float, float],
    weights: np.ndarray | None = None,
    *,
    groups: np.ndarray | None = None,
) -> tuple[float, float]:
    """Interval of the mean of ``hits`` [N], in [0, 1], by positive ``weights`` [N]: the smallest that contains both the
    bootstrap interval and Wilson's.

    If nearly all photos are right, nearly all resamples are alike, and the bootstrap interval is too narrow; Wilson's
    is too narrow if the photos with large weights are the wrong ones (``tools/measure/intervals.py``). Neither moves up
    if a hit becomes a miss.
    """
    low, high = wilson_interval_of(hits, weights, groups=groups) or bootstrapped
    return float(np.fmin(low, bootstrapped[0])), float(np.fmax(high, bootstrapped[1]))


def mean_difference(
    differences: np.ndarray,
    weights: np.ndarray | None = None,
    *,
    resamples: int,
    groups: np.ndarray | None,
) -> tuple[float, tuple[float, float]]:
    """Mean of ``differences`` [N] between two results on the same photos, by ``weights`` [N], with its
    :func:`interval_of_difference`. ``resamples`` and ``groups`` are as in :func:`estimate`.
    """
    mean = mean_of("difference", differences, weights)
    values, intervals = estimate(mean, len(differences), seed=0, resamples=resamples, groups=groups)
    return values["difference"], interval_of_difference(differences, intervals["difference"], weights, groups=groups)


def interval_of_difference(
    differences: np.ndarray,
    bootstrapped: tuple[float, float],
    weights: np.ndarray | None = None,
    *,
    groups: np.ndarray | None = None,
) -> tuple[float, float]:
    """Interval of a mean of ``differences`` [N], by ``weights`` [N]: the bootstrapped one, unless no photo differs.

    The bootstrap would then be certain of zero; the interval is instead plus and minus the upper bound of Wilson's
    interval for the share of photos that differ.
    """
    if differences.size and not differences.any():
        _, most = wilson_interval_of(differences != 0, weights, groups=groups) or bootstrapped
        return -most, most
    return bootstrapped


def wilson_interval_of(
    hits: np.ndarray, weights: np.ndarray | None = None, *, groups: np.ndarray | None = None
) -> tuple[float, float] | None:
    """Wilson's interval of the mean of ``hits`` [N], in [0, 1], by ``weights`` [N]; None without photos."""
    counts = np.ones(len(hits)) if weights is None else weights
    n = effective_size(counts, groups)
    return wilson_interval(min(n, float(counts @ hits) * (n / float(counts.sum()))), n) if n else None


def effective_size(weights: np.ndarray, groups: np.ndarray | None) -> float:
    """Effective sample size of N photos: the number of photos of different animals, equally weighted, that would carry
    as much information (Kish, "Survey Sampling", 1965). ``weights`` [N] are those of the photos, ``groups`` [N] number
    their animals.
    """
    units = weights if groups is None else np.bincount(np.unique(groups, return_inverse=True)[1], weights)
    return float(weights.sum() ** 2 / (units**2).sum()) if weights.any() else 0.0


def wilson_interval(hits: float, n: float) -> tuple[float, float] | None:
    """95% score interval of a share (Wilson 1927); None if ``n`` is zero.

    Used for single classes: for 20 hits in 20, the bootstrap interval is [1, 1] and this one [0.84, 1].
    """
    if n == 0:
        return None
    z = 1.959963984540054
    share = hits / n
    center = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # The interval contains the share itself, whatever the rounding if there are no hits or only hits.
    return float(min(share, max(0.0, center - half))), float(max(share, min(1.0, center + half)))


def exact_interval(hits: float, n: float, *, among: int = 1) -> tuple[float, float]:
    """Exact 95% interval of a share (Clopper and Pearson 1934). If it is one ``among`` several, it is widened so that
    all of them hold at once with a probability of 95% (Bonferroni).

    Wilson's interval is too narrow that far out: among 37 equally good breeds with six photos each, it would flag one
    as bad in every eighth evaluation.
    """
    from scipy.stats import beta

    tail = (1 - CONFIDENCE) / 2 / among
    low = float(beta.ppf(tail, hits, n - hits + 1)) if hits > 0 else 0.0
    high = float(beta.ppf(1 - tail, hits + 1, n - hits)) if hits < n else 1.0
    return low, high
