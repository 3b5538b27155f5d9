"""Whether a trained network can be recycled into experts for species: five ways to adapt it, in equal time.

    python tools/measure/recycling.py --data ../shared/data/pets --elsewhere ../shared/data/elsewhere \
        [--seconds 120] [--folds 3] [--write docs/experiments.md]

Each way starts from the same ImageNet weights and the same linear heads on frozen features, and learns for so many
seconds of processor time from all folds but one. Without ``--write`` the table goes to standard output.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hierpets.config import HeadSpec
from hierpets.data.labeled.index import read_index
from hierpets.hierarchy.calibration import fit_temperature
from hierpets.model.backbone import build_backbone
from hierpets.model.heads import Linear
from hierpets.model.statistics.classes import ClassStatistics
from hierpets.plugin import Labels
from hierpets.registry.loading import load_registry
from hierpets.taxonomy import Leaf, Taxonomy
from hierpets.training.frozen.held_out.folds import assign_folds
from hierpets.training.frozen.lda import fit_lda
from plugins.samplers.balanced import breed_balanced
from tools.errors import in_one_line
from tools.pages.intervals import against
from tools.pages.marks import publish
from tools.recycling.arms import ARMS, Recipe, train_arm
from tools.recycling.maps import Maps, compute_maps, last_stage

FROZEN = "frozen features, LDA heads"
FOLDS = 4
Hits = dict[str, tuple[np.ndarray, np.ndarray]]
"""By arm: whether each photo is right out of fold, and how often each photo from elsewhere is, over the folds."""


@in_one_line
def main() -> int:
    """Tune in each way, and print or write what was right."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="SPECIES/BREED/photo.jpg: the photos in folds")
    parser.add_argument("--elsewhere", required=True, help="photos of the same breeds that are only measured on")
    parser.add_argument("--network", default="efficientnet_lite2")
    parser.add_argument("--size", type=int, default=288)
    parser.add_argument("--seconds", type=float, default=120, help="of processor time, for each arm and fold")
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--write", type=Path, help="the page that keeps the table")
    given = parser.parse_args()
    options = {"size": given.size, "crop": 1.0}
    backbone, _ = build_backbone(load_registry(), given.network, options)
    index = read_index(given.data)
    others = read_index(given.elsewhere, taxonomy=index.taxonomy)
    maps, away = compute_maps(backbone, index), compute_maps(backbone, others)
    stage = last_stage(backbone)
    folds = assign_folds(index.labels(), folds=given.folds, seed=0)
    hits, steps = measure(stage, maps, away, index.labels(), folds, index.taxonomy, Recipe(given.seconds))
    text = describe(hits, steps, given.network, given.size, given.seconds, given.folds)
    publish(text, given.write, __file__)
    return 0


def measure(
    stage: torch.nn.Module,
    maps: Maps,
    away: Maps,
    labels: Labels,
    folds: np.ndarray,
    taxonomy: Taxonomy,
    recipe: Recipe,
) -> tuple[Hits, dict[str, float]]:
    """Every arm on every fold, and the mean number of steps that it took."""
    hits: Hits = {name: (np.zeros(len(folds)), np.zeros(len(away.leaf))) for name in (FROZEN, *ARMS)}
    steps = dict.fromkeys(ARMS, 0.0)
    count = int(folds.max()) + 1
    frozen, frozen_away = (pooled(stage, m) for m in (maps, away))
    for fold in range(count):
        train, test = folds != fold, folds == fold
        weights = breed_balanced(labels.where(train))
        leaf_head, species_head = fit_heads(frozen[train], labels.where(train), weights, taxonomy)
        start = softened(leaf_head, frozen[train], labels.where(train), weights, taxonomy)
        routed, routed_away = (species_head(f).argmax(axis=1) for f in (frozen, frozen_away))
        hits[FROZEN][0][test] = leaf_head(frozen[test]).argmax(axis=1) == maps.leaf[test]
        hits[FROZEN][1][:] += (leaf_head(frozen_away).argmax(axis=1) == away.leaf) / count
        for name, arm in ARMS.items():
            species = labels.species[train]
            predict, taken = train_arm(arm, stage, start, maps.where(train), species, weights, recipe)
            hits[name][0][test] = predict(maps.where(test), routed[test]) == maps.leaf[test]
            hits[name][1][:] += (predict(away, routed_away) == away.leaf) / count
            steps[name] += taken / count
            print(f"fold {fold}, {name}: {hits[name][0][test].mean():.2%}, {taken} steps", file=sys.stderr, flush=True)
    return hits, steps


@torch.inference_mode()
def pooled(stage: torch.nn.Module, maps: Maps) -> np.ndarray:
    """Frozen features float32 [N, D]."""
    parts = [stage.eval()(maps.plain[start : start + 64].float()) for start in range(0, len(maps.leaf), 64)]
    features: np.ndarray = torch.cat(parts).numpy()
    return features


def fit_heads(features: np.ndarray, labels: Labels, weights: np.ndarray, taxonomy: Taxonomy) -> tuple[Linear, Linear]:
    """LDA on breeds and on species."""
    shrinkage = HeadSpec().shrinkage
    statistics = ClassStatistics.of(features, labels.leaf, weights, taxonomy.leaves)
    species = [Leaf(name, None) for name in taxonomy.species]
    return (
        fit_lda(statistics, taxonomy.leaves, shrinkage=shrinkage),
        fit_lda(statistics.by_species, species, shrinkage=shrinkage),
    )


def softened(head: Linear, features: np.ndarray, labels: Labels, weights: np.ndarray, taxonomy: Taxonomy) -> Linear:
    """The head divided by the temperature that heads fitted to the other folds need: LDA is overconfident, and would
    learn from little but its mistakes.
    """
    assigned, logits = assign_folds(labels, folds=FOLDS, seed=1), np.zeros((len(features), len(taxonomy.leaves)))
    for fold in range(FOLDS):
        rest = assigned != fold
        found, _ = fit_heads(features[rest], labels.where(rest), weights[rest], taxonomy)
        logits[~rest] = found(features[~rest])
    temperature = fit_temperature(logits, labels.leaf)
    return Linear(head.weight / temperature, head.bias / temperature)


def describe(hits: Hits, steps: dict[str, float], network: str, size: int, seconds: float, folds: int) -> str:
    """The measurements as Markdown."""
    lines = [
        f"{network} at {size} px, {folds} folds, {seconds:g} seconds of processor time for each way and fold; breed "
        "accuracy in percent, and the difference to frozen features with its 95% interval, photo by photo.",
        "",
        "| way | steps | out of fold | difference | elsewhere | difference |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, (own, away) in hits.items():
        cells = [f"{100 * own.mean():.2f}", against(own, hits[FROZEN][0])]
        cells += [f"{100 * away.mean():.2f}", against(away, hits[FROZEN][1])]
        cells = cells if name != FROZEN else [cells[0], "", cells[2], ""]
        lines.append(f"| {name} | {steps.get(name, 0):.0f} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
