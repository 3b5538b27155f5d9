"""Fit a cascade: when each early network answers, and the outputs of the whole cascade for held-out photos.

The outputs of all networks for the same photos are combined by the rule that prediction uses, so that temperatures,
thresholds and the error rate that they promise are fitted to the cascade as one model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hierpets.bundle.manifest import EarlyNetwork
from hierpets.errors import ConfigError
from hierpets.hierarchy.calibration import Temperatures
from hierpets.hierarchy.early import ask_in_turn
from hierpets.hierarchy.outputs import Calibration
from hierpets.hierarchy.probabilities import Combiner, most_probable_species
from hierpets.training.outputs import HeldOutOutputs
from hierpets.training.trained import Early, Trained

__all__ = ["MAX_LOST", "fit_cascade", "fit_early_threshold"]

MIN_THRESHOLD = 0.8
"""Smallest threshold of an early network, however rarely it is wrong: the main network would name the breed of less
certain photos more often (docs/experiments.md)."""
MAX_LOST = 0.001
"""Share of the held-out photos that an early network may lose: those that it gets wrong and the main network right,
minus those that it gets right and the main network wrong."""


def fit_cascade(early: Sequence[Trained], main: Trained, *, combiner: Combiner) -> Trained:
    """Put ``early`` networks before the main one, in the order in which they run, and combine their held-out outputs.

    :raises ConfigError: no photo was held out, which thresholds need; or the networks know different breeds from
        pretraining.
    """
    if not early:
        return main
    calibrating = next(iter(main.held_out), None)
    if calibrating is None:
        raise ConfigError("early: too few photos to hold any out; add photos, or ask no network before the main one")
    other = next((one for one in early if one.network.taxonomy != main.network.taxonomy), None)
    if other is not None:
        raise ConfigError(
            f"early: {other.spec.name} knows other breeds from pretraining than {main.spec.name}; choose backbones of "
            "the same pretraining, or set pretrained_breeds to false"
        )
    judged = main.held_out[calibrating]
    outputs = [_same_photos(one.held_out[calibrating], judged) for one in early]
    learned = np.array([origin != "pretrained" for origin in main.origins])
    uncalibrated = Calibration(main.network.taxonomy, Temperatures(), combiner)
    cascade = _fit(early, outputs, judged, main.unlisted, _Cascade(uncalibrated, learned))
    return replace(
        main,
        early=tuple(
            Early(one.network, spec, one.head, one.statistics) for one, spec in zip(early, cascade.early, strict=True)
        ),
        held_out={name: cascade([one.held_out[name] for one in early], part) for name, part in main.held_out.items()},
        pretrained=cascade.of([one.pretrained for one in early], main.pretrained),
        unlisted=cascade.of([one.unlisted for one in early], main.unlisted),
        summary=f"{main.summary}; asked before it: {', '.join(one.summary for one in early)}",
    )


def fit_early_threshold(certain: np.ndarray, right: np.ndarray, main_right: np.ndarray) -> float:
    """Return the least threshold with which an early network loses at most :data:`MAX_LOST` of N photos.

    ``certain`` float [N] is the certainty of the early network, which answers photos above the threshold. ``right`` and
    ``main_right``, bool [N], tell whether it and the main network are right.
    """
    order = np.argsort(-certain, kind="stable")
    lost = np.cumsum(main_right[order].astype(int) - right[order])
    too_much = lost > MAX_LOST * len(certain)
    first = int(too_much.argmax()) if too_much.any() else len(certain)
    # The first photo that is one too many must not pass, nor may others of the same certainty.
    return float(certain[order[first]]) if first < len(certain) else 0.0


@dataclass(frozen=True)
class _Cascade:
    """The rule of prediction, applied to known outputs. ``main`` is the calibration of the main network.

    ``learned`` bool [L]: the leaves that are not from pretraining.
    """

    main: Calibration
    learned: np.ndarray
    early: tuple[EarlyNetwork, ...] = ()

    def __call__(self, early: Sequence[HeldOutOutputs], last: HeldOutOutputs) -> HeldOutOutputs:
        """Return, for each photo in ``last``, the outputs of the first network that is certain enough."""
        found, stage = ask_in_turn(
            [_same_photos(one, last).outputs for one in early],
            last.outputs,
            self.main,
            asked=self.early,
            learned=self.learned,
        )
        species, leaf, scores = found
        return replace(last, species_logits=species, leaf_logits=leaf, scores=scores, by_main=stage == len(self.early))

    def of(self, early: Sequence[HeldOutOutputs | None], last: HeldOutOutputs | None) -> HeldOutOutputs | None:
        """Like :meth:`__call__`, for outputs that may be None: if they are, all networks lack them."""
        parts = [part for part in early if part is not None]
        return None if last is None else self(parts, last)

    def certainty(self, outputs: HeldOutOutputs, temperatures: Temperatures) -> np.ndarray:
        """Return how certain a network with these ``temperatures`` is of each photo, float64 [N]."""
        return self.main.with_temperatures(temperatures).certainty(outputs.outputs, self.learned)

    def right(self, outputs: HeldOutOutputs) -> np.ndarray:
        """Whether the most probable leaf is the label, bool [N]; for unknown breeds, the most probable species."""
        taxonomy = self.main.taxonomy
        joint = self.main.with_temperatures(outputs.temperatures(taxonomy)).joint(outputs.outputs)
        species = most_probable_species(joint, taxonomy) == outputs.labels.species
        return np.where(outputs.labels.breed_known, joint.argmax(axis=1) == outputs.labels.leaf, species)


def _fit(
    early: Sequence[Trained],
    outputs: Sequence[HeldOutOutputs],
    judged: HeldOutOutputs,
    unlisted: HeldOutOutputs | None,
    cascade: _Cascade,
) -> _Cascade:
    """Fit temperatures and threshold of each early network, then temperatures of the main one to the other photos."""
    taxonomy = cascade.main.taxonomy
    for one, own in zip(early, outputs, strict=True):
        temperatures = own.temperatures(taxonomy, one.unlisted)
        certain = cascade.certainty(own, temperatures)
        waiting = cascade(outputs[: len(cascade.early)], judged).waiting
        threshold = max(MIN_THRESHOLD, fit_early_threshold(certain, cascade.right(own), cascade.right(judged)))
        spec = EarlyNetwork(
            backbone=one.spec,
            preprocess=one.backbone.preprocess,
            ood=one.network.ood_scorer.spec if one.network.ood_scorer else None,
            temperatures=temperatures,
            threshold=threshold,
            share=float((waiting & (certain > threshold)).mean()),
        )
        cascade = replace(cascade, early=(*cascade.early, spec))
    others = cascade.of([one.unlisted for one in early], unlisted)
    temperatures = cascade(outputs, judged).temperatures(taxonomy, others)
    return replace(cascade, main=cascade.main.with_temperatures(temperatures))


def _same_photos(outputs: HeldOutOutputs, others: HeldOutOutputs) -> HeldOutOutputs:
    """Return the outputs for the photos of ``others``, in their order."""
    if outputs.paths == others.paths:
        return outputs
    row = {path: number for number, path in enumerate(outputs.paths)}
    return outputs.where(np.array([row[path] for path in others.paths], dtype=np.int64))
