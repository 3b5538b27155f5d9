"""Choose the early networks: those that a setting names, or the one that saves the most time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hierpets.config import FrozenChoice, TrainConfig
from hierpets.errors import ConfigError
from hierpets.model.backbone import build_backbone
from hierpets.registry.loading import Registry
from hierpets.training.cascade.fit import fit_cascade
from hierpets.training.features.prepared import Prepared
from hierpets.training.selection.candidates import Candidate, multiply_adds
from hierpets.training.trained import Trained

__all__ = ["EarlyAttempt", "best_early", "fit_configured", "try_early"]

WORTHWHILE = 0.8
"""Keep an early network only if a photo then takes at most this share of the main network's multiply-adds on average:
the network costs memory and time to load."""


@dataclass(frozen=True)
class EarlyAttempt:
    """An ``early`` network before the main one. It answers ``share`` of the photos: those of which it is more certain
    than ``threshold``. ``cost`` is the mean cost of a photo relative to the main network alone.
    """

    early: Trained
    threshold: float
    share: float
    cost: float

    def as_event(self) -> dict[str, Any]:
        """Return the fields of the log event."""
        numbers = {"threshold": self.threshold, "share": self.share, "cost": self.cost}
        return {"choice": self.early.summary, **{name: round(value, 4) for name, value in numbers.items()}}


def fit_configured(
    config: TrainConfig, fit: Callable[..., Trained], first: Prepared | None = None
) -> tuple[Trained, tuple[Trained, ...]]:
    """Fit the main network and the early ones that the settings name.

    ``fit`` fits the network of a choice. ``first`` is the main network's backbone, if it has been prepared already.

    :raises ConfigError: an early network needs larger photos than the main one.
    """
    main = fit(FrozenChoice(config.backbone_choice, config.view, config.head), prepared=first)
    return main, tuple(_fit_early(FrozenChoice(one, config.view, config.head), main, fit) for one in config.early)


def _fit_early(choice: FrozenChoice, main: Trained, fit: Callable[..., Trained]) -> Trained:
    """Fit an early network to photos decoded as for the main one.

    :raises ConfigError: it needs larger photos.
    """
    side = main.backbone.preprocess.decoded_side
    early = fit(choice, decoded_side=side, second_look=False)
    needed = early.backbone.preprocess.decoded_side
    if needed > side:
        raise ConfigError(
            f"early: {choice.backbone} needs photos decoded to {needed} pixels, the main backbone to {side}; choose a "
            "smaller size or a larger crop"
        )
    return early


def try_early(
    others: Sequence[Candidate],
    main: Trained,
    fit: Callable[..., Trained],
    registry: Registry,
    config: TrainConfig,
) -> Iterator[EarlyAttempt]:
    """Try each backbone that is cheaper than the main one as an early network, with its best choice.

    ``others`` are the other candidates, best first.
    """
    main_cost = max(multiply_adds(main.backbone), 1)  # a network may have no layers that are counted
    best = {str(other.choice.backbone): other.choice for other in reversed(others)}
    for choice in best.values():
        backbone, _ = build_backbone(registry, choice.backbone.name, choice.backbone.options)
        cost = multiply_adds(backbone) / main_cost
        if cost < WORTHWHILE and backbone.preprocess.decoded_side <= main.backbone.preprocess.decoded_side:
            early = _fit_early(choice, main, fit)
            if early.network.taxonomy != main.network.taxonomy:  # it knows other breeds from pretraining
                continue
            (spec,) = (one.spec for one in fit_cascade([early], main, combiner=config.combiner).early)
            yield EarlyAttempt(early, spec.threshold, spec.share, cost + 1 - spec.share)


def best_early(attempts: Sequence[EarlyAttempt]) -> list[EarlyAttempt]:
    """Return the cheapest attempt if it is worthwhile, else an empty list."""
    best = min(attempts, key=lambda attempt: attempt.cost, default=None)
    return [best] if best is not None and best.cost <= WORTHWHILE else []
