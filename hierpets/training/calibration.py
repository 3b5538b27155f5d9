"""Fit temperatures and thresholds to photos that the model was not fitted to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from hierpets.errors import ConfigError
from hierpets.hierarchy.breed_sets import breed_sets
from hierpets.hierarchy.conformal import nonconformity_scores
from hierpets.hierarchy.decision import Decision, decide, named_probabilities, pet_thresholds
from hierpets.hierarchy.outputs import Calibration
from hierpets.hierarchy.policy import MAX_SET, Policy, Population, ScoreRows
from hierpets.hierarchy.probabilities import Combiner, most_probable_species, species_probabilities
from hierpets.plugin import Labels
from hierpets.taxonomy import Taxonomy
from hierpets.training.outputs import HeldOutOutputs, fit_pet_threshold
from hierpets.training.trained import Trained

__all__ = [
    "Calibrated",
    "HeldOutPredictions",
    "calibrate",
    "calibrate_trained",
    "cross_predict",
    "one_of_each",
    "rounded_up",
    "score_photos",
    "score_rows",
]


class HeldOutPredictions(NamedTuple):
    """Joint probabilities float64 [N, L] and decisions of N photos."""

    joint: np.ndarray
    decisions: list[Decision]


@dataclass(frozen=True)
class Calibrated(Calibration):
    """Turn logits and OOD scores into calibrated predictions: temperatures, combiner and decision policy."""

    policy: Policy

    def predict(self, outputs: HeldOutOutputs) -> HeldOutPredictions:
        """Predict for N photos."""
        joint = self.joint(outputs.outputs)
        return HeldOutPredictions(joint, decide(joint, self.taxonomy, self.policy, scores=outputs.scores))


def calibrate_trained(trained: Trained, *, combiner: Combiner, alpha: float) -> Calibrated:
    """Calibrate on the first part of ``trained.held_out``.

    :raises ConfigError: no photos were held out.
    """
    outputs = next(iter(trained.held_out.values()), None)
    if outputs is None:
        raise ConfigError("too few photos to hold any out for calibration; add photos, at least two per class")
    return calibrate(
        outputs,
        trained.pretrained,
        trained.unlisted,
        taxonomy=trained.network.taxonomy,
        combiner=combiner,
        alpha=alpha,
    )


def calibrate(
    outputs: HeldOutOutputs,
    pretrained: HeldOutOutputs | None,
    unlisted: HeldOutOutputs | None,
    *,
    taxonomy: Taxonomy,
    combiner: Combiner,
    alpha: float,
) -> Calibrated:
    """Fit temperatures and thresholds to held-out photos.

    ``outputs`` are those for photos of trained breeds. ``pretrained`` and ``unlisted`` are those for photos whose breed
    was held out as well, and is known to the pretrained head, or to neither head. Without ``unlisted``, the threshold
    of the pet score is fitted to ``outputs``. ``alpha`` is the target error rate.
    """
    uncut = Calibrated(taxonomy, outputs.temperatures(taxonomy, unlisted), combiner, Policy(alpha=alpha))
    policy = uncut.policy.model_copy(update={"pet": fit_pet_threshold(outputs, unlisted, taxonomy)})
    # Without a breed in the label, nobody knows whether a named breed is right.
    photos: dict[Population, HeldOutOutputs | None] = {
        "trained": outputs.where(outputs.labels.breed_known),
        "pretrained": pretrained,
        "unlisted": unlisted,
    }
    sampled = {p: part.where(one_of_each(part.labels)) for p, part in photos.items() if part is not None}
    joint = {population: uncut.joint(part.outputs) for population, part in sampled.items()}
    others = np.zeros(len(taxonomy.species), bool)
    if "unlisted" in joint:
        others[most_probable_species(joint["unlisted"], taxonomy)] = True
    scores = {
        population: _scores_by_species(policy, joint[population], part, taxonomy, others)
        for population, part in sampled.items()
    }
    return replace(uncut, policy=policy.model_copy(update={"scores": scores}))


def _scores_by_species(
    policy: Policy, joint: np.ndarray, outputs: HeldOutOutputs, taxonomy: Taxonomy, others: np.ndarray
) -> dict[str, ScoreRows]:
    """Return the nonconformity scores, grouped by most probable species; ``others`` as in :func:`score_photos`."""
    scores = score_photos(policy, joint, outputs.scores, outputs.labels, taxonomy, others)
    winner = most_probable_species(joint, taxonomy)
    return {name: score_rows(scores[winner == s]) for s, name in enumerate(taxonomy.species)}


def one_of_each(labels: Labels) -> np.ndarray:
    """Draw one photo of each individual at random, and return their rows, int [M].

    Several photos of one individual are not exchangeable with those of another, which conformal prediction requires
    (Dunn, Wasserman and Ramdas, "Distribution-Free Prediction Sets for Two-Layer Hierarchical Models", JASA 2023).
    """
    if labels.groups is None:
        return np.arange(len(labels))
    shuffled = np.random.default_rng(0).permutation(len(labels))
    return np.sort(shuffled[np.unique(labels.groups[shuffled], return_index=True)[1]])


def rounded_up(scores: np.ndarray) -> np.ndarray:
    """Round nonconformity scores up to six decimals, as a policy stores them.

    A score that was rounded down would promise too much. Scores above 1, from summing floats, become 1. Rounded scores
    stay the same, because growing a model stores them again.
    """
    steps = np.ceil(np.minimum(scores, 1.0) * 1e6)
    below = (steps - 1) / 1e6  # large enough if float error lifted the product above a whole number
    return np.where(below >= scores, below, steps / 1e6)


def score_rows(scores: np.ndarray) -> ScoreRows:
    """Return scores [N, 3] as a policy stores them: rounded up and sorted, so that they identify no photo."""
    return tuple(sorted(tuple(row) for row in rounded_up(scores).tolist()))


def score_photos(
    policy: Policy, joint: np.ndarray, scores: np.ndarray, labels: Labels, taxonomy: Taxonomy, others: np.ndarray
) -> np.ndarray:
    """Return the nonconformity scores of labeled photos, float [N, 3].

    The columns are the scores of the most probable breed and the species; of sets of two breeds; and of sets of two and
    three. Photos that the pet threshold refuses have score 0.

    :param joint: joint probabilities [N, L].
    :param scores: OOD scores [N, 1 + S].
    :param others: bool [S], the species for which photos of unlisted breeds were held out.
    """
    by_species = species_probabilities(joint, taxonomy)
    winner = by_species.argmax(axis=1)
    named = named_probabilities(joint, scores[:, 1:], taxonomy)
    sets = breed_sets(named, winner, taxonomy, MAX_SET)
    right = sets.hold(labels.leaf) | (sets.leaves < 0)
    species = nonconformity_scores(by_species.max(axis=1)[:, None], (winner == labels.species)[:, None])
    alone = nonconformity_scores(sets.probabilities[:, :1], right[:, :1])
    found = [np.maximum(alone, species)]
    found += [nonconformity_scores(sets.probabilities[:, 1:n], right[:, 1:n]) for n in range(2, MAX_SET + 1)]
    refused = scores[:, 0] < pet_thresholds(policy, named, taxonomy, others)
    return np.where(refused[:, None], 0.0, np.stack(found, axis=1))


def cross_predict(
    outputs: HeldOutOutputs, trained: Trained, calibrated: Calibrated, folds: np.ndarray
) -> HeldOutPredictions:
    """Predict for each held-out photo with temperatures and thresholds fitted to the other folds.

    ``folds`` int [N] is the fold of each photo. The photos of a fold are also excluded from those whose breed was held
    out (``trained.pretrained`` and ``trained.unlisted``).
    """
    joint = np.zeros((len(outputs), len(calibrated.taxonomy.leaves)))
    decisions: dict[int, Decision] = {}
    for fold in np.unique(folds):
        own = outputs.where(folds == fold)
        others = calibrate(
            outputs.where(folds != fold),
            _without(trained.pretrained, own),
            _without(trained.unlisted, own),
            taxonomy=calibrated.taxonomy,
            combiner=calibrated.combiner,
            alpha=calibrated.policy.alpha,
        )
        rows = np.flatnonzero(folds == fold)
        joint[rows], decided = others.predict(own)
        decisions |= dict(zip(rows.tolist(), decided, strict=True))
    return HeldOutPredictions(joint, [decisions[i] for i in range(len(outputs))])


def _without(outputs: HeldOutOutputs | None, others: HeldOutOutputs) -> HeldOutOutputs | None:
    """Return the outputs for photos that are not in ``others``; None if there are none."""
    if outputs is None:
        return None
    excluded = {*others.paths}
    kept = np.array([path not in excluded for path in outputs.paths], bool)
    return outputs.where(kept) if kept.any() else None
