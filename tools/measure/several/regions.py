"""Measure how many animals in a photo are found, how many regions show none, and how each is classified.

    python tools/measure/several/regions.py --data ../shared/data/elsewhere --backgrounds ../shared/data/not-pets \
        --write docs/regions.md

Photos of ``--data`` are composed without overlap and with soft edges: two in a frame, each on 20 to 60% of its area, or
three, each on 12 to 35%, on plain backgrounds and on photos without pets; and two of one breed. A region belongs to the
photo that contains its center. Single photos and those of ``--backgrounds`` are measured as well. Without ``--write``
the text is printed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from hierpets.evaluation.metrics.resampling import wilson_interval
from hierpets.inference.loading import load
from hierpets.inference.prediction import Prediction, Region
from hierpets.inference.predictor import Predictor
from hierpets.regions.boxes import Box
from hierpets.taxonomy import Leaf
from hierpets.workers import cores
from tools.errors import in_one_line
from tools.measure.several.composites import (
    Composite,
    Pet,
    compose,
    milliseconds,
    read_arguments,
    read_backgrounds,
    read_pets,
)
from tools.pages.marks import publish

SHARES = {2: (0.2, 0.6), 3: (0.12, 0.35)}  # of the frame's area for each photo, by the number of pets


class Matches(NamedTuple):
    """The regions of each pet in one composite, and how many regions are too many."""

    regions: tuple[tuple[Region, ...], ...]
    strays: int


def match_regions(composite: Composite, prediction: Prediction) -> Matches:
    """Assign each region to the pet whose box contains its center."""
    owners = [_owner(region.box, composite.boxes) for region in prediction.regions or ()]
    regions = tuple(zip(owners, prediction.regions or (), strict=True))
    own = tuple(tuple(r for owner, r in regions if owner == pet) for pet in range(len(composite.pets)))
    return Matches(own, owners.count(None) + sum(max(0, len(found) - 1) for found in own))


def _owner(box: Box, boxes: Sequence[Box]) -> int | None:
    x, y = box.left + box.width / 2, box.top + box.height / 2
    inside = (i for i, b in enumerate(boxes) if b.left <= x <= b.edges[2] and b.top <= y <= b.edges[3])
    return next(inside, None)


def best_leaf(prediction: Prediction) -> Leaf | None:
    """Return the most probable leaf, even if it is not the answer."""
    return prediction.decision.top[0][0] if prediction.decision and prediction.species else None


def is_right(regions: Sequence[Region], pet: Pet, what: Callable[[Leaf], object]) -> bool:
    """Return whether the pet has exactly one region, and ``what`` (its species or its leaf) is right."""
    found = [best_leaf(region.prediction) for region in regions]
    return len(found) == 1 and found[0] is not None and what(found[0]) == what(pet.leaf)


def composite_row(name: str, predictor: Predictor, composites: Sequence[Composite]) -> str:
    """Return a row of the table of composites."""
    answers = predictor.predict([one.pixels for one in composites], regions=True)
    matched = [match_regions(one, answer) for one, answer in zip(composites, answers, strict=True)]
    known = [all(best_leaf(predictor.predict(pet.pixels)) == pet.leaf for pet in one.pets) for one in composites]
    breeds = [all_right(*pair, lambda leaf: leaf) for pair in zip(composites, matched, strict=True)]
    cells = [
        name,
        str(len(composites)),
        share([bool(own) for one in matched for own in one.regions]),
        share([all(one.regions) for one in matched]),
        share([one.strays > 0 for one in matched]),
        share([all_right(*pair, lambda leaf: leaf.species) for pair in zip(composites, matched, strict=True)]),
        share([right for right, alone in zip(breeds, known, strict=True) if alone]),
    ]
    return f"| {' | '.join(cells)} |"


def all_right(composite: Composite, matched: Matches, what: Callable[[Leaf], object]) -> bool:
    """Return whether each pet has exactly one region, and ``what`` is right for all."""
    return all(is_right(own, pet, what) for own, pet in zip(matched.regions, composite.pets, strict=True))


def single_row(name: str, predictor: Predictor, photos: Sequence[np.ndarray]) -> str:
    """Return a row of the table of single photos."""
    counts = np.array([len(answer.regions or ()) for answer in predictor.predict(photos, regions=True)])
    cells = [name, str(len(photos)), *(share(chosen) for chosen in (counts == 0, counts == 1, counts > 1))]
    return f"| {' | '.join(cells)} |"


def share(right: Sequence[bool] | np.ndarray) -> str:
    """Format a share with its 95% interval."""
    interval = wilson_interval(int(np.sum(right)), len(right))
    if interval is None:
        return "none"
    return f"{np.mean(right):.1%} ({interval[0]:.0%} to {interval[1]:.0%})"


def times(predictor: Predictor, photos: Sequence[np.ndarray]) -> str:
    """Measure the time with and without regions, one photo after the other."""
    alone, regions = (milliseconds(partial(predictor.predict, regions=asked), photos) for asked in (False, True))
    return f"A photo of two pets takes {alone:.0f} ms without regions, {regions:.0f} ms with them ({cores()} cores)."


def page(predictor: Predictor, pets: Sequence[Pet], backgrounds: Sequence[np.ndarray], *, seed: int, count: int) -> str:
    """Return the tables."""
    rng = np.random.default_rng(seed)

    def draw(animals: int, on_photo: bool, alike: bool = False) -> Composite:
        while True:
            first = int(rng.integers(len(pets)))
            others = [i for i, pet in enumerate(pets) if i != first and (not alike or pet.leaf == pets[first].leaf)]
            if len(others) < animals - 1:
                continue
            chosen = [first, *rng.choice(others, animals - 1, replace=False).tolist()]
            background = backgrounds[int(rng.integers(len(backgrounds)))] if on_photo else None
            made = compose([pets[i] for i in chosen], [SHARES[animals]] * animals, background, rng)
            if made is not None:
                return made

    kinds = [
        ("two, plain", partial(draw, 2, False), count),
        ("two, on a photo", partial(draw, 2, True), count),
        ("two of one breed", partial(draw, 2, True, True), count // 2),
        ("three, plain", partial(draw, 3, False), count // 2),
        ("three, on a photo", partial(draw, 3, True), count // 2),
    ]
    sets = {name: [make() for _ in range(many)] for name, make, many in kinds}
    composites = [composite_row(name, predictor, made) for name, made in sets.items()]
    singles = [
        single_row("one pet", predictor, [pet.pixels for pet in pets]),
        single_row("no pet", predictor, backgrounds),
    ]
    return "\n".join(
        [
            "| pets | photos | pets found | all found | a region too many | all species right | all breeds right, "
            "where each is right alone |",
            "|---|---|---|---|---|---|---|",
            *composites,
            "",
            "| photos | number | no region | one | several |",
            "|---|---|---|---|---|",
            *singles,
            "",
            times(predictor, [made.pixels for made in sets["two, on a photo"][:50]]),
        ]
    )


@in_one_line
def main() -> None:
    """Find animals in photos and composites, and print or write the tables."""
    given = read_arguments(__doc__, most=600, count=150, what="composites of two pets on each background")
    pets = read_pets(given.data, given.most, given.seed)
    backgrounds = read_backgrounds(given.backgrounds)
    predictor = load(given.bundle, workers=1, recommend=False)
    text = page(predictor, pets, backgrounds, seed=given.seed, count=given.count)
    publish(text, given.write, __file__)


if __name__ == "__main__":
    sys.exit(main())
