"""Linear heads as plain arrays, as they are fitted in closed form and stored in bundles."""

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
        """Return the logits [N, K] of features [N, D]."""
        return features @ self.weight.T + self.bias


@dataclass(frozen=True)
class Heads:
    """The species head [S, D], and the breed heads of all species, stacked in the order of the leaves [L, D]."""

    species: Linear
    leaf: Linear

    def shifted(self, species: np.ndarray, leaf: np.ndarray) -> Heads:
        """Return heads whose logits are larger by ``species`` [S] and ``leaf`` [L]."""
        pairs = (self.species, species), (self.leaf, leaf)
        return Heads(*(Linear(head.weight, (head.bias + shift).astype(np.float32)) for head, shift in pairs))

    def __call__(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the species logits [N, S] and leaf logits [N, L] of features [N, D]."""
        return self.species(features), self.leaf(features)
