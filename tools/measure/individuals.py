"""Measure how several photos of the same animal bias accuracies, and whether they are detected (docs/data.md).

    python tools/measure/individuals.py --data ../shared/data/pets --elsewhere ../shared/data/elsewhere \
        [--write docs/experiments.md]

A few photos of each breed stand for animals, and several shots are made of each: cropped a little differently, rotated,
brighter or darker. Heads are cross-validated on the shots: with the shots of an animal spread over the folds, with
shots that are detected as too alike kept in one fold, and with all shots of an animal kept in one fold. The other
photos of the breeds show the true accuracy of heads fitted to all shots. Photos from elsewhere, which nothing was
chosen on or fitted to, only measure the detection of shots.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hierpets.config import HeadSpec
from hierpets.data.labeled.index import read_index
from hierpets.data.labeled.split import draw_evenly
from hierpets.data.photos import read_photo
from hierpets.data.records import PhotoIndex, PhotoRecord
from hierpets.model.backbone import build_backbone
from hierpets.model.heads import Linear
from hierpets.model.statistics.classes import ClassStatistics
from hierpets.plugin import Labels
from hierpets.registry.loading import load_registry
from hierpets.training.features.extractor import FeatureExtractor
from hierpets.training.features.individuals import find_individuals, likeness_of_shots
from hierpets.training.frozen.held_out.folds import assign_folds
from hierpets.training.frozen.lda import fit_lda
from plugins.samplers.balanced import breed_balanced
from tools.errors import in_one_line
from tools.pages.marks import publish

BACKBONES = ("efficientnet_lite0", "efficientnet_lite2")
ANIMALS, SHOTS, FOLDS, DRAWS = 6, 5, 5, 3


@in_one_line
def main() -> int:
    """Print or write a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="SPECIES/BREED/photo.jpg, each photo of another animal")
    parser.add_argument("--elsewhere", required=True, help="photos of other sources, to measure how shots are detected")
    parser.add_argument("--write", type=Path, help="the page that keeps the table")
    given = parser.parse_args()
    index, others = read_index(given.data), read_index(given.elsewhere)
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryDirectory() as away:
        shots = list(take_shots(index, Path(home), DRAWS * ANIMALS))
        rows = [measure(index, replace(index, records=tuple(shots)), name) for name in BACKBONES]
        strange = replace(others, records=tuple(take_shots(others, Path(away), len(others))))
        elsewhere = [(name, look_for_shots(strange, name)) for name in BACKBONES]
    publish(f"{describe(rows)}\n\n{describe_elsewhere(elsewhere, len(others))}", given.write, __file__)
    return 0


def take_shots(index: PhotoIndex, folder: Path, most: int) -> Iterator[PhotoRecord]:
    """Write shots of at most ``most`` random photos of each breed to the folder; yield their records, each with its
    photo as the individual.
    """
    taken: dict[object, int] = {}
    for number, record in enumerate(draw_evenly(index)):
        taken[record.label] = taken.get(record.label, 0) + 1
        if taken[record.label] <= most:
            photo = read_photo(record.path)
            for shot in range(SHOTS):
                path = folder / f"{number}-{shot}.jpg"
                cv2.imwrite(str(path), take_shot(photo, np.random.default_rng([number, shot]))[..., ::-1])
                yield replace(record, path=str(path), individual=record.path)


def take_shot(photo: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Change a photo [H, W, 3] like another one of the same burst: crop to 82 to 98% of each side, rotate by up to 6
    degrees, change contrast by up to 10% and brightness by up to 12 of 255.
    """
    height, width = (int(side * generator.uniform(0.82, 0.98)) for side in photo.shape[:2])
    top, left = generator.integers(0, photo.shape[0] - height + 1), generator.integers(0, photo.shape[1] - width + 1)
    cut = photo[top : top + height, left : left + width]
    lit = cv2.convertScaleAbs(cut, alpha=generator.uniform(0.9, 1.1), beta=generator.uniform(-12, 12))
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), generator.uniform(-6, 6), 1)
    return cv2.warpAffine(lit, turn, (width, height), borderMode=cv2.BORDER_REFLECT)


Measured = dict[str, float]


def measure(index: PhotoIndex, shots: PhotoIndex, name: str) -> tuple[str, Measured]:
    """Measure one backbone; return its name, and means in percent over draws of different animals."""
    extractor = FeatureExtractor(build_backbone(load_registry(), name, {})[0])
    of_photos, of_shots = extractor.features(index.paths), extractor.features(shots.paths)
    order = {path: number for number, path in enumerate(dict.fromkeys(r.individual for r in shots.records))}
    turn = np.array([order[record.individual] // len(index.taxonomy.leaves) // ANIMALS for record in shots.records])
    drawn = []
    for draw in range(DRAWS):
        chosen = np.flatnonzero(turn == draw)
        used = {shots.records[row].individual for row in chosen}
        rest = np.array([record.path not in used for record in index.records])
        labels = shots.labels().where(chosen)
        within = likeness_of_shots(extractor, [shots.paths[row] for row in chosen], of_shots[chosen])
        found = find_individuals(of_shots[chosen], labels.classes, within=within)
        drawn.append(judge(of_shots[chosen], labels, found, of_photos[rest], index.labels().where(rest), index))
    return name, {key: 100 * float(np.mean([one[key] for one in drawn])) for key in drawn[0]}


def judge(
    shots: np.ndarray, labels: Labels, found: np.ndarray, others: np.ndarray, true: Labels, index: PhotoIndex
) -> Measured:
    """Return the cross-validated accuracy by grouping, the accuracy on other photos, and how shots are grouped."""
    alone = replace(labels, groups=None)
    accuracies = {
        "apart": cross_validate(shots, alone, index),
        "found": cross_validate(shots, replace(labels, groups=found), index),
        "stated": cross_validate(shots, labels, index),
        "others": float((fit(shots, labels, index)(others).argmax(axis=1) == true.leaf).mean()),
    }
    return accuracies | compare(labels, found)


def look_for_shots(shots: PhotoIndex, name: str) -> Measured:
    """Which shots are found together, percent."""
    extractor = FeatureExtractor(build_backbone(load_registry(), name, {})[0])
    features, labels = extractor.features(shots.paths), shots.labels()
    within = likeness_of_shots(extractor, shots.paths, features)
    found = find_individuals(features, labels.classes, within=within)
    return {key: 100 * share for key, share in compare(labels, found).items()}


def compare(labels: Labels, found: np.ndarray) -> Measured:
    """The share of shots that are ``found`` together with another of the same animal, and with one of another."""
    assert labels.groups is not None
    same, joined = (groups[:, None] == groups for groups in (labels.groups, found))
    with_a_stranger = (joined & ~same).any(axis=1)
    np.fill_diagonal(same, False)
    return {
        "with another": float((joined & same).any(axis=1).mean()),
        "with a stranger": float(with_a_stranger.mean()),
    }


def cross_validate(features: np.ndarray, labels: Labels, index: PhotoIndex) -> float:
    """Return the cross-validated breed accuracy."""
    folds = assign_folds(labels, folds=FOLDS, seed=0)
    right = np.zeros(len(labels), bool)
    for fold in range(FOLDS):
        held = folds == fold
        head = fit(features[~held], labels.where(~held), index)
        right[held] = head(features[held]).argmax(axis=1) == labels.leaf[held]
    return float(right.mean())


def fit(features: np.ndarray, labels: Labels, index: PhotoIndex) -> Linear:
    """Fit a head for breeds."""
    leaves = index.taxonomy.leaves
    statistics = ClassStatistics.of(features, labels.leaf, breed_balanced(labels), leaves)
    return fit_lda(statistics, leaves, shrinkage=HeadSpec().shrinkage)


def describe(rows: list[tuple[str, Measured]]) -> str:
    """Return the table, and a sentence on how it was measured."""
    lines = [
        f"{ANIMALS} animals of each breed with {SHOTS} shots each, {DRAWS} draws of other animals; LDA, accuracy of "
        "breeds in percent, cross-validated on the shots and measured on the photos of all other animals. The last "
        "columns are shots, in percent, that are found together with another of the same animal, and with one of "
        "another animal.",
        "",
        "| backbone | shots dealt one by one | those found kept together | all of an animal kept together "
        "| other animals | found | with a stranger |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    columns = ("apart", "found", "stated", "others", "with another", "with a stranger")
    lines += [f"| {name} | {' | '.join(f'{row[column]:.1f}' for column in columns)} |" for name, row in rows]
    return "\n".join(lines)


def describe_elsewhere(rows: list[tuple[str, Measured]], photos: int) -> str:
    """Return a sentence with the results of each backbone."""
    found = "; ".join(
        f"{name}: {row['with another']:.1f}% with another shot of the same photo, {row['with a stranger']:.1f}% with "
        "one of another photo"
        for name, row in rows
    )
    return f"Of {SHOTS} shots each of all {photos} photos from elsewhere are found together, {found}."


if __name__ == "__main__":
    sys.exit(main())
