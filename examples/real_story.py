"""The story of the cats that nobody counted, on real photos, and what helps.

    python examples/real_story.py --data photos/                    # SPECIES/BREED/*.jpg with cats and dogs
    python examples/real_story.py --data photos/ --out runs/real    # a table and figures; a quarter of an hour

Two dogs for every cat. A small network learns from scratch, a large one was pretrained; both confusion matrices stand
side by side. Then every remedy is tried on the same split: a sampler, class weights, a prior shift, a decision
threshold, more photos of cats, and pretraining. docs/story.md tells what came out.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import hierpets
from hierpets.data.labeled.index import read_index
from hierpets.data.labeled.split import draw_evenly
from hierpets.figures import figure_png

CAT, DOG = "cat", "dog"
PARTS = {"train": 0.6, "val": 0.1, "test": 0.3}
FROM_SCRATCH: dict[str, Any] = {
    "recipe": "finetune",
    "backbone": "timm",
    "backbone_options": {"model": "test_resnet", "pretrained": False, "input_size": 64},
    "finetune": {
        "learning_rate": 0.003,
        "head_learning_rate": 0.01,
        "trainable_fraction": 1.0,
        "layer_decay": 1.0,
        "patience": 100,
        "batch_size": 32,
    },
}


class Photos(NamedTuple):
    """Paths of cats and dogs by the part that they are in; ``more`` are cats that are added to the training photos."""

    parts: dict[str, dict[str, list[str]]]
    more: list[str]


class Counts(NamedTuple):
    """The confusion matrix: of cats and dogs, how many are called a cat and a dog."""

    cats: tuple[int, int]
    dogs: tuple[int, int]

    def numbers(self) -> dict[str, float]:
        """What accuracy says, and what it hides; a precision without predictions is 0."""
        (hits, missed), (called_cat, right) = self.cats, self.dogs
        recall = {CAT: hits / (hits + missed), DOG: right / (called_cat + right)}
        return {
            "accuracy": (hits + right) / (hits + missed + called_cat + right),
            "balanced accuracy": (recall[CAT] + recall[DOG]) / 2,
            "cat recall": recall[CAT],
            "cat precision": hits / max(1, hits + called_cat),
            "dog recall": recall[DOG],
            "dog precision": right / max(1, right + missed),
        }


def draw_photos(data: str, dogs: int) -> Photos:
    """Two dogs for every cat, in three parts, and as many further cats as would make training even."""
    # The table that names the photos lies elsewhere.
    index = read_index(Path(data).resolve() if Path(data).exists() else data)
    paths = {s: [r.path for r in draw_evenly(index) if r.species == s] for s in (CAT, DOG)}
    dogs = min(dogs, len(paths[DOG]), len(paths[CAT]))
    cats = dogs // 2
    further = paths[CAT][cats : cats + round(cats * PARTS["train"])]
    return Photos({CAT: dict(_parts(paths[CAT][:cats])), DOG: dict(_parts(paths[DOG][:dogs]))}, further)


def _parts(paths: list[str]) -> Iterator[tuple[str, list[str]]]:
    start = 0
    for part, share in PARTS.items():
        end = len(paths) if part == "test" else start + round(share * len(paths))
        yield part, paths[start:end]
        start = end


def write_table(file: Path, photos: Photos, *, more: bool = False) -> Path:
    """A CSV of the photos with their species, of no stated breed."""
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = [(p, s, "", part) for s, parts in photos.parts.items() for part, paths in parts.items() for p in paths]
    rows += [(path, CAT, "", "train") for path in photos.more] if more else []
    with file.open("w", encoding="utf-8", newline="") as table:
        csv.writer(table).writerows([("path", "species", "breed", "split"), *rows])
    return file


class Model(NamedTuple):
    """What a model gives: P(cat) of the validation and of the test photos, and which of them show one."""

    val: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]

    def counts(self, threshold: float = 0.5) -> Counts:
        """Of the test photos, where a cat is what is at least as probable as that."""
        return count(*self.test, threshold)


def count(p_cat: np.ndarray, is_cat: np.ndarray, threshold: float) -> Counts:
    called = p_cat >= threshold
    cats, dogs = called[is_cat], called[~is_cat]
    return Counts((int(cats.sum()), int((~cats).sum())), (int(dogs.sum()), int((~dogs).sum())))


def train(table: Path, out: Path, **settings: Any) -> Model:
    """Train on a table, and ask for P(cat) of what was held out."""
    result = hierpets.train(table, levels="species", prior="data", out=out, overwrite=True, **settings)
    print(f"\N{EM DASH} {out.name}: {result.summary}", flush=True)
    predictor = result.predictor(recommend=False)
    return Model(*(_p_cat(hierpets.evaluate(predictor, table, split=part).predictions) for part in ("val", "test")))


def _p_cat(predictions: Any) -> tuple[np.ndarray, np.ndarray]:
    cat = predictions.taxonomy.species_index(CAT)
    return predictions.species_probabilities[:, cat], predictions.species_true == cat


def shifted(model: Model, share: float) -> Model:
    """The same model as if it had seen as many cats as dogs, where a ``share`` of its photos were cats (Saerens,
    Latinne and Decaestecker, 2002).
    """

    def shift(p_cat: np.ndarray) -> np.ndarray:
        cat, dog = p_cat / share, (1 - p_cat) / (1 - share)
        return cat / (cat + dog)

    return Model(*((shift(p_cat), is_cat) for p_cat, is_cat in model))


def best_threshold(model: Model) -> float:
    """The threshold on P(cat) of the highest balanced accuracy on the validation photos."""
    p_cat, is_cat = model.val
    return max(np.unique(p_cat), key=lambda t: count(p_cat, is_cat, t).numbers()["balanced accuracy"])


def tell_story(data: str, out: Path, *, dogs: int = 1000, epochs: int = 40) -> dict[str, Counts]:
    """Every model and remedy on the same test photos, by name; writes ``story.json`` and ``confusion.png``."""
    photos = draw_photos(data, dogs)
    table, fuller = write_table(out / "pets.csv", photos), write_table(out / "more.csv", photos, more=True)
    scratch = FROM_SCRATCH | {"finetune": FROM_SCRATCH["finetune"] | {"epochs": epochs}}
    weighted = scratch | {"finetune": scratch["finetune"] | {"balance": "loss_weight"}}
    plain = train(table, out / "from scratch", sampler="shuffle", **scratch)
    share = len(photos.parts[CAT]["train"]) / sum(len(parts["train"]) for parts in photos.parts.values())
    told = {
        "from scratch": plain.counts(),
        "+ sampler": train(table, out / "sampler", sampler="species_balanced", **scratch).counts(),
        "+ class weights": train(table, out / "class weights", sampler="species_balanced", **weighted).counts(),
        "+ prior shift": shifted(plain, share).counts(),
        "+ decision threshold": plain.counts(best_threshold(plain)),
        "+ more cats": train(fuller, out / "more cats", sampler="shuffle", **scratch).counts(),
        "with transfer": train(
            table, out / "with transfer", recipe="heads", backbone="efficientnet_lite0", sampler="shuffle"
        ).counts(),
    }
    (out / "story.json").write_text(json.dumps({name: found._asdict() for name, found in told.items()}, indent=1))
    (out / "confusion.png").write_bytes(figure_png(painter(told), (7.2, 3.4)))
    return told


def painter(told: dict[str, Counts]) -> Callable[[Any], None]:
    """Both confusion matrices side by side: rows are true, columns are called, shades are shares of the row."""

    def paint(figure: Any) -> None:
        for axes, name in zip(figure.subplots(1, 2), ("from scratch", "with transfer"), strict=True):
            counts = np.array(told[name])
            axes.imshow(counts / counts.sum(axis=1, keepdims=True), cmap="Blues", vmin=0, vmax=1.6)
            for (i, j), n in np.ndenumerate(counts):
                axes.text(j, i, f"{n}\n{n / counts[i].sum():.0%}", ha="center", va="center")
            axes.set_title(name)
            axes.set(xticks=[0, 1], xticklabels=["cat", "dog"], yticks=[0, 1], yticklabels=["cat", "dog"])
            axes.set(xlabel="called", ylabel="is")

    return paint


def print_table(told: dict[str, Counts]) -> None:
    """In Markdown, as docs/story.md shows it."""
    names = list(next(iter(told.values())).numbers())
    print(f"\n| | {' | '.join(names)} |\n|{'---|' * (len(names) + 1)}")
    for name, found in told.items():
        print(f"| {name} | {' | '.join(f'{value:.1%}' for value in found.numbers().values())} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="labeled photos of cats and dogs")
    parser.add_argument("--out", type=Path, default=Path("runs/real_story"), metavar="DIR")
    parser.add_argument("--dogs", type=int, default=1000, help="dogs; there are half as many cats")
    parser.add_argument("--epochs", type=int, default=40, help="epochs of each small network")
    given = parser.parse_args()
    print_table(tell_story(given.data, given.out, dogs=given.dogs, epochs=given.epochs))
