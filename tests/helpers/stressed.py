"""Outcomes of a stress test with a given loss."""

from __future__ import annotations

from hierpets.evaluation.metrics.schema import StressMean, StressMetrics, StressScores, StressStep

__all__ = ["stress_with_loss"]


def stress_with_loss(loss: float) -> StressMetrics:
    """Two kinds, of which ``softer`` costs nothing and ``far away`` costs twice the loss at the middle step."""
    return StressMetrics(
        n=120,
        side=300,
        unchanged=StressScores(**scores(0.9)),
        mean=tuple(
            StressMean(
                **scores(0.9 - loss * k / 2), step=k, loss=loss * k / 2, loss_interval=(0.4 * loss * k, 0.6 * loss * k)
            )
            for k in (1, 2, 3)
        ),
        steps=tuple(
            StressStep(**scores(0.9 - cost * loss * k / 2), kind=kind, step=k, setting=f"{kind} & {k}")
            for kind, cost in (("softer", 0), ("far away", 2))
            for k in (1, 2, 3)
        ),
    )


def scores(breed: float) -> dict[str, float]:
    return {"species": 0.99, "breed": breed, "named": 0.8, "holds_truth": 0.95, "unknown": 0.02}
