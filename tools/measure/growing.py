"""Measure how close growing comes to retraining, what it costs the old breeds, and how long it takes.

    python tools/measure/growing.py --data ../shared/data/pets --elsewhere ../shared/data/elsewhere \
        --bundle RUN/bundle --species ../shared/data/horses --few BREEDS --write docs/growing.md

Ten breeds at a time are left out of a fit to ``--data``, then grown from ten photos of each, with statistics that were
packed as in a bundle. For comparison, heads are fitted to all these photos at once. Both are evaluated on photos that
neither saw, and on the photos from elsewhere. Then ``--bundle`` is grown by every second photo of ``--species`` and
evaluated on the others; by 1 to 31 photos of it, and evaluated on 100 others; and by three, five and ten photos of each
breed of ``--few``, and evaluated on five others. Without ``--write`` the text is printed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hierpets.bundle.manifest import read_manifest
from hierpets.config import HeadSpec
from hierpets.data.labeled.index import read_index
from hierpets.data.records import PhotoIndex, PhotoRecord
from hierpets.growing.grow import grow
from hierpets.growing.learning import class_weights
from hierpets.inference.loading import load
from hierpets.inference.prediction import Prediction
from hierpets.model.backbone import build_backbone
from hierpets.model.statistics.classes import ClassStatistics
from hierpets.model.statistics.storage import pack_statistics, unpack_statistics
from hierpets.registry.loading import load_registry
from hierpets.taxonomy import Leaf, Taxonomy
from hierpets.training.features.extractor import FeatureExtractor
from hierpets.training.frozen.held_out.folds import assign_folds
from hierpets.training.frozen.lda import fit_lda
from hierpets.workers import cores
from tools.errors import in_one_line
from tools.pages.marks import publish

BREEDS, PHOTOS, SEEDS, SHRINKAGE = 10, 10, 3, HeadSpec().shrinkage
FEW, ASKED = (3, 5, 10), 5  # photos of each breed: learned, and evaluated on
FEW_OF_SPECIES, ASKED_OF_SPECIES = (1, 3, 5, 8, 10, 20, 31), 100


class Photos(NamedTuple):
    """Features [N, D] and leaves int [N] of one taxonomy."""

    features: np.ndarray
    leaf: np.ndarray


class Round(NamedTuple):
    """The shares measured for one choice of breeds on one set of photos."""

    equal: float
    changed: float
    old_before: float
    old_after: float
    new_grown: float
    new_joint: float


def statistics(photos: Photos, rows: np.ndarray, leaves: tuple[Leaf, ...], weights: np.ndarray) -> ClassStatistics:
    """Return the class statistics of the photos ``rows``, with ``weights`` [L] by leaf."""
    leaf = photos.leaf[rows]
    return ClassStatistics.of(photos.features[rows], leaf, weights[leaf], leaves)


def top(known: ClassStatistics, photos: Photos, leaves: tuple[Leaf, ...]) -> np.ndarray:
    """Return the most probable leaf of each photo, int [N]."""
    at = np.array([leaves.index(label) for label in known.labels])
    best: np.ndarray = at[fit_lda(known, known.labels, shrinkage=SHRINKAGE)(photos.features).argmax(axis=1)]
    return best


def one_round(photos: Photos, elsewhere: Photos, tree: Taxonomy, index: PhotoIndex, seed: int) -> Iterator[Round]:
    """Grow by ten breeds; evaluate on the held-out fold, then on the photos from elsewhere."""
    generator, leaves = np.random.default_rng(seed), tree.leaves
    new = generator.choice(len(leaves), BREEDS, replace=False)
    test = assign_folds(index.labels(), folds=5, seed=seed) == 0
    is_new = np.isin(photos.leaf, new)
    few = np.concatenate([generator.permutation(np.flatnonzero(~test & (photos.leaf == k)))[:PHOTOS] for k in new])
    rows = np.flatnonzero(~test & ~is_new)
    counts = np.bincount(photos.leaf[rows], minlength=len(leaves))
    balanced = len(rows) / (len(leaves) - BREEDS) / np.maximum(counts, 1)
    old = statistics(photos, rows, leaves, balanced)
    content, spec = pack_statistics(old, shrinkage=SHRINKAGE, prior="uniform")
    kept = unpack_statistics(content, spec)
    weights = class_weights(kept, leaves, np.full(len(leaves), PHOTOS))
    grown = kept + statistics(photos, few, leaves, weights)
    joint_counts = np.bincount(photos.leaf[[*rows, *few]], minlength=len(leaves))
    joint = statistics(photos, np.array([*rows, *few]), leaves, 1 / np.maximum(joint_counts, 1))
    for judged in (Photos(photos.features[test], photos.leaf[test]), elsewhere):
        before, after, anew = (top(known, judged, leaves) for known in (old, grown, joint))
        known = ~np.isin(judged.leaf, new)
        right = {name: found == judged.leaf for name, found in (("b", before), ("a", after), ("j", anew))}
        yield Round(
            equal=float((after == anew).mean()),
            changed=float((before != after)[known].mean()),
            old_before=float(right["b"][known].mean()),
            old_after=float(right["a"][known].mean()),
            new_grown=float(right["a"][~known].mean()),
            new_joint=float(right["j"][~known].mean()),
        )


def breeds_table(data: str, elsewhere: str, backbone: str) -> str:
    """Return a Markdown table of the means over the choices of breeds."""
    index, others = read_index(data), read_index(elsewhere)
    others = replace(others, taxonomy=index.taxonomy)
    built, _ = build_backbone(load_registry(None), backbone, {})
    extractor = FeatureExtractor(built)
    photos, away = (Photos(extractor.features(i.paths), i.labels().leaf) for i in (index, others))
    rounds = [tuple(one_round(photos, away, index.taxonomy, index, seed)) for seed in range(SEEDS)]
    heading = "equal to a joint fit | old answers changed | old, before | old, after | new, grown | new, joint fit"
    lines = [f"| photos | {heading} |", "|---|---|---|---|---|---|---|"]
    for name, column in zip(("held out of the data", "from elsewhere"), zip(*rounds, strict=True), strict=True):
        means = [f"{100 * float(np.mean(values)):.1f}%" for values in zip(*column, strict=True)]
        lines.append(f"| {name} | {' | '.join(means)} |")
    return "\n".join(lines)


def species_text(bundle: Path, species: Path, elsewhere: str) -> str:
    """Grow a bundle by every second photo of a folder; return a Markdown table of its answers for the others."""
    with tempfile.TemporaryDirectory() as scratch:
        new, asked = Path(scratch) / "new", []
        for number, record in enumerate(read_index(species).records):
            if number % 2:
                asked.append(record)
                continue
            _link(record, new)
        began, used = time.monotonic(), time.process_time()
        grown = grow(bundle, new, out=Path(scratch) / "bundle")
        seconds, processor = time.monotonic() - began, time.process_time() - used
        before, after = (load(b, precision="f32", workers=cores(), recommend=False) for b in (bundle, grown.bundle))
        told = [p.decision for p in after.stream([record.path for record in asked]) if p.decision]
        old = read_index(elsewhere).paths
        pairs = list(zip(before.stream(old), after.stream(old), strict=True))
    name = asked[0].species
    right = np.mean([d.species == name for d in told])
    breed = np.mean([d.breed == record.breed for d, record in zip(told, asked, strict=True)])
    unknown = np.mean([d.level == "unknown" for d in told])
    mistaken = np.mean([after.species == name for _, after in pairs])
    changed = np.mean([_answer(a) != _answer(b) for a, b in pairs])
    rows = {
        f"photos of {name} learned, of {len(grown.photos)} breeds": f"{sum(grown.photos.values())}",
        "seconds after start-up": f"{seconds:.1f}",
        "seconds of processor time": f"{processor:.1f}",
        f"other photos of {name}, told to be a {name}": f"{right:.1%} of {len(told)}",
        "the most probable breed is right": f"{breed:.1%}",
        "answered as unknown": f"{unknown:.1%}",
        f"photos of other species from elsewhere, taken for a {name}": f"{mistaken:.1%} of {len(pairs)}",
        "with another answer than before": f"{changed:.1%}",
    }
    return "\n".join(["| measured | |", "|---|---|", *(f"| {what} | {value} |" for what, value in rows.items())])


def few_of_species_table(bundle: Path, species: Path) -> str:
    """Return a Markdown table of the answers for a species that a bundle was grown by from a few photos, as means over
    ``SEEDS`` random choices of photos.
    """
    lines = ["| photos given | learned | told as the species | as another | unknown |", "|---|---|---|---|---|"]
    records = read_index(species).records
    for few in (0, *FEW_OF_SPECIES):
        rounds = [_answers_for_species(few, bundle, records, seed) for seed in range(SEEDS if few else 1)]
        learned, *shares = np.mean(rounds, axis=0)
        cells = [f"{few or 'none'}", f"{learned:.0f}", *(f"{share:.0%}" for share in shares)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _answers_for_species(few: int, bundle: Path, records: Sequence[PhotoRecord], seed: int) -> tuple[float, ...]:
    """Return how many of ``few`` photos were learned, and the shares of other photos that are answered with their
    species, with another one, and as unknown.
    """
    mixed = [records[at] for at in np.random.default_rng(seed).permutation(len(records))]
    asked, learned = mixed[:ASKED_OF_SPECIES], 0
    with tempfile.TemporaryDirectory() as scratch:
        model = bundle
        if few:
            for record in mixed[ASKED_OF_SPECIES : ASKED_OF_SPECIES + few]:
                _link(record, Path(scratch) / "new")
            grown = grow(bundle, Path(scratch) / "new", out=Path(scratch) / "bundle")
            model, learned = grown.bundle, sum(grown.photos.values())
        answers = load(model, workers=cores(), recommend=False).predict([record.path for record in asked])
    known = [answer for answer in answers if answer.level != "unknown"]
    right = sum(answer.species == asked[0].species for answer in known)
    return learned, *(count / len(answers) for count in (right, len(known) - right, len(answers) - len(known)))


def few_table(bundle: Path, breeds: Path) -> str:
    """Return a Markdown table of how many photos are named a breed, and how many of these correctly, after growing by a
    few photos of each breed. Breeds known from pretraining and the others are grown separately, with ``SEEDS`` random
    choices of photos.
    """
    photos: dict[Leaf, list[PhotoRecord]] = defaultdict(list)
    for record in read_index(breeds).records:
        photos[record.label].append(record)
    known = read_manifest(bundle).pretrained
    parts = {
        "known from pretraining": {leaf: own for leaf, own in photos.items() if leaf in known},
        "new": {leaf: own for leaf, own in photos.items() if leaf not in known},
    }
    lines = [
        f"| photos of a breed | {' | '.join(f'{name}: named, right of these' for name in parts)} |",
        "|---|---|---|",
    ]
    for few in (0, *FEW):
        cells = [_named(few, bundle, own) for own in parts.values()]
        lines.append(f"| {few or 'none'} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _named(few: int, bundle: Path, photos: dict[Leaf, list[PhotoRecord]]) -> str:
    """Return the share of other photos that a bundle grown by ``few`` of each breed names, and how many are right."""
    right = []
    for seed in range(SEEDS):
        order = np.random.default_rng(seed)
        mixed = [[own[at] for at in order.permutation(len(own))] for own in photos.values()]
        asked = [record for own in mixed for record in own[:ASKED]]
        with tempfile.TemporaryDirectory() as scratch:
            for record in (record for own in mixed for record in own[ASKED : ASKED + few]):
                _link(record, Path(scratch) / "new")
            model = grow(bundle, Path(scratch) / "new", out=Path(scratch) / "bundle").bundle if few else bundle
            predictor = load(model, workers=cores(), recommend=False)
            answers = predictor.predict([record.path for record in asked])
        right += [a.breed == r.breed if a.breed else None for a, r in zip(answers, asked, strict=True)]
    named = [correct for correct in right if correct is not None]
    return f"{len(named) / len(right):.0%}, {np.mean(named):.0%}" if named else "none"


def _link(record: PhotoRecord, folder: Path) -> None:
    """Link a photo into the folder of its label."""
    link = folder.joinpath(*filter(None, (record.species, record.breed)), Path(record.path).name)
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(Path(record.path).resolve())


def _answer(prediction: Prediction) -> tuple[str | None, ...]:
    """Return the level, the species unless that is unknown, and the breed."""
    level = prediction.level
    return level, None if level == "unknown" else prediction.species, prediction.breed


@in_one_line
def main() -> int:
    """Run all measurements and print or write the text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="labeled photos of many breeds")
    parser.add_argument("--elsewhere", required=True, help="labeled photos of the same breeds from another source")
    parser.add_argument("--backbone", default="efficientnet_lite2")
    parser.add_argument("--bundle", type=Path, required=True, help="a bundle that was trained on --data")
    parser.add_argument("--species", type=Path, required=True, help="labeled photos of a species that is new to it")
    parser.add_argument(
        "--few", type=Path, required=True, help="labeled photos of breeds that --bundle was not trained on"
    )
    parser.add_argument("--write", type=Path, metavar="PAGE")
    given = parser.parse_args()
    text = "\n\n".join(
        (
            breeds_table(given.data, given.elsewhere, given.backbone),
            species_text(given.bundle, given.species, given.elsewhere),
            few_of_species_table(given.bundle, given.species),
            few_table(given.bundle, given.few),
        )
    )
    publish(text, given.write, __file__)
    return 0


if __name__ == "__main__":
    sys.exit(main())
