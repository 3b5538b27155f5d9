"""Summarizes measurements: medians over rounds, percentiles, and what limits the throughput. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import NamedTuple

__all__ = ["Limit", "bound", "find_limit", "median_of", "percentiles"]

PERCENTILES = (50, 95, 99)
PARTS = {
    "decode": "decoding and preprocessing",
    "network": "the network",
    "second looks": "second looks at photos that leave doubt",
    "recommendations": "recommendations, with their searches for other animals",
    "Python": "Python (decisions, records, waiting)",
}


class Limit(NamedTuple):
    """The part that takes most of the time per photo, the share of each part, the share of the bound that is reached,
    and a sentence that says so.
    """

    by: str
    shares: dict[str, float]
    reached: float
    sentence: str


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """Compute ``p50``, ``p95`` and ``p99`` by nearest rank, so that each is a measured value."""
    ranked = sorted(values)
    return {f"p{q}": ranked[max(0, -(-q * len(ranked) // 100) - 1)] for q in PERCENTILES}


def median_of(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Compute the median of each number over the rounds, which have the same keys."""
    return {key: median(measured[key] for measured in rounds) for key in rounds[0]}


def bound(decode: float, network: float) -> float:
    """Upper bound of photos per second if decoding and network share the cores, from their rates alone on all cores."""
    return 1 / (1 / decode + 1 / network)


def find_limit(
    *,
    throughput: float,
    decode: float,
    network: float,
    second_look: float | None = None,
    recommendation: float | None = None,
) -> Limit:
    """Find the part of the pipeline that limits the throughput. All rates are photos per second, with all cores.

    :param throughput: of the whole pipeline.
    :param decode: of reading, decoding and preprocessing alone.
    :param network: of the network alone.
    :param second_look: of second looks alone, over all photos; None without second looks.
    :param recommendation: of recommendations alone, with their searches for other animals; None without these.
    """
    rates = {"decode": decode, "network": network, "second looks": second_look, "recommendations": recommendation}
    parts = {name: 1 / rate for name, rate in rates.items() if rate is not None}
    parts["Python"] = max(0.0, 1 / throughput - sum(parts.values()))
    shares = {name: seconds / sum(parts.values()) for name, seconds in parts.items()}
    by = max(shares, key=lambda name: shares[name])
    reached = throughput / bound(decode, network)
    rest = ", ".join(f"{name} {share:.0%}" for name, share in shares.items() if name != by)
    return Limit(by, shares, reached, f"limited by {PARTS[by]}, {shares[by]:.0%} of the time per photo ({rest})")
