"""The statistics of new photos added to those of a bundle, and all that follows from the sum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from hierpets.data.index import PhotoIndex
from hierpets.growing.bundle import OpenBundle
from hierpets.growing.calibration import Unseen, grow_policy, grow_temperatures, predict_unseen
from hierpets.growing.leave_one_out import LeaveOneOut
from hierpets.growing.photos import NewPhotos
from hierpets.model.manifest import Origin
from hierpets.model.ood import pretrained_probabilities
from hierpets.model.statistics.classes import ClassStatistics
from hierpets.taxonomy import Leaf, Taxonomy

__all__ = ["class_weights", "learn"]

SHOWN = 0.05  # mean probability that a class of the pretrained head gets from photos of a species that it shows


def learn(before: OpenBundle, photos: NewPhotos) -> tuple[OpenBundle, Unseen]:
    """The grown bundle, and what it gives for the new photos without them."""
    labels = sorted({record.label for record in photos.records}, key=str)
    classes = np.array([labels.index(record.label) for record in photos.records])
    weights = class_weights(before.statistics, labels, np.bincount(classes))[classes]
    profiles = _profiles(before, photos.features)
    added = ClassStatistics.of(photos.features, classes, weights, labels, profiles)
    total = before.statistics + added
    origins = _origins(before, total.taxonomy)
    grown = before.refitted(total, _species_classes(before, added), origins=origins)
    rows = np.array([total.labels.index(labels[c]) for c in classes])
    left = LeaveOneOut(total, photos.features.astype(np.float64), profiles, rows, weights)
    index = PhotoIndex(total.taxonomy, photos.records)
    unseen = predict_unseen(grown, left, index.labels())
    return _calibrated(before, grown, unseen, len(photos))


def _calibrated(before: OpenBundle, grown: OpenBundle, unseen: Unseen, photos: int) -> tuple[OpenBundle, Unseen]:
    old, tree = before.manifest, grown.manifest.taxonomy
    temperatures = grow_temperatures(old.temperatures, unseen, tree)
    leaves = {leaf for leaf, origin in zip(tree.leaves, grown.manifest.origins, strict=True) if origin == "grown"}
    joint = unseen.joint(grown.manifest, temperatures)
    policy = grow_policy(old.policy, unseen, joint, leaves, tree)
    training = old.training | {
        "species": len(tree.species),
        "leaves": len(tree.leaves),
        "grown": old.training.get("grown", 0) + photos,
    }
    changes = {"temperatures": temperatures, "policy": policy, "training": training}
    answers = tuple(tree.leaves[best] for best in joint.argmax(axis=1).tolist())
    return grown.changed(**changes), replace(unseen, answers=answers)


def class_weights(known: ClassStatistics, labels: Sequence[Leaf], counts: np.ndarray) -> np.ndarray:
    """The weight of a photo of each label: that of a photo which its class has, or, of a new class, such that it weighs
    as much as the classes do on average.
    """
    weight = dict(zip(known.labels, known.weights / known.counts, strict=True))
    return np.array(
        [weight.get(label, known.weights.mean() / count) for label, count in zip(labels, counts, strict=True)]
    )


def _profiles(bundle: OpenBundle, features: np.ndarray) -> np.ndarray:
    head = bundle.scorer.pretrained_head
    if head is None:
        return np.zeros((len(features), 0))
    with torch.inference_mode():
        return pretrained_probabilities(head, torch.from_numpy(features)).numpy().astype(np.float64)


def _species_classes(before: OpenBundle, added: ClassStatistics) -> list[int]:
    """The pretrained head's classes that show a known species: those of before, and those of the new species, which are
    found by what the head makes of their photos.
    """
    known: list[int] = before.scorer.species_classes.tolist()
    if not known:
        return known
    species, old = added.by_species, before.manifest.taxonomy.tree
    found = {*known}
    for label, profile in zip(species.labels, species.profiles_of(species.labels), strict=True):
        if label.species not in old:
            found |= {int(profile.argmax()), *np.flatnonzero(profile >= SHOWN).tolist()}
    return sorted(found)


def _origins(before: OpenBundle, taxonomy: Taxonomy) -> tuple[Origin, ...]:
    known = dict(zip(before.manifest.taxonomy.leaves, before.manifest.origins, strict=True))
    return tuple(known.get(leaf, "grown") for leaf in taxonomy.leaves)
