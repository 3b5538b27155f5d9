"""Normalize features."""

from __future__ import annotations

import numpy as np

__all__ = ["unit_rows"]


def unit_rows(features: np.ndarray) -> np.ndarray:
    """Scale each row of features [N, D] to length 1, so that products of rows are cosines."""
    return features / np.linalg.norm(features, axis=1, keepdims=True).clip(min=1e-12)
