"""Measure how many photos of a dog beside a cat still get a product that harms cats (docs/care.md).

    python tools/measure/several/bystanders.py --data ../shared/data/elsewhere --backgrounds ../shared/data/not-pets \
        --write docs/care.md

A photo of a dog, on 20 to 60% of the frame, and a smaller or larger one of a cat are composed on a photo without pets;
or a cat is placed in front of a dog. A rule recommends to every dog a product that harms cats. The tool counts photos
for which that product is still recommended: without and with the search for other animals, and with ``--regions``. It
also measures photos of two dogs and of single dogs, and the time of the search. Without ``--write`` it prints the text.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from hierpets.inference.loading import load
from hierpets.inference.prediction import Prediction
from hierpets.inference.predictor import Predictor
from hierpets.recommend.choose import Recommender
from hierpets.registry.loading import Registry, load_registry
from hierpets.workers import cores
from tools.errors import in_one_line
from tools.measure.several.composites import (
    Pet,
    Share,
    compose,
    milliseconds,
    paste,
    read_arguments,
    read_backgrounds,
    read_pets,
)
from tools.pages.marks import publish

PRODUCT = "flea_guard"  # holds permethrin
RULE = f"""from hierpets.plugin import Advice


def season(case):
    yield Advice("{PRODUCT}", "It is flea season.", score=3.0)
"""
REGISTRY = "plugins: [{name: season, kind: shampoo_rule, entry: season.py:season}]\n"
DOG: Share = (0.2, 0.6)
SECOND: Share = (0.03, 0.5)
BEFORE: Share = (0.3, 0.5)  # of the height of the photo
CATS: dict[str, Share] = {"a cat on 3 to 16%": (0.03, 0.16), "a cat on 16 to 50%": (0.16, 0.5)}


class Predictors(NamedTuple):
    """The same model with and without the search for other animals beside the pet."""

    searching: Predictor
    blind: Predictor


def season(folder: Path) -> Registry:
    """Write and load a registry that adds one rule to the built-in ones."""
    (folder / "season.py").write_text(RULE, encoding="utf-8")
    (folder / "registry.yaml").write_text(REGISTRY, encoding="utf-8")
    return load_registry(folder / "registry.yaml")


def predictors(bundle: Path | None, registry: Registry) -> Predictors:
    """Load a model with and without the search."""
    found = load(bundle, workers=1, registry=registry)
    *early, engine = found.cascade.engines
    recommender, look = Recommender.load(registry), found.cascade.second_look
    blind = Predictor(found.manifest, engine, recommender, early=early, second_look=look, model=found.model)
    return Predictors(found, blind)


def draw_composites(
    dogs: Sequence[Pet],
    others: Sequence[Pet],
    share: Share,
    backgrounds: Sequence[np.ndarray],
    rng: np.random.Generator,
    count: int,
) -> list[np.ndarray]:
    """Compose photos of a dog beside another pet."""
    made: list[np.ndarray] = []
    while len(made) < count:
        pair = [pets[int(rng.integers(len(pets)))] for pets in (dogs, others)]
        one = compose(pair, [DOG, share], backgrounds[int(rng.integers(len(backgrounds)))], rng)
        if one is not None:
            made.append(one.pixels)
    return made


def put_before(dogs: Sequence[Pet], cats: Sequence[Pet], rng: np.random.Generator, count: int) -> list[np.ndarray]:
    """Compose photos of a dog with a photo of a cat in front of it, on 30 to 50% of the height."""
    made: list[np.ndarray] = []
    while len(made) < count:
        photo, cat = (pets[int(rng.integers(len(pets)))].pixels for pets in (dogs, cats))
        height = int(rng.uniform(*BEFORE) * photo.shape[0])
        width = int(height * cat.shape[1] / cat.shape[0])
        if width <= photo.shape[1]:
            canvas, left = photo.copy(), int(rng.integers(photo.shape[1] - width + 1))
            paste(canvas, cat, (left, photo.shape[0] - height, width, height))
            made.append(canvas)
    return made


def harmful(answers: Sequence[Prediction]) -> int:
    """Count the photos that get the product, for the whole photo or for one of its regions."""
    shampoos = ([one.shampoo, *(region.prediction.shampoo for region in one.regions or ())] for one in answers)
    return sum(PRODUCT in of_photo for of_photo in shampoos)


def row(name: str, found: Predictors, photos: Sequence[np.ndarray]) -> str:
    """Return a row of the table."""
    answers = (
        found.blind.predict(photos),
        found.searching.predict(photos),
        found.searching.predict(photos, regions=True),
    )
    return f"| {name} | {len(photos)} | {' | '.join(str(harmful(some)) for some in answers)} |"


def page(found: Predictors, pets: Sequence[Pet], backgrounds: Sequence[np.ndarray], *, seed: int, count: int) -> str:
    """Return the table."""
    rng = np.random.default_rng(seed)
    dogs, cats = ([pet for pet in pets if pet.leaf.species == species] for species in ("dog", "cat"))
    rows = [
        row(f"a dog, and {name}", found, draw_composites(dogs, cats, share, backgrounds, rng, count))
        for name, share in CATS.items()
    ]
    alone = [pet.pixels for pet in dogs[:count]]
    spent = [milliseconds(predictor.predict, alone[:50]) for predictor in (found.blind, found.searching)]
    return "\n".join(
        [
            "| photos of | number | harmful without a search | harmful | harmful with `--regions` |",
            "|---|---|---|---|---|",
            *rows,
            row("a cat before a dog", found, put_before(dogs, cats, rng, count)),
            row("two dogs", found, draw_composites(dogs, dogs, SECOND, backgrounds, rng, count)),
            row("a dog alone", found, alone),
            "",
            f"A photo takes {spent[0]:.0f} ms without the search, {spent[1]:.0f} ms with it ({cores()} cores).",
        ]
    )


@in_one_line
def main() -> None:
    """Count harmful recommendations and print or write the table."""
    given = read_arguments(__doc__, most=900, count=200, what="photos of each kind")
    pets, backgrounds = read_pets(given.data, given.most, given.seed), read_backgrounds(given.backgrounds)
    with TemporaryDirectory() as folder:
        found = predictors(given.bundle, season(Path(folder)))
        text = page(found, pets, backgrounds, seed=given.seed, count=given.count)
    publish(text, given.write, __file__)


if __name__ == "__main__":
    sys.exit(main())
