"""New breeds and species from a few photos, without the old ones."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from hierpets.data.index import PhotoIndex, read_index
from hierpets.evaluation.comparison import Comparison, compare
from hierpets.evaluation.result import Evaluation
from hierpets.evaluation.run import evaluate
from hierpets.files import check_output
from hierpets.growing.bundle import OpenBundle, open_bundle
from hierpets.growing.calibration import Unseen, grow_policy, grow_temperatures, predict_unseen
from hierpets.growing.leave_one_out import LeaveOneOut
from hierpets.growing.photos import NewPhotos, check_every_class, check_names, check_photos, read_photos
from hierpets.growing.result import GrowResult, Steal
from hierpets.inference.loading import load
from hierpets.model.manifest import Origin
from hierpets.model.ood import pretrained_probabilities
from hierpets.model.statistics.classes import ClassStatistics
from hierpets.progress import Progress, no_progress
from hierpets.registry.loading import Registry
from hierpets.taxonomy import UNKNOWN_LEAF, Leaf, Taxonomy

__all__ = ["grow"]

SHOWN = 0.05  # mean probability that a class of the pretrained head gets from photos of a species that it shows
HARD = 0.2  # share of a new leaf's photos that look like one old leaf, above which a warning is due


def grow(
    model: str | os.PathLike[str],
    data: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str],
    check: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    registry: Registry | str | Path | None = None,
    progress: Progress = no_progress,
) -> GrowResult:
    """Add breeds and species to a bundle from a few photos; the photos that it was trained on are not needed.

    ``model`` is a bundle that keeps statistics of its classes, as one with LDA heads does. ``data`` are labeled photos,
    a folder ``SPECIES/BREED/photo.jpg`` or a CSV: of new breeds, of new species with or without breeds, or more of
    known ones. The bundle that is written to ``out`` predicts as if it had been trained on all photos at once.
    ``check`` are labeled photos of classes that were known before, to compare both bundles on.

    Copies, photos that cannot be read and photos that show another animal than their label are left out, and listed.

    :raises BundleError: a bundle that is missing or damaged, or that keeps no statistics.
    :raises DataError: a name that is almost one that is known; a class without a photo to learn from.
    :raises ConfigError: ``out`` exists and ``overwrite`` is not given.
    """
    source, target = Path(model), Path(out)
    check_output(target, overwrite=overwrite)
    before = open_bundle(source)
    index = read_index(data)
    check_names(index.taxonomy, before.manifest.taxonomy)
    predictor = load(source, engine="openvino", precision="f32", registry=registry, recommend=False)
    photos, unreadable = read_photos(index, predictor, progress)
    photos, refused = check_photos(photos, before.manifest.taxonomy)
    left_out = (*unreadable, *refused)
    check_every_class(index, photos, left_out)
    learned, unseen = _learn(before, photos)
    learned.write(target)
    compared, taken = _check(before, learned, target, check, registry, progress)
    new = tuple(leaf for leaf in learned.manifest.taxonomy.leaves if leaf not in before.manifest.taxonomy.leaves)
    return GrowResult(
        bundle=target,
        alpha=learned.manifest.policy.alpha,
        photos=dict(sorted(Counter(record.label for record in photos.records).items(), key=lambda item: str(item[0]))),
        accuracy=_accuracy(photos, unseen, learned),
        new=new,
        left_out=left_out,
        steals=(*taken, *_confused(photos, unseen, learned, new)),
        before_and_after=compared,
    )


def _learn(before: OpenBundle, photos: NewPhotos) -> tuple[OpenBundle, Unseen]:
    """The grown bundle, and what it gives for the new photos without them."""
    labels = sorted({record.label for record in photos.records}, key=str)
    classes = np.array([labels.index(record.label) for record in photos.records])
    weights = _weights(before.statistics, labels, np.bincount(classes))[classes]
    profiles = _profiles(before, photos.features)
    added = ClassStatistics.of(photos.features, classes, weights, labels, profiles)
    total = before.statistics + added
    origins = _origins(before, total.taxonomy)
    grown = before.refitted(total, _species_classes(before, added), origins=origins)
    rows = np.array([total.labels.index(labels[c]) for c in classes])
    left = LeaveOneOut(total, photos.features.astype(np.float64), profiles, rows, weights)
    index = PhotoIndex(total.taxonomy, photos.records)
    unseen = predict_unseen(grown, left, index.labels())
    return _calibrated(before, grown, unseen, len(photos)), unseen


def _calibrated(before: OpenBundle, grown: OpenBundle, unseen: Unseen, photos: int) -> OpenBundle:
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
    return grown.changed(**changes)


def _weights(known: ClassStatistics, labels: Sequence[Leaf], counts: np.ndarray) -> np.ndarray:
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
    species, old = added.by_species(), before.manifest.taxonomy.tree
    found = {*known}
    for label, profile in zip(species.labels, species.profiles_of(species.labels), strict=True):
        if label.species not in old:
            found |= {int(profile.argmax()), *np.flatnonzero(profile >= SHOWN).tolist()}
    return sorted(found)


def _origins(before: OpenBundle, taxonomy: Taxonomy) -> tuple[Origin, ...]:
    known = dict(zip(before.manifest.taxonomy.leaves, before.manifest.origins, strict=True))
    return tuple(known.get(leaf, "grown") for leaf in taxonomy.leaves)


def _accuracy(photos: NewPhotos, unseen: Unseen, grown: OpenBundle) -> dict[Leaf, float | None]:
    """For each label the share of its photos that the bundle names right without them, by breed or by species."""
    joint, tree = unseen.joint(grown.manifest, grown.manifest.temperatures), grown.manifest.taxonomy
    right: dict[Leaf, list[bool]] = defaultdict(list)
    for row, best in zip(unseen.rows.tolist(), joint.argmax(axis=1).tolist(), strict=True):
        label, leaf = photos.records[row].label, tree.leaves[best]
        right[label].append(leaf == label or (label.breed is None and leaf.species == label.species))
    labels = {record.label for record in photos.records}
    return {label: sum(right[label]) / len(right[label]) if right[label] else None for label in labels}


def _confused(photos: NewPhotos, unseen: Unseen, grown: OpenBundle, new: Sequence[Leaf]) -> list[Steal]:
    """Pairs of a new leaf and an old one that its own photos look like without them."""
    joint, tree = unseen.joint(grown.manifest, grown.manifest.temperatures), grown.manifest.taxonomy
    taken: dict[tuple[Leaf, Leaf], list[str]] = defaultdict(list)
    for row, best in zip(unseen.rows.tolist(), joint.argmax(axis=1).tolist(), strict=True):
        record, leaf = photos.records[row], tree.leaves[best]
        if record.label in new and leaf not in new:
            taken[record.label, leaf].append(record.path)
    counts = Counter(record.label for record in photos.records)
    return [Steal(a, b, tuple(paths), False) for (a, b), paths in taken.items() if len(paths) > HARD * counts[a]]


def _check(
    before: OpenBundle,
    grown: OpenBundle,
    target: Path,
    check: str | os.PathLike[str] | None,
    registry: Registry | str | Path | None,
    progress: Progress,
) -> tuple[Comparison | None, list[Steal]]:
    """Both bundles on labeled photos of classes that were known before: the comparison, and what new leaves took."""
    if check is None:
        return None, []
    a, b = (evaluate(folder, check, registry=registry, progress=progress) for folder in (before.source, target))
    return compare(a, b), _taken(a, b, before.manifest.taxonomy, grown.manifest.taxonomy)


def _taken(a: Evaluation, b: Evaluation, old: Taxonomy, new: Taxonomy) -> list[Steal]:
    first, second = (e.predictions.probabilities.argmax(axis=1) for e in (a, b))
    taken: dict[tuple[Leaf, Leaf], list[str]] = defaultdict(list)
    for path, truth, was, now in zip(a.predictions.paths, a.predictions.leaf_true, first, second, strict=True):
        leaf = new.leaves[now]
        if truth != UNKNOWN_LEAF and was == truth and leaf not in old.leaves:
            taken[leaf, old.leaves[truth]].append(path)
    return [Steal(leaf, truth, tuple(paths), True) for (leaf, truth), paths in taken.items()]
