"""What features say: photos like no other in the set, and labels that heads and neighbors speak against."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from hierpets.auditing.findings import Finding
from hierpets.auditing.labels.label_errors import Doubt, doubted_labels
from hierpets.auditing.pairs.neighbors import find_neighbors, unlike_the_rest
from hierpets.auditing.settings import AuditSettings
from hierpets.config import HeadSpec
from hierpets.data.index import PhotoIndex, PhotoRecord
from hierpets.hierarchy.calibration import fit_temperatures
from hierpets.hierarchy.probabilities import joint_probabilities
from hierpets.plugin import Labels
from hierpets.taxonomy import Leaf, Taxonomy
from hierpets.training.frozen.feature_set import FeatureSet
from hierpets.training.frozen.fit import assign_folds, out_of_fold

__all__ = ["LEAST", "judge_labels", "judge_strangers"]

Sampler = Callable[[Labels], np.ndarray]
LEAST = 10  # photos, below which no neighborhood says anything


def judge_strangers(index: PhotoIndex, features: np.ndarray, settings: AuditSettings) -> list[Finding]:
    """Photos that are far from every other, features [N, D]."""
    if len(index) < LEAST:
        return []
    outlying, distance = unlike_the_rest(find_neighbors(features, k=settings.neighbors))
    usual = float(np.median(distance))
    return [
        Finding(
            "no_pet",
            (index.records[row],),
            f"{distance[row]:.2f} from its nearest photos, where half the photos have {usual:.2f} or less",
            float(np.clip(distance[row], 0.0, 1.0)),
        )
        for row in np.flatnonzero(outlying)
    ]


def judge_labels(
    index: PhotoIndex,
    features: np.ndarray,
    groups: Sequence[Sequence[int]],
    *,
    weigh: Sampler,
    settings: AuditSettings,
) -> tuple[list[Finding], list[str]]:
    """Doubted labels, and notes on those that could not be judged.

    ``groups`` are rows that show the same photo: they are kept in one fold, for heads that saw a copy would agree with
    its label. ``weigh`` maps labels to weights, as a sampler plugin does.
    """
    folds = assign_folds(index.labels(), folds=settings.folds, seed=settings.seed)
    for group in groups:
        folds[list(group)] = folds[group[0]]
    rows = _judgeable(index, folds)
    notes = []
    if few := len(index) - len(rows):
        notes.append(f"{few} photo{'s' * (few != 1)} not judged by label: too few of their class")
    records = tuple(index.records[row] for row in rows)
    tree = Taxonomy.from_pairs(record.label for record in records) if records else None
    if tree is None or len(tree.leaves) < 2 or len(records) < LEAST:
        return [], [*notes, "labels were not judged: that takes ten photos and two classes at least"]
    judged = PhotoIndex(tree, records)
    joint = _out_of_fold(judged, features[rows], folds[rows], weigh)
    neighbors = find_neighbors(features[rows], k=settings.neighbors)
    doubts = doubted_labels(judged.labels(), joint, neighbors, tree)
    return [_finding(records[doubt.row], doubt, tree.leaves[doubt.likely]) for doubt in doubts], notes


def _judgeable(index: PhotoIndex, folds: np.ndarray) -> np.ndarray:
    """Rows, int64 [M], of the classes that lie in two folds at least: whatever fold is held out, one photo is seen."""
    seen: dict[Leaf, set[int]] = {}
    for record, fold in zip(index.records, folds.tolist(), strict=True):
        seen.setdefault(index.leaf_of(record), set()).add(fold)
    return np.flatnonzero([len(seen[index.leaf_of(record)]) > 1 for record in index.records])


def _out_of_fold(index: PhotoIndex, features: np.ndarray, folds: np.ndarray, weigh: Sampler) -> np.ndarray:
    """Calibrated joint probabilities [N, L] by heads that did not see the photo."""
    labels, tree = index.labels(), index.taxonomy
    photos = FeatureSet(features, features, labels, weigh(labels), tree)
    species, leaf, *_ = out_of_fold(photos, HeadSpec(), None, folds)
    temperatures = fit_temperatures(species, leaf, species=labels.species, leaf=labels.leaf, taxonomy=tree)
    return joint_probabilities(*temperatures.apply(species, leaf, tree), tree)


def _finding(record: PhotoRecord, doubt: Doubt, likely: Leaf) -> Finding:
    given, other = f"{doubt.given_probability:.0%}", f"{doubt.likely_probability:.0%}"
    return Finding(
        "label_error",
        (record,),
        f"labeled {record.label} ({given}), looks like {likely} ({other})",
        float(np.clip(doubt.score, 0.0, 1.0)),
        {
            "likely": {"species": likely.species, "breed": likely.breed},
            "likely_probability": round(doubt.likely_probability, 4),
            "given_probability": round(doubt.given_probability, 4),
            "neighbors_with_label": round(doubt.agreement, 4),
        },
    )
