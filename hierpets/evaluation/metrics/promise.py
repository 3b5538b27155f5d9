"""The promise of alpha in words: what is promised, and where the photos show that it is not kept."""

from __future__ import annotations

from collections.abc import Iterator

from hierpets.evaluation.metrics.schema import NodeTruth, SelectiveMetrics
from hierpets.text import percent, pretty

__all__ = ["broken_promises", "promised_share", "right_or_parent"]


def promised_share(alpha: float | None) -> str:
    """The share of right answers that an alpha promises: ``"95%"`` for ``0.05``; ``"–"`` for None."""
    return "–" if alpha is None else f"{100 * (1 - alpha):g}%"


def broken_promises(selective: SelectiveMetrics) -> Iterator[str]:
    """Yield a clause about the broken promise of alpha: over all photos, or else for each species that breaks it."""
    for species, found in selective.broken.items():
        of = f" for {pretty(species)}" if species else ""
        yield f"does not keep its promise of {promised_share(selective.alpha)}{of}: {right_or_parent(found)}"


def right_or_parent(truth: NodeTruth) -> str:
    """Say what share of the answers is the label or an ancestor of it, with its 95% interval."""
    low, high = (100 * bound for bound in truth.holds_truth_interval or (0.0, 1.0))
    return f"{percent(truth.holds_truth)} of the answers are right or a parent ({low:.1f} to {high:.1f}%)"
