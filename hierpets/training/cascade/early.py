"""Which networks are asked before the main one: those that a setting names, or the one that saves the most."""

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
"""Share of the main network's multiply-adds that a photo may take on average, for an early network to be kept: it costs
memory and time to load."""


@dataclass(frozen=True)
class EarlyAttempt:
    """What a photo costs on average with the network ``early`` before the main one, as a share of that alone; ``share``
    of the photos is answered by it.
    """

    early: Trained
    threshold: float
    share: float
    cost: float

    def as_event(self) -> dict[str, Any]:
        """A row of the log."""
        numbers = {"threshold": self.threshold, "share": self.share, "cost": self.cost}
        return {"choice": self.early.summary, **{name: round(value, 4) for name, value in numbers.items()}}


def fit_configured(
    config: TrainConfig, fit: Callable[..., Trained], first: Prepared | None = None
) -> tuple[Trained, tuple[Trained, ...]]:
    """The main network, and those before it, that the settings name; ``fit`` makes a network of a choice. ``first`` is
    the backbone of the main one, if it is prepared.

    :raises ConfigError: an early network needs larger photos than the main one.
    """
    main = fit(FrozenChoice(config.backbone_choice, config.view, config.head), prepared=first)
    return main, tuple(_fit_early(FrozenChoice(one, config.view, config.head), main, fit) for one in config.early)


def _fit_early(choice: FrozenChoice, main: Trained, fit: Callable[..., Trained]) -> Trained:
    """A network that sees photos as they are decoded for the main one."""
    side = main.backbone.preprocess.decoded_side
    early = fit(choice, decoded_side=side, second_look=False)
    wanted = early.backbone.preprocess.decoded_side
    if wanted > side:
        raise ConfigError(
            f"early: {choice.backbone} needs photos decoded to {wanted} pixels, the main backbone to {side}; choose a "
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
    """The best choice (``others``, best first) of each backbone that costs less than the main one, asked before it."""
    whole = max(multiply_adds(main.backbone), 1)  # a network may have none that are counted
    best = {str(other.choice.backbone): other.choice for other in reversed(others)}
    for choice in best.values():
        backbone, _ = build_backbone(registry, choice.backbone.name, choice.backbone.options)
        own = multiply_adds(backbone) / whole
        if own < WORTHWHILE and backbone.preprocess.decoded_side <= main.backbone.preprocess.decoded_side:
            early = _fit_early(choice, main, fit)
            if early.network.taxonomy != main.network.taxonomy:  # they know other breeds from pretraining
                continue
            (spec,) = (one.spec for one in fit_cascade([early], main, combiner=config.combiner).early)
            yield EarlyAttempt(early, spec.threshold, spec.share, own + 1 - spec.share)


def best_early(attempts: Sequence[EarlyAttempt]) -> list[EarlyAttempt]:
    """The one that costs least, if it is worthwhile."""
    best = min(attempts, key=lambda attempt: attempt.cost, default=None)
    return [best] if best is not None and best.cost <= WORTHWHILE else []
