"""Whether hard photos are told better when the network looks again at where it saw the animal.

    python tools/measure_second_look.py --data ../shared/data/pets --elsewhere ../shared/data/elsewhere \
        [--weights tuned/lite2] [--write docs/experiments.md]

The pretrained head is linear on pooled features, so what it says of each place of the last feature map is known: where
its cats and dogs are, there the photo is cropped, and the logits of both looks are averaged, of all photos or of those
whose best breed is less probable than a threshold. Heads are fitted to whole photos and asked out of fold; with
``--weights`` (``tools/tune_backbone.py``), each fold on the backbone that was tuned without it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hierpets.config import HeadSpec
from hierpets.data.labeled.index import read_index
from hierpets.data.photos import read_photo
from hierpets.data.records import PhotoIndex
from hierpets.data.transforms import apply
from hierpets.hierarchy.calibration import fit_temperature
from hierpets.hierarchy.probabilities import log_softmax
from hierpets.model.backbone import build_backbone
from hierpets.model.statistics.classes import ClassStatistics
from hierpets.plugin import Backbone
from hierpets.registry.loading import load_registry
from hierpets.training.features.extractor import FeatureExtractor
from hierpets.training.frozen.held_out.folds import assign_folds
from hierpets.training.frozen.lda import fit_lda
from plugins.samplers.balanced import breed_balanced
from tools.pages.intervals import against
from tools.pages.marks import publish

FOLDS = 5
THRESHOLDS = (0.5, 0.7, 0.9, 0.97, 1.0)  # 1: every photo is looked at again
SHARES = (0.3, 0.5, 0.7)  # of the peak, what still counts as the animal


def main() -> int:
    """Look once and twice, and print or write what was right."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="SPECIES/BREED/photo.jpg: the photos in folds")
    parser.add_argument("--elsewhere", required=True, help="photos of the same breeds that are only measured on")
    parser.add_argument("--weights", type=Path, help="all.safetensors and fold0.safetensors to fold4.safetensors")
    parser.add_argument("--write", type=Path, help="the page that keeps the table")
    given = parser.parse_args()
    index = read_index(given.data)
    others = read_index(given.elsewhere, taxonomy=index.taxonomy)
    text = describe(measure(index, others, given.weights))
    publish(text, given.write, __file__)
    return 0


Logits = dict[str, np.ndarray]
"""[N, L] of whole photos under ``""``, of their crops under the share of the peak."""


def measure(index: PhotoIndex, others: PhotoIndex, weights: Path | None) -> list[tuple[str, Logits, np.ndarray]]:
    """What heads say out of fold, and what those fitted to all photos say of photos from elsewhere."""
    labels = index.labels()
    folds = assign_folds(labels, folds=FOLDS, seed=0)
    own: Logits = {}
    for fold in range(FOLDS):
        for name, values in ask(backbone(weights, f"fold{fold}"), index, folds != fold, index, folds == fold).items():
            own.setdefault(name, np.zeros((len(folds), values.shape[1])))[folds == fold] = values
    away = ask(backbone(weights, "all"), index, np.ones(len(index), bool), others, np.ones(len(others), bool))
    return [("out of fold", own, labels.leaf), ("elsewhere", away, others.labels().leaf)]


def backbone(weights: Path | None, name: str) -> Backbone:
    """The backbone, with tuned weights if there are some."""
    file = weights / f"{name}.safetensors" if weights else None
    return build_backbone(load_registry(), "efficientnet_lite2", {"size": 288, "crop": 1.0}, file)[0]


def ask(built: Backbone, learned: PhotoIndex, train: np.ndarray, asked: PhotoIndex, test: np.ndarray) -> Logits:
    """Logits of every look at the photos of ``asked`` where ``test`` is true, by a head fitted to whole photos of
    ``learned`` where ``train`` is true.
    """
    labels, taxonomy = learned.labels().where(train), learned.taxonomy
    features = FeatureExtractor(built).features(learned.paths)[train]
    statistics = ClassStatistics.of(features, labels.leaf, breed_balanced(labels), taxonomy.leaves)
    head = fit_lda(statistics, taxonomy.leaves, shrinkage=HeadSpec().shrinkage)
    looks: dict[str, list[np.ndarray]] = {"": [], **{f"{share:g}": [] for share in SHARES}}
    for number, found in enumerate(_looks(built, [asked.paths[row] for row in np.flatnonzero(test)])):
        for name, vector in zip(looks, found, strict=True):
            looks[name].append(vector)
        if number % 100 == 0:
            print(f"{number} of {test.sum()}", file=sys.stderr, flush=True)
    return {name: head(np.stack(vectors)) for name, vectors in looks.items()}


@torch.inference_mode()
def _looks(built: Backbone, paths: list[str]) -> Iterator[np.ndarray]:
    """Features [1 + shares, D] of each photo: of the whole, then of its crops."""
    assert built.pretrained_head is not None
    module: Any = built.module.eval()
    head = built.pretrained_head
    classes = torch.tensor(sorted({k for s in ("cat", "dog") for k in head.species_classes[s]}))
    for path in paths:
        photo = read_photo(path)
        feature_map = module.forward_features(_input(built, photo))[0]
        heat = pet_mass(feature_map, head.head, classes)
        crops = module(torch.cat([_input(built, crop_to(photo, heat, share)) for share in SHARES]))
        yield torch.cat([feature_map.mean(dim=(1, 2))[None], crops]).numpy()


def _input(built: Backbone, photo: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(apply(built.preprocess, photo))[None]


def pet_mass(feature_map: torch.Tensor, head: nn.Linear, classes: torch.Tensor) -> np.ndarray:
    """[H, W]: the probability that the head gives to cats and dogs at each place of a map [D, H, W]."""
    logits = head(feature_map.flatten(1).T)
    mass: np.ndarray = logits.softmax(dim=1)[:, classes].sum(dim=1).reshape(feature_map.shape[1:]).numpy()
    return mass


def crop_to(photo: np.ndarray, heat: np.ndarray, share: float) -> np.ndarray:
    """The square part of a photo [H, W, 3] around the places of at least a ``share`` of the peak, half a place wider.

    The map shows the square in the middle of the photo, as the preprocessing does.
    """
    height, width = photo.shape[:2]
    side = min(height, width)
    top, left = (height - side) / 2, (width - side) / 2
    rows, columns = (np.flatnonzero((heat >= share * heat.max()).any(axis=axis)) for axis in (1, 0))
    place = side / len(heat)
    middle = [(line[0] + line[-1] + 1) / 2 * place for line in (rows, columns)]
    wanted = min(side, (max(line[-1] - line[0] + 1 for line in (rows, columns)) + 1) * place)
    y = int(np.clip(top + middle[0] - wanted / 2, 0, height - wanted))
    x = int(np.clip(left + middle[1] - wanted / 2, 0, width - wanted))
    size = max(1, int(wanted))
    return np.ascontiguousarray(photo[y : y + size, x : x + size])


def describe(parts: Sequence[tuple[str, Logits, np.ndarray]]) -> str:
    """The measurements as Markdown."""
    lines = [
        "Breed accuracy in percent; `again` is the share of photos that are looked at a second time; the difference to "
        "one look comes with its 95% interval, photo by photo.",
        "",
        "| photos | share of the peak | threshold | again | breed | difference |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    temperature = fit_temperature(parts[0][1][""], parts[0][2])
    for where, logits, leaf in parts:
        once = logits[""].argmax(axis=1) == leaf
        sure = np.exp(log_softmax(logits[""] / temperature)).max(axis=1)
        lines.append(f"| {where} | one look | | 0% | {100 * once.mean():.2f} | |")
        for share in [name for name in logits if name]:
            for threshold in THRESHOLDS:
                again = sure < threshold if threshold < 1 else np.ones(len(leaf), bool)
                both = np.where(again[:, None], logits[""] + logits[share], logits[""])
                right = both.argmax(axis=1) == leaf
                cells = [f"{again.mean():.0%}", f"{100 * right.mean():.2f}", against(right, once)]
                lines.append(f"| {where} | {share} | {threshold:g} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
