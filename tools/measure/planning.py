"""Measure whether the gain from the last photos of a breed predicts the gain from ten more (docs/plan.md).

    python tools/measure/planning.py --data ../shared/data/pets

The gains are planned with 24 photos of each breed. Then each breed with enough photos gets ten more, and its remaining
photos measure the gain.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from hierpets.config import DEFAULT_BACKBONE, BackboneChoice, TrainConfig
from hierpets.planning.costs import time_backbone
from hierpets.planning.crossvalidation import REMOVED, SHRINKAGE, cross_validate_sizes, curve_sizes
from hierpets.planning.curve import class_gains
from hierpets.planning.photos import extract_features, read_photos, readable_photos
from hierpets.progress import no_progress
from hierpets.registry.loading import load_registry
from hierpets.training.features.feature_set import FeatureSet
from hierpets.training.frozen.lda import fit_lda
from hierpets.training.frozen.statistics import collect_statistics
from tools.errors import in_one_line

HELD = 24  # photos of each breed to plan with
MIN_PHOTOS = 80  # photos a breed needs for measuring the gain from ten more


@in_one_line
def main() -> None:
    """Print both gains of each breed, and their rank correlation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--draws", type=int, default=6)
    given = parser.parse_args()
    photos = read_features(given.data)
    drawn = [dict(gains(photos, seed)) for seed in range(given.draws)]
    table = {label: np.mean([draw[label] for draw in drawn], axis=0) for label in drawn[0]}
    for label, (last, following) in table.items():
        print(f"{label:<32} the last ten {100 * last:5.1f} points, ten more {100 * following:5.1f}")
    last, following = np.array(list(table.values())).T
    print(f"mean {100 * last.mean():.1f} and {100 * following.mean():.1f}; rank correlation", end=" ")
    print(f"{spearmanr(last, following).statistic:.2f} over {len(table)} breeds")


def read_features(data: str) -> FeatureSet:
    """Read all photos as features of the default backbone."""
    registry, config = load_registry(), TrainConfig()
    photos = read_photos(data, registry)
    choice = BackboneChoice(name=DEFAULT_BACKBONE)
    own = time_backbone(choice, photos.index.paths, registry, device="cpu", seed=config.seed)
    seen = readable_photos(photos, own.extractor, config, progress=no_progress)
    return extract_features(seen.index, own.extractor, config, registry, progress=no_progress)


def gains(photos: FeatureSet, seed: int) -> Iterator[tuple[str, tuple[float, float]]]:
    """Yield for each label the gain from the last ten of 24 photos, and the gain from ten more."""
    rank = np.zeros(len(photos), int)
    order = np.random.default_rng(seed).permutation(len(photos))
    leaf, leaves = photos.labels.leaf, photos.taxonomy.leaves
    for k in range(len(leaves)):
        rank[order[leaf[order] == k]] = np.arange((leaf == k).sum())
    few = photos.where(rank < HELD)
    found = cross_validate_sizes(few, curve_sizes(few.labels)[-1:], repeats=1, progress=no_progress)
    past = {found.label: found.gain for found in class_gains(found, few)}
    held, *_ = collect_statistics(few, None)
    before = fit_lda(held, leaves, shrinkage=SHRINKAGE)
    for k, label in enumerate(leaves):
        own = leaf == k
        if own.sum() < MIN_PHOTOS:
            continue
        ten, *_ = collect_statistics(photos.where(own & (rank >= HELD) & (rank < HELD + REMOVED)), None)
        after = fit_lda(held + ten, leaves, shrinkage=SHRINKAGE)
        rest = photos.where(own & (rank >= HELD + REMOVED)).features
        hits = [float((head(np.asarray(rest)).argmax(axis=1) == k).mean()) for head in (before, after)]
        yield str(label), (past[str(label)], hits[1] - hits[0])


if __name__ == "__main__":
    sys.exit(main())
