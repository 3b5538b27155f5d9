"""Features as directions."""

from __future__ import annotations

import numpy as np

__all__ = ["unit_rows"]


def unit_rows(features: np.ndarray) -> np.ndarray:
    """Each row of [N, D] at length 1, so that products of rows are cosines."""
    return features / np.linalg.norm(features, axis=1, keepdims=True).clip(min=1e-12)
