"""Checks on features: outliers, and labels that heads and neighbors contradict."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from hierpets.auditing.findings import AuditFinding
from hierpets.auditing.labels.label_errors import SuspectedError, suspected_errors
from hierpets.auditing.pairs.neighbors import NEAREST, find_neighbors, find_outliers
from hierpets.auditing.settings import AuditSettings
from hierpets.config import HeadSpec
from hierpets.data.records import PhotoIndex, PhotoRecord
from hierpets.hierarchy.calibration import fit_temperatures
from hierpets.model.pretrained_breeds import PretrainedBreeds
from hierpets.plugin import Labels
from hierpets.taxonomy import Leaf, Taxonomy
from hierpets.text import counted
from hierpets.training.features.feature_set import FeatureSet
from hierpets.training.features.individuals import individuals_by_likeness
from hierpets.training.frozen.fitter import HeadFitter
from hierpets.training.frozen.held_out.folds import assign_folds
from hierpets.training.frozen.held_out.out_of_fold import out_of_fold
from hierpets.training.frozen.statistics import collect_statistics

__all__ = ["FEWEST", "check_labels", "check_outliers"]

Sampler = Callable[[Labels], np.ndarray]
FEWEST = 10  # with fewer photos, neighbors are meaningless


def check_outliers(index: PhotoIndex, features: np.ndarray) -> list[AuditFinding]:
    """Find photos that are far from every other, by features [N, D]."""
    if len(index) < FEWEST:
        return []
    outlying, distance = find_outliers(find_neighbors(features, k=NEAREST))
    median = float(np.median(distance))
    return [
        AuditFinding.of(
            "outlier",
            (index.records[row],),
            f"mean cosine distance to {NEAREST} nearest neighbors {distance[row]:.2f} (median {median:.2f})",
            float(np.clip(distance[row], 0.0, 1.0)),
        )
        for row in np.flatnonzero(outlying)
    ]


def check_labels(
    index: PhotoIndex,
    features: np.ndarray,
    groups: Sequence[Sequence[int]],
    *,
    within: float,
    weigh: Sampler,
    settings: AuditSettings,
) -> tuple[list[AuditFinding], list[str]]:
    """Return suspected label errors, and notes on labels that could not be checked.

    ``groups`` are rows that show the same photo: they are kept in one fold, because heads that saw a copy would agree
    with its label. So are the photos of a stated individual, and photos of one class ``within`` a cosine distance of
    each other, which probably show the same animal. ``weigh`` maps labels to weights, as a sampler plugin does.
    """
    known = index.of_individuals(individuals_by_likeness(index, features, within=within))
    folds = assign_folds(known.labels(), folds=settings.folds, seed=settings.seed)
    for group in groups:
        folds[list(group)] = folds[group[0]]
    rows = _checkable(index, folds)
    notes = []
    if few := len(index) - len(rows):
        notes.append(f"{counted(few, 'label')} not checked: too few photos of the class")
    records = tuple(index.records[row] for row in rows)
    tree = Taxonomy.from_pairs(record.label for record in records) if records else None
    if tree is None or len(tree.leaves) < 2 or len(records) < FEWEST:
        return [], [*notes, f"labels not checked: expected at least {FEWEST} photos and two classes"]
    checked = PhotoIndex(tree, records)
    joint = _out_of_fold(checked, features[rows], folds[rows], weigh)
    neighbors = find_neighbors(features[rows], k=settings.neighbors)
    errors = suspected_errors(checked.labels(), joint, neighbors, tree)
    return [_finding(records[error.row], error, tree.leaves[error.likely]) for error in errors], notes


def _checkable(index: PhotoIndex, folds: np.ndarray) -> np.ndarray:
    """Rows, int64 [M], of classes in at least two folds: whichever fold is held out, the heads see the class."""
    seen: dict[Leaf, set[int]] = {}
    for record, fold in zip(index.records, folds.tolist(), strict=True):
        seen.setdefault(index.leaf_of(record), set()).add(fold)
    return np.flatnonzero([len(seen[index.leaf_of(record)]) > 1 for record in index.records])


def _out_of_fold(index: PhotoIndex, features: np.ndarray, folds: np.ndarray, weigh: Sampler) -> np.ndarray:
    """Calibrated joint probabilities [N, L] from heads that did not see the photo."""
    labels, tree = index.labels(), index.taxonomy
    photos = FeatureSet(features, features, labels, weigh(labels), tree)
    _, folds = np.unique(folds, return_inverse=True)  # those without a photo left out
    parts = collect_statistics(photos, None, folds)
    found = out_of_fold(photos, parts, folds, HeadFitter(HeadSpec()), None, PretrainedBreeds.of(tree, None))
    species, leaf = found.species, found.leaf  # of all: every class is in two folds
    temperatures = fit_temperatures(species, leaf, species=labels.species, leaf=labels.leaf, taxonomy=tree)
    return temperatures.joint(species, leaf, tree)


def _finding(record: PhotoRecord, error: SuspectedError, likely: Leaf) -> AuditFinding:
    given, other = f"{error.given_probability:.0%}", f"{error.likely_probability:.0%}"
    return AuditFinding.of(
        "label_error",
        (record,),
        f"labeled {record.label} ({given}), looks like {likely} ({other})",
        float(np.clip(error.score, 0.0, 1.0)),
        {
            "likely": {"species": likely.species, "breed": likely.breed},
            "likely_probability": round(error.likely_probability, 4),
            "given_probability": round(error.given_probability, 4),
            "neighbors_with_label": round(error.agreement, 4),
        },
    )
