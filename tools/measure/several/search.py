"""Compare searches for other animals: which finds a cat beside a dog, and none where there is none
(docs/experiments.md).

    python tools/measure/several/search.py --data ../shared/data/pets --backgrounds ../shared/data/not-pets \
        --write docs/experiments.md

Photos of a dog and a cat, of two dogs, and of a single dog are composed as in ``bystanders.py``, on the other half of
the backgrounds. Only photos count that the network classifies as a dog, with almost no probability of a cat: for
other photos, the search makes no difference. Without ``--write`` the table is printed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from hierpets.hierarchy.probabilities import species_probabilities
from hierpets.inference.detector.bystanders import SEARCH, Bystanders, Judge, SearchRule
from hierpets.inference.detector.network import Detector
from hierpets.inference.loading import load
from hierpets.inference.predictor import Predictor
from hierpets.recommend.choose import DEFAULT_BOUND
from tools.errors import in_one_line
from tools.measure.several.bystanders import CATS, SECOND, draw_composites, put_before
from tools.measure.several.composites import Pet, Share, compose, read_arguments, read_backgrounds, read_pets
from tools.pages.marks import publish

ALONE: Share = (0.1, 0.6)
WHOLE, HALVES = (1.0, 1.0), (0.6, 1.0)
SEARCHES = {
    "whole photo, detector alone": SearchRule(view=WHOLE, min_probability=0),
    "whole photo, detector alone, 0.2": SearchRule(view=WHOLE, min_score=0.2, min_probability=0),
    "whole photo, 0.02": SearchRule(view=WHOLE, min_score=0.02),
    "whole photo": SearchRule(view=WHOLE),
    "and halves, 0.02": SearchRule(view=HALVES, min_score=0.02),
    "and halves": SearchRule(view=HALVES),
    "and lower halves, 0.02": SearchRule(min_score=0.02),
    "**and lower halves**": SEARCH,
    "and lower halves, 0.05": SearchRule(min_score=0.05),
    "and lower halves, one box": SearchRule(max_boxes=1),
    "and lower halves, six boxes": SearchRule(max_boxes=6),
    "and lower halves, network from 0.001": SearchRule(min_probability=0.001),
    "and lower halves, network from 0.5": SearchRule(min_probability=0.5),
}


def draw(
    pets: Sequence[Pet], backgrounds: Sequence[np.ndarray], rng: np.random.Generator, count: int
) -> dict[str, list[np.ndarray]]:
    """Draw photos of each kind."""
    dogs, cats = ([pet for pet in pets if pet.leaf.species == species] for species in ("dog", "cat"))
    small, large = (draw_composites(dogs, cats, share, backgrounds, rng, count) for share in CATS.values())
    alone: list[np.ndarray] = []
    while len(alone) < count:
        background = backgrounds[int(rng.integers(len(backgrounds)))]
        one = compose([dogs[int(rng.integers(len(dogs)))]], [ALONE], background, rng)
        if one is not None:
            alone.append(one.pixels)
    return {
        "small cat": small,
        "larger cat": large,
        "cat before a dog": put_before(dogs, cats, rng, count),
        "dog alone": [pet.pixels for pet in dogs[:count]],
        "dog on 10 to 60%": alone,
        "two dogs": draw_composites(dogs, dogs, SECOND, backgrounds, rng, count),
    }


def taken_for_dogs(predictor: Predictor, photos: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return the photos for which a product that harms cats may be recommended without a search."""
    tree = predictor.manifest.taxonomy
    cat = tree.species_index("cat")
    answers = predictor.predict(photos)
    masses = (species_probabilities(one.joint, tree) for one in answers if one.joint is not None)
    pairs = zip(photos, answers, masses, strict=True)
    return [photo for photo, one, mass in pairs if one.species == "dog" and mass[cat] <= DEFAULT_BOUND]


def found_in(photos: Sequence[np.ndarray], search: Bystanders, judge: Judge) -> int:
    """Count the photos of a dog in which a search finds another animal."""
    return sum(bool(search(partial(np.asarray, photo), judge, "dog").any()) for photo in photos)


def table(predictor: Predictor, kinds: dict[str, list[np.ndarray]]) -> str:
    """Return a table of the number of photos of each kind in which each search finds another animal."""
    species, judge, detector = predictor.manifest.taxonomy.species, predictor.cascade.judge, Detector()
    lines = [f"| search | {' | '.join(kinds)} |", f"|---|{'---|' * len(kinds)}"]
    lines.append(f"| number of photos | {' | '.join(str(len(photos)) for photos in kinds.values())} |")
    for name, rule in SEARCHES.items():
        search = Bystanders(detector, species, rule)
        counts = (found_in(photos, search, judge) for photos in kinds.values())
        lines.append(f"| {name} | {' | '.join(map(str, counts))} |")
    return "\n".join(lines)


@in_one_line
def main() -> None:
    """Count and print or write the table."""
    given = read_arguments(__doc__, most=900, count=200, what="photos of each kind")
    rng = np.random.default_rng(given.seed)
    pets = read_pets(given.data, given.most, given.seed)
    backgrounds = read_backgrounds(given.backgrounds, half=0)
    predictor = load(given.bundle, recommend=False)
    kinds = {name: taken_for_dogs(predictor, some) for name, some in draw(pets, backgrounds, rng, given.count).items()}
    publish(table(predictor, kinds), given.write, __file__)


if __name__ == "__main__":
    sys.exit(main())
