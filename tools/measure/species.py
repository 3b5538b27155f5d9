"""Measure how often a model of few breeds predicts the wrong species for an animal of another breed
(docs/experiments.md).

    python tools/measure/species.py --data ../shared/data/pets --elsewhere ../shared/data/elsewhere \
        --unlisted ../shared/data/unseen-breeds --horses ../shared/data/horses [--write docs/experiments.md]

Models are trained on a few photos each of some random breeds of cats and as many of dogs, with and without horses. They
then predict photos of these breeds from elsewhere, animals of the other breeds, animals of breeds in neither data set,
and other horses: with the species head alone, and combined with the pretrained head.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hierpets.data.labeled.index import read_index
from hierpets.data.labeled.split import draw_evenly
from hierpets.data.listing import find_photos
from hierpets.data.records import PhotoRecord
from hierpets.training.frozen import fitter
from hierpets.training.recipe import train
from tools.errors import in_one_line
from tools.measure.few_breeds import write_table
from tools.measure.photos import read_arguments
from tools.pages.marks import publish

BACKBONES = ("efficientnet_lite0", "efficientnet_lite2")
SPECIES, SIZES, PHOTOS, HORSES, DRAWS, OTHERS = ("cat", "dog"), (1, 2, 3, 5, 10), 20, 50, 3, 300
ASKED = ("of these breeds", "cats of others", "dogs of others", "cats in neither", "dogs in neither", "horses")

Photos = Sequence[PhotoRecord]


@in_one_line
def main() -> int:
    """Print or write a table."""
    given = read_arguments(__doc__, "data", "elsewhere", "unlisted", "horses")
    sources = [draw_evenly(read_index(source)) for source in (given.data, given.elsewhere, given.unlisted)]
    horses = [PhotoRecord(path, "horse", None) for path in find_photos(given.horses)]
    tables = []
    for backbone in BACKBONES:
        rows: dict[tuple[int, tuple[str, ...]], np.ndarray] = {}
        for size in SIZES:
            for species in (SPECIES, (*SPECIES, "horse")):
                drawn = [
                    measure(backbone, size, draw, sources, horses if "horse" in species else [])
                    for draw in range(DRAWS)
                ]
                rows[size, species] = np.sum(drawn, axis=0)
        tables.append(describe(backbone, rows))
    publish("\n\n".join(tables), given.write, __file__)
    return 0


def measure(backbone: str, size: int, draw: int, sources: Sequence[Photos], horses: Photos) -> np.ndarray:
    """Return counts int [2, 6, 3]: with the species head alone and with the pretrained head; for each kind of
    :data:`ASKED`; photos answered as another species, photos answered as unknown, and all.
    """
    data, elsewhere, unlisted = sources
    generator = np.random.default_rng([size, draw])
    own = {(s, breed) for s in SPECIES for breed in generator.permutation(breeds_of(data, s))[:size].tolist()}
    learned = generator.permutation(len(horses))[:HORSES].tolist()
    photos = [record for breed in sorted(own) for record in photos_of(data, breed)[:PHOTOS]]
    others = [record for record in (*elsewhere, *data) if (record.species, record.breed) not in own]
    asked = [
        [record for record in elsewhere if (record.species, record.breed) in own],
        *([record for record in others if record.species == s][:OTHERS] for s in SPECIES),
        *([record for record in unlisted if record.species == s] for s in SPECIES),
        [record for row, record in enumerate(horses) if row not in learned],
    ]
    table = [*photos, *(horses[row] for row in learned)]
    return np.array([count_answers(backbone, table, asked, alone=alone) for alone in (True, False)])


def photos_of(records: Photos, breed: tuple[str, str]) -> list[PhotoRecord]:
    """Return the records of one ``(species, breed)``."""
    return [record for record in records if (record.species, record.breed) == breed]


def breeds_of(records: Photos, species: str) -> list[str]:
    """Return the breeds of a species, sorted."""
    return sorted({record.breed for record in records if record.species == species and record.breed})


def count_answers(
    backbone: str, learned: Photos, asked: Sequence[Photos], *, alone: bool
) -> list[tuple[int, int, int]]:
    """Train on ``learned``; count for each kind the photos answered as another species, as unknown, and all."""
    with tempfile.TemporaryDirectory() as folder, head_alone(alone):
        table = write_table(Path(folder) / "photos.csv", learned)
        result = train(table, out=Path(folder) / "run", recipe="heads", backbone=backbone, quantize=False)
        predictor = result.predictor(recommend=False)
        found = []
        for records in asked:
            answers = list(predictor.stream([record.path for record in records]))
            unknown = sum(one.level == "unknown" for one in answers)
            pairs = zip(answers, records, strict=True)
            wrong = sum(one.level != "unknown" and one.species != record.species for one, record in pairs)
            found.append((wrong, unknown, len(records)))
    return found


@contextmanager
def head_alone(alone: bool) -> Iterator[None]:
    """Train without the pretrained head for the species, if ``alone``."""
    before = fitter.classes_by_species
    if alone:
        fitter.classes_by_species = lambda *_: None
    try:
        yield
    finally:
        fitter.classes_by_species = before


def describe(backbone: str, rows: dict[tuple[int, tuple[str, ...]], np.ndarray]) -> str:
    """Return the table, and a sentence on how it was measured."""
    lines = [
        f"{backbone}, recipe heads, {PHOTOS} photos of each breed and {HORSES} of horses, {DRAWS} draws of breeds. "
        "Answered as another species, and in brackets as unknown, by the species head alone and with the pretrained "
        "head:",
        "",
        f"| breeds of each | trained on | {' | '.join(ASKED)} |",
        f"| ---: | --- |{' ---: |' * len(ASKED)}",
    ]
    for (size, species), counts in rows.items():
        cells = (", ".join(map(describe_answers, both)) if both[0][2] else "" for both in zip(*counts, strict=True))
        lines.append(f"| {size} | {', '.join(f'{name}s' for name in species)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def describe_answers(counts: np.ndarray) -> str:
    """Format the share of wrong answers, and of unknown ones."""
    wrong, unknown, every = counts.tolist()
    return f"{wrong / every:.1%} ({unknown / every:.0%})"


if __name__ == "__main__":
    sys.exit(main())
