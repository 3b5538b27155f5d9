"""Linear heads as plain arrays: what closed forms give and what bundles hold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Heads", "Linear"]


@dataclass(frozen=True)
class Linear:
    """``features @ weight.T + bias``: ``weight`` float32 [K, D], ``bias`` float32 [K]."""

    weight: np.ndarray
    bias: np.ndarray

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Features [N, D] to logits [N, K]."""
        return features @ self.weight.T + self.bias


@dataclass(frozen=True)
class Heads:
    """The species head [S, D] and the breed heads of all species, stacked in leaf order [L, D]."""

    species: Linear
    leaf: Linear

    def shifted(self, species: np.ndarray, leaf: np.ndarray) -> Heads:
        """The same heads with ``species`` [S] and ``leaf`` [L] added to their logits."""
        pairs = (self.species, species), (self.leaf, leaf)
        return Heads(*(Linear(head.weight, (head.bias + shift).astype(np.float32)) for head, shift in pairs))

    def __call__(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features [N, D] to species logits [N, S] and leaf logits [N, L]."""
        return self.species(features), self.leaf(features)
