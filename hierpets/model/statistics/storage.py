"""Store class statistics in a bundle: one file per network, whose digest and classes are in the manifest.

The pooled scatter is by far the largest part. It is stored as its variances, and as the upper triangle of the
correlations in half precision: docs/growing.md says how many answers that changes.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from hierpets.bundle.layout import brief
from hierpets.bundle.manifest import NetworkSpec, StatisticsSpec
from hierpets.errors import BundleError, reason_of
from hierpets.hierarchy.probabilities import Prior
from hierpets.model.statistics.classes import ClassStatistics
from hierpets.taxonomy import Leaf

__all__ = ["pack_statistics", "read_statistics", "unpack_statistics"]

MIN_VARIANCE = 1e-30  # variance of a feature that never varies


def pack_statistics(statistics: ClassStatistics, *, shrinkage: float, prior: Prior) -> tuple[bytes, StatisticsSpec]:
    """Return the content of the file, and its entry in the manifest."""
    variances = statistics.scatter.diagonal().clip(min=MIN_VARIANCE)
    scale = np.sqrt(variances)
    upper = (statistics.scatter / scale[:, None] / scale)[np.triu_indices(len(scale), 1)]
    content = save(
        {
            "weights": statistics.weights,
            "means": statistics.means.astype(np.float32),
            "profiles": (statistics.profiles / statistics.weights[:, None]).astype(np.float16),
            "variances": variances,
            "correlations": upper.astype(np.float16),
        }
    )
    photos = {str(label): int(count) for label, count in zip(statistics.labels, statistics.counts, strict=True)}
    digest = hashlib.sha256(content).hexdigest()
    return content, StatisticsSpec(photos=photos, shrinkage=shrinkage, prior=prior, sha256=digest)


def read_statistics(folder: Path, network: NetworkSpec) -> ClassStatistics:
    """Read the statistics of one network of a bundle.

    :raises BundleError: the network has none, or the file is missing or damaged.
    """
    spec, path = network.statistics, folder / network.statistics_file
    if spec is None:
        raise BundleError(
            f"{folder}: no {network.statistics_file}: this bundle keeps no statistics of its classes, without which it "
            "cannot be changed; train one with LDA heads: `hierpets train --recipe heads`"
        )
    if not path.exists():
        raise BundleError(f"{folder}: no {path.name}, which exports lack; use the bundle that it was exported from")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {reason_of(error)}") from error
    if hashlib.sha256(content).hexdigest() != spec.sha256:
        raise BundleError(f"{path}: not the statistics that the manifest of this bundle names; copy the bundle again")
    try:
        return unpack_statistics(content, spec)
    except (SafetensorError, KeyError, ValueError) as error:
        raise BundleError(f"{path}: damaged: {brief(error)}") from error


def unpack_statistics(content: bytes, spec: StatisticsSpec) -> ClassStatistics:
    """Invert :func:`pack_statistics`, up to rounding."""
    arrays = load(content)
    weights, means = arrays["weights"], arrays["means"].astype(np.float64)
    scale = np.sqrt(arrays["variances"])
    scatter = np.zeros((len(scale), len(scale)))
    scatter[np.triu_indices(len(scale), 1)] = arrays["correlations"]
    scatter = (scatter + scatter.T + np.eye(len(scale))) * scale[:, None] * scale
    return ClassStatistics(
        labels=tuple(_label(name) for name in spec.photos),
        counts=np.array(list(spec.photos.values()), np.int64),
        weights=weights,
        sums=means * weights[:, None],
        profiles=arrays["profiles"].astype(np.float64) * weights[:, None],
        scatter=scatter,
    )


def _label(name: str) -> Leaf:
    species, slash, breed = name.partition("/")
    return Leaf(species, breed if slash else None)
