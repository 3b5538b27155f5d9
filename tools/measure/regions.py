"""How many of the animals in a photo are found, how many that are none, and what each is taken for.

    python tools/measure/regions.py --data ../shared/data/elsewhere --backgrounds ../shared/data/not-pets \
        --write docs/regions.md

Photos of ``--data`` are put together without overlap and with soft edges: two to a frame, each on 20 to 60% of its
area, or three, each on 12 to 35%, on plain backgrounds and on photos without pets; and two of one breed. A region
belongs to the photo in which its middle lies. Photos are judged alone as well, and those of ``--backgrounds``. Without
``--write`` the text goes to standard output.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hierpets.data.labeled.index import read_index
from hierpets.data.listing import list_photos
from hierpets.data.photos import read_photo
from hierpets.evaluation.metrics.resampling import wilson_interval
from hierpets.inference.loading import load
from hierpets.inference.prediction import Prediction, Region
from hierpets.inference.predictor import Predictor
from hierpets.regions.boxes import Box
from hierpets.registry.loading import load_registry
from hierpets.taxonomy import Leaf
from hierpets.workers import cores
from tools.errors import in_one_line
from tools.pages.marks import publish

FRAMES = ((480, 640), (480, 720), (480, 480), (360, 640), (640, 480))  # height and width, as cameras have them
SHARES = {2: (0.2, 0.6), 3: (0.12, 0.35)}  # of the frame's area, for the photo of each of so many pets
SOFT = 0.06  # of the shorter side of a photo, over which its edge fades into the background
TRIES = 500  # arrangements at random before other photos and another frame are taken


class Pet(NamedTuple):
    """A labeled photo, RGB uint8 [H, W, 3]."""

    pixels: np.ndarray
    leaf: Leaf


@dataclass(frozen=True)
class Composite:
    """Several pets in one photo, each in its own box."""

    pixels: np.ndarray
    pets: tuple[Pet, ...]
    boxes: tuple[Box, ...]


class Met(NamedTuple):
    """What became of one composite: for each pet its regions, and how many regions belong to none."""

    regions: tuple[tuple[Region, ...], ...]
    strays: int


def compose(pets: Sequence[Pet], background: np.ndarray | None, rng: np.random.Generator) -> Composite | None:
    """Pets at random places of a frame, on a photo or one plain color; None where they do not fit together."""
    frame = FRAMES[rng.integers(len(FRAMES))]
    places = arrange([pet.pixels.shape[:2] for pet in pets], frame, rng)
    if places is None:
        return None
    height, width = frame
    if background is None:
        background = np.full((1, 1, 3), rng.integers(40, 220, 3), np.uint8)
    canvas = np.asarray(cv2.resize(background, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    for pet, place in zip(pets, places, strict=True):
        paste(canvas, pet.pixels, place)
    boxes = (Box.between(x / width, y / height, (x + w) / width, (y + h) / height) for x, y, w, h in places)
    return Composite(canvas, tuple(pets), tuple(boxes))


Place = tuple[int, int, int, int]
"""Left, top, width and height in pixels."""


def arrange(shapes: Sequence[tuple[int, int]], frame: tuple[int, int], rng: np.random.Generator) -> list[Place] | None:
    """Places for photos of these shapes that do not overlap; None if none are found."""
    for _ in range(TRIES):
        places: list[Place] = []
        for shape in shapes:
            place = _somewhere(shape, frame, rng, SHARES[len(shapes)])
            if place is None or any(_overlap(place, other) for other in places):
                break
            places.append(place)
        else:
            return places
    return None


def _somewhere(
    shape: tuple[int, int], frame: tuple[int, int], rng: np.random.Generator, shares: tuple[float, float]
) -> Place | None:
    area = rng.uniform(*shares) * frame[0] * frame[1]
    scale = (area / (shape[0] * shape[1])) ** 0.5
    height, width = round(shape[0] * scale), round(shape[1] * scale)
    if height > frame[0] or width > frame[1]:
        return None
    return int(rng.integers(frame[1] - width + 1)), int(rng.integers(frame[0] - height + 1)), width, height


def _overlap(a: Place, b: Place) -> bool:
    return all(a[i] < b[i] + b[i + 2] and b[i] < a[i] + a[i + 2] for i in (0, 1))


def paste(canvas: np.ndarray, photo: np.ndarray, place: Place) -> None:
    """Lay a photo on the canvas, in place, its edges fading."""
    x, y, width, height = place
    small = cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA)
    rows, columns = (np.minimum(np.arange(1, n + 1), np.arange(n, 0, -1)) for n in (height, width))
    opacity = (np.minimum(rows[:, None], columns) / max(1.0, SOFT * min(width, height))).clip(0, 1)[..., None]
    part = canvas[y : y + height, x : x + width]
    part[:] = np.rint(opacity * small + (1 - opacity) * part)


def meet(composite: Composite, prediction: Prediction) -> Met:
    """Which region belongs to which pet: the one in whose box its middle lies."""
    owners = [_owner(region.box, composite.boxes) for region in prediction.regions or ()]
    regions = tuple(zip(owners, prediction.regions or (), strict=True))
    own = tuple(tuple(r for owner, r in regions if owner == pet) for pet in range(len(composite.pets)))
    return Met(own, owners.count(None) + sum(max(0, len(found) - 1) for found in own))


def _owner(box: Box, boxes: Sequence[Box]) -> int | None:
    x, y = box.left + box.width / 2, box.top + box.height / 2
    inside = (i for i, b in enumerate(boxes) if b.left <= x <= b.edges[2] and b.top <= y <= b.edges[3])
    return next(inside, None)


def best_leaf(prediction: Prediction) -> Leaf | None:
    """The most probable leaf, named or not."""
    return prediction.decision.top[0][0] if prediction.decision and prediction.species else None


def is_right(regions: Sequence[Region], pet: Pet, what: Callable[[Leaf], object]) -> bool:
    """Whether the pet alone was found, and ``what`` of it is right: its species or its leaf."""
    found = [best_leaf(region.prediction) for region in regions]
    return len(found) == 1 and found[0] is not None and what(found[0]) == what(pet.leaf)


def composite_row(name: str, predictor: Predictor, composites: Sequence[Composite]) -> str:
    """A row of the table of composites."""
    answers = predictor.predict([one.pixels for one in composites], regions=True)
    met = [meet(one, answer) for one, answer in zip(composites, answers, strict=True)]
    known = [all(best_leaf(predictor.predict(pet.pixels)) == pet.leaf for pet in one.pets) for one in composites]
    breeds = [all_right(*pair, lambda leaf: leaf) for pair in zip(composites, met, strict=True)]
    cells = [
        name,
        str(len(composites)),
        share([bool(own) for one in met for own in one.regions]),
        share([all(one.regions) for one in met]),
        share([one.strays > 0 for one in met]),
        share([all_right(*pair, lambda leaf: leaf.species) for pair in zip(composites, met, strict=True)]),
        share([right for right, alone in zip(breeds, known, strict=True) if alone]),
    ]
    return f"| {' | '.join(cells)} |"


def all_right(composite: Composite, met: Met, what: Callable[[Leaf], object]) -> bool:
    """Whether each pet has one region, and that is taken for what it is."""
    return all(is_right(own, pet, what) for own, pet in zip(met.regions, composite.pets, strict=True))


def single_row(name: str, predictor: Predictor, photos: Sequence[np.ndarray]) -> str:
    """A row of the table of photos as they are."""
    counts = np.array([len(answer.regions or ()) for answer in predictor.predict(photos, regions=True)])
    cells = [name, str(len(photos)), *(share(chosen) for chosen in (counts == 0, counts == 1, counts > 1))]
    return f"| {' | '.join(cells)} |"


def share(right: Sequence[bool] | np.ndarray) -> str:
    """A share with its 95% interval."""
    interval = wilson_interval(int(np.sum(right)), len(right))
    if interval is None:
        return "none"
    return f"{np.mean(right):.1%} ({interval[0]:.0%} to {interval[1]:.0%})"


def times(predictor: Predictor, photos: Sequence[np.ndarray]) -> str:
    """What regions cost, one photo after the other."""
    predictor.predict(photos[0], regions=True)
    spent = []
    for regions in (False, True):
        start = time.perf_counter()
        for photo in photos:
            predictor.predict(photo, regions=regions)
        spent.append(1000 * (time.perf_counter() - start) / len(photos))
    return (
        f"A photo of two pets takes {spent[0]:.0f} ms without regions, {spent[1]:.0f} ms with them ({cores()} cores)."
    )


def page(predictor: Predictor, pets: Sequence[Pet], backgrounds: Sequence[np.ndarray], *, seed: int, count: int) -> str:
    """The tables."""
    rng = np.random.default_rng(seed)

    def draw(animals: int, on_photo: bool, alike: bool = False) -> Composite:
        while True:
            first = int(rng.integers(len(pets)))
            others = [i for i, pet in enumerate(pets) if i != first and (not alike or pet.leaf == pets[first].leaf)]
            if len(others) < animals - 1:
                continue
            chosen = [first, *rng.choice(others, animals - 1, replace=False).tolist()]
            background = backgrounds[int(rng.integers(len(backgrounds)))] if on_photo else None
            made = compose([pets[i] for i in chosen], background, rng)
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
    """Find animals in photos and composites, and print or write what was right."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, help="default: the released one")
    parser.add_argument("--data", required=True, help="labeled photos of one pet each, which nothing was chosen on")
    parser.add_argument("--backgrounds", required=True, help="photos without pets")
    parser.add_argument("--most", type=int, default=600, help="photos of --data, drawn at random")
    parser.add_argument("--count", type=int, default=150, help="composites of two pets on each background")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", type=Path, metavar="PAGE")
    given = parser.parse_args()
    records = [record for record in read_index(given.data).records if record.breed]
    order = np.random.default_rng(given.seed).permutation(len(records))[: given.most]
    pets = [Pet(read_photo(records[i].path), Leaf(records[i].species, records[i].breed)) for i in order.tolist()]
    # Every second one: constants were chosen on the others.
    paths = sorted(list_photos([given.backgrounds], (), load_registry()))[1::2]
    backgrounds = [read_photo(path) for path in paths]
    predictor = load(given.bundle, workers=1, recommend=False)
    text = page(predictor, pets, backgrounds, seed=given.seed, count=given.count)
    publish(text, given.write, __file__)


if __name__ == "__main__":
    sys.exit(main())
