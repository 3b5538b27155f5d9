"""The statistics of new photos added to those of a bundle, and all that follows from the sum."""

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
    """The grown bundle, and what it gives for the new photos without them."""
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
    """The bundle with pet scores that refuse few of the new photos of grown species."""
    manifest = grown.manifest
    lacking = lacking_pet_score(manifest.policy, predictions, manifest.grown_species, manifest.taxonomy)
    return grown.of([network.raised(lacking) for network in grown.networks])


def _learn(
    before: OpenNetwork, features: np.ndarray, records: tuple[PhotoRecord, ...]
) -> tuple[OpenNetwork, LeaveOneOutLogits]:
    """A network that learned the features [N, D] of N photos, and what it gives for them without them."""
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
    """The statistics of known photos and of N others, and the weights [N] of these: ``features`` [N, D], ``classes``
    int [N] in ``labels``, ``profiles`` [N, P].
    """
    of_label = dict(zip(labels, class_weights(known, labels, np.bincount(classes)), strict=True))
    old = zip(known.labels, known.weights / known.counts, strict=True)
    room = known.reweighted(known.counts * np.array([of_label.get(label, weight) for label, weight in old]))
    weights = np.array([*of_label.values()])[classes]
    # Photos of no stated breed are of no leaf, even where no new photo states one.
    return room + ClassStatistics.of(features, classes, weights, [*labels, *known.labels], profiles), weights


def class_weights(known: ClassStatistics, labels: Sequence[Leaf], counts: np.ndarray) -> np.ndarray:
    """The weight of a photo of each label, old or new: such that its class weighs what it did, however many photos join
    it, or, where it is new, as much as the classes do on average.
    """
    weight = dict(zip(known.labels, known.weights, strict=True))
    whole = np.array([weight.get(label, known.weights.mean()) for label in labels])
    return whole / (known.counts_of(labels) + counts)
