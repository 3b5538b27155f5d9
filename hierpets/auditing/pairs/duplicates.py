"""Finds pairs of the same photo: by their bytes, or by a perceptual hash that network features confirm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hierpets.training.features.individuals import join_rows
from hierpets.training.features.unit import unit_rows

__all__ = ["How", "Pair", "components", "confirmed_pairs", "exact_pairs", "hash_bits", "near_pairs"]

How = Literal["exact", "near", "mirrored", "turned"]
OF_TURNED = 0.6  # share of the required cosine: that of a photo and itself, rotated by 90 degrees, is 0.43 to 0.87
BLOCK = 512  # rows compared at a time: 512 x 20,000 float32 are 40 MB


@dataclass(frozen=True)
class Pair:
    """Two rows that show the same photo, ``first`` < ``second``. ``similarity`` is the cosine of their features."""

    first: int
    second: int
    how: How
    similarity: float


def exact_pairs(contents: Sequence[str]) -> list[Pair]:
    """Pair every row with the first row that has the same bytes."""
    first: dict[str, int] = {}
    return [Pair(first[c], row, "exact", 1.0) for row, c in enumerate(contents) if first.setdefault(c, row) != row]


def hash_bits(hashes: Sequence[str]) -> np.ndarray:
    """Convert 64-bit hashes in hexadecimal to their bits as -1 and 1, float32 [N, 64]."""
    words = np.array([int(h, 16) for h in hashes], dtype=">u8")
    return np.unpackbits(words.view(np.uint8).reshape(-1, 8), axis=1).astype(np.float32) * 2 - 1


def near_pairs(bits: np.ndarray, others: np.ndarray, *, within: int) -> np.ndarray:
    """Find rows ``i < j`` with ``bits[i]`` and ``others[j]`` at most ``within`` bits apart, int64 [P, 2].

    Both are float32 [N, 64] of -1 and 1, so that a matrix product gives 64 - 2 x Hamming distance.
    """
    found = []
    for start in range(0, len(bits), BLOCK):
        agreement = bits[start : start + BLOCK] @ others[start:].T
        i, j = np.nonzero(agreement >= bits.shape[1] - 2 * within)
        found.append(np.stack([i + start, j + start], axis=1)[j > i])
    return np.concatenate(found) if found else np.empty((0, 2), np.int64)


def confirmed_pairs(
    hashes: Sequence[str],
    mirrored: Sequence[str],
    turned: Sequence[Sequence[str]],
    features: np.ndarray,
    *,
    within: int,
    same: float,
) -> list[Pair]:
    """Find pairs with similar hashes whose features [N, D] have a cosine of at least ``same``, or less if turned.

    The hash of the first photo is compared with those of the second one, of its mirror image and of its rotations,
    ``turned`` [N][3].
    """
    bits, unit = hash_bits(hashes), unit_rows(features)
    variants: list[tuple[How, Sequence[str], float]] = [
        ("near", hashes, same),
        ("mirrored", mirrored, same),
        *(("turned", others, OF_TURNED * same) for others in zip(*turned, strict=True)),
    ]
    best: dict[tuple[int, int], Pair] = {}
    for how, others, threshold in variants:
        for i, j in near_pairs(bits, hash_bits(others), within=within).tolist():
            similarity = float(unit[i] @ unit[j])
            if similarity >= threshold:
                best.setdefault((i, j), Pair(i, j, how, similarity))
    return sorted(best.values(), key=lambda pair: (pair.first, pair.second))


def components(pairs: Sequence[Pair]) -> list[list[int]]:
    """Connected components of pairs: sorted lists of rows, in the order of their first row."""
    links = np.array([(pair.first, pair.second) for pair in pairs], np.int64).reshape(-1, 2)
    numbers = join_rows(links.T, int(links.max(initial=-1)) + 1)
    groups: dict[int, list[int]] = {}
    for row in np.unique(links).tolist():
        groups.setdefault(int(numbers[row]), []).append(row)
    return list(groups.values())
