"""Add the statistics of new photos to those of a bundle, and refit everything that depends on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hierpets.data.records import PhotoIndex, PhotoRecord
from hierpets.growing.bundle import OpenBundle
from hierpets.growing.calibration import grow_policy, grow_temperatures, lacking_pet_score
from hierpets.growing.leave_one_out import (
    LeaveOneOut,
    LeaveOneOutLogits,
    LeaveOneOutPredictions,
    leave_one_out_logits,
    predict_left_out,
)
from hierpets.growing.network import OpenNetwork
from hierpets.growing.photos import NewPhotos
from hierpets.model.pretrained_head import pretrained_profiles
from hierpets.model.statistics.classes import ClassStatistics
from hierpets.taxonomy import Leaf

__all__ = ["add_photos", "class_weights", "learn"]


def learn(before: OpenBundle, photos: NewPhotos) -> tuple[OpenBundle, LeaveOneOutPredictions]:
    """The grown bundle, and its leave-one-out predictions for the new photos."""
    parts = [_learn(*part, photos.records) for part in zip(before.networks, photos.features, strict=True)]
    logits = [own for _, own in parts]
    grown = before.of([network for network, _ in parts])
    predictions = predict_left_out(grown, logits)
    if grown.manifest.grown_species:
        grown = _with_pet_scores(grown, predictions)
        predictions = predict_left_out(grown, logits)
    old, tree = before.manifest, grown.manifest.taxonomy
    training = old.training | {
        "species": len(tree.species),
        "leaves": len(tree.leaves) - len(grown.manifest.pretrained),
        "grown": old.training.get("grown", 0) + len(photos),
    }
    policy = grow_policy(old.policy, predictions, {*tree.leaves} - {*old.taxonomy.leaves}, tree)
    return grown.of(grown.networks, policy=policy, training=training), predictions


def _with_pet_scores(grown: OpenBundle, predictions: LeaveOneOutPredictions) -> OpenBundle:
    """Raise the pet scores of grown species until few of their new photos are refused."""
    manifest = grown.manifest
    lacking = lacking_pet_score(manifest.policy, predictions, manifest.grown_species, manifest.taxonomy)
    return grown.of([network.raised(lacking) for network in grown.networks])


def _learn(
    before: OpenNetwork, features: np.ndarray, records: tuple[PhotoRecord, ...]
) -> tuple[OpenNetwork, LeaveOneOutLogits]:
    """A network refitted with the features [N, D] of N new photos, and its leave-one-out logits for them."""
    labels = sorted({record.label for record in records}, key=str)
    classes = np.array([labels.index(record.label) for record in records])
    profiles = pretrained_profiles(before.scorer.pretrained_head, features).astype(np.float64)
    total, weights = add_photos(before.statistics, features, classes, labels, profiles)
    grown = before.refitted(total, {*before.manifest.pretrained} - {*labels})
    rows = np.array([total.labels.index(labels[c]) for c in classes])
    of = PhotoIndex(total.taxonomy, records).labels()
    animals = np.arange(len(records)) if of.groups is None else of.groups
    one_out = LeaveOneOut(total, features.astype(np.float64), profiles, rows, weights, animals)
    logits = leave_one_out_logits(grown, one_out, of)
    temperatures = grow_temperatures(before.temperatures, before.statistics.taxonomy, logits, total.taxonomy)
    return grown.tempered(temperatures), logits


def add_photos(
    known: ClassStatistics, features: np.ndarray, classes: np.ndarray, labels: Sequence[Leaf], profiles: np.ndarray
) -> tuple[ClassStatistics, np.ndarray]:
    """The statistics of the known photos and N new ones, and the weights [N] of the new photos.

    The new photos have ``features`` [N, D], ``profiles`` [N, P], and ``classes`` int [N], which index ``labels``.
    """
    of_label = dict(zip(labels, class_weights(known, labels, np.bincount(classes)), strict=True))
    old = zip(known.labels, known.weights / known.counts, strict=True)
    reweighted = known.reweighted(known.counts * np.array([of_label.get(label, weight) for label, weight in old]))
    weights = np.array([*of_label.values()])[classes]
    # All known labels are passed: they decide which labels are leaves, even if no new photo has a stated breed.
    return reweighted + ClassStatistics.of(features, classes, weights, [*labels, *known.labels], profiles), weights


def class_weights(known: ClassStatistics, labels: Sequence[Leaf], counts: np.ndarray) -> np.ndarray:
    """The weight of each photo, old or new, of each label.

    It keeps the total weight of a known class, however many photos are added; a new class weighs as much as the known
    ones on average.
    """
    weight = dict(zip(known.labels, known.weights, strict=True))
    whole = np.array([weight.get(label, known.weights.mean()) for label in labels])
    return whole / (known.counts_of(labels) + counts)
