"""Mixup (Zhang et al., ICLR 2018) of neighbors in a batch. The order is random already, so neighbors are any two."""

from __future__ import annotations

import numpy as np

__all__ = ["draw_shares", "partners"]


def partners(rows: int) -> np.ndarray:
    """int64 [rows]: row 0 is mixed with row 1, row 2 with row 3; a last odd row with itself.

    Pairs stay together when a batch is cut at an even row, so that many processes mix as one does.
    """
    partner = np.arange(rows) ^ 1
    return np.minimum(partner, rows - 1)


def draw_shares(rows: int, *, alpha: float, seed: tuple[int, ...]) -> np.ndarray:
    """float32 [rows]: the share that each row keeps of itself, Beta(alpha, alpha), at least a half; equal in a pair."""
    pairs = np.random.default_rng(seed).beta(alpha, alpha, size=(rows + 1) // 2)
    return np.repeat(np.maximum(pairs, 1 - pairs), 2)[:rows].astype(np.float32)
