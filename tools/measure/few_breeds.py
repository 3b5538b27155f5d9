"""Measure how often a model of few breeds names one of them for a dog of another breed (docs/experiments.md).

    python tools/measure/few_breeds.py --data ../shared/data/pets --elsewhere ../shared/data/elsewhere \
        --unlisted ../shared/data/unseen-breeds [--write docs/experiments.md]

Models are trained on a few photos each of some random breeds of dogs. They then predict photos of these breeds from
elsewhere, dogs of the other breeds, and dogs of breeds in neither data set: with thresholds of at least one half, as
hierpets uses them, and with thresholds by alpha alone.
"""

from __future__ import annotations

import csv
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hierpets.data.labeled.index import read_index
from hierpets.data.labeled.split import draw_evenly
from hierpets.data.records import PhotoRecord
from hierpets.hierarchy import policy
from hierpets.training.recipe import train
from tools.errors import in_one_line
from tools.measure.photos import read_arguments, share_named, share_right
from tools.pages.marks import publish

SPECIES, SIZES, PHOTOS, DRAWS, OTHERS = "dog", (2, 3, 5, 10), 20, 3, 300


@in_one_line
def main() -> int:
    """Print or write a table."""
    given = read_arguments(__doc__, "data", "elsewhere", "unlisted")
    data, elsewhere, unlisted = (dogs(source) for source in (given.data, given.elsewhere, given.unlisted))
    breeds = sorted({record.breed for record in data if record.breed})
    rows = []
    for size in SIZES:
        drawn = [np.random.default_rng([size, draw]).permutation(breeds)[:size].tolist() for draw in range(DRAWS)]
        rows.append((size, np.mean([measure(own, data, elsewhere, unlisted) for own in drawn], axis=0)))
    publish(describe(rows), given.write, __file__)
    return 0


def dogs(source: str) -> list[PhotoRecord]:
    """Return the photos of dogs, alternating between breeds."""
    return [record for record in draw_evenly(read_index(source)) if record.species == SPECIES]


def measure(
    breeds: Sequence[str],
    data: Sequence[PhotoRecord],
    elsewhere: Sequence[PhotoRecord],
    unlisted: Sequence[PhotoRecord],
) -> list[list[float]]:
    """Train on ``breeds``; return for both kinds of thresholds, in percent: photos of these breeds from elsewhere that
    are named a breed, the wrong ones of these, and dogs of the other breeds and of unlisted breeds that are named one.
    """
    own = [record for record in data if record.breed in breeds]
    others = [record for record in data if record.breed not in breeds][:OTHERS]
    listed = [record for record in elsewhere if record.breed in breeds]
    with tempfile.TemporaryDirectory() as folder:
        table = write_table(Path(folder) / "photos.csv", own[: PHOTOS * len(breeds)])
        result = train(table, out=Path(folder) / "run", recipe="heads", quantize=False)
        found = []
        for least in (0.0, policy.MIN_PROBABILITY):
            with at_least(least):
                predictor = result.predictor(recommend=False)
                asked = [list(predictor.stream([one.path for one in part])) for part in (listed, others, unlisted)]
            named, right = share_named(asked[0]), share_right(asked[0], listed)
            found.append([named, 100 - right, share_named(asked[1]), share_named(asked[2])])
    return found


@contextmanager
def at_least(least: float) -> Iterator[None]:
    """Replace the lowest threshold by ``least``."""
    before, policy.MIN_PROBABILITY = policy.MIN_PROBABILITY, least
    try:
        yield
    finally:
        policy.MIN_PROBABILITY = before


def write_table(path: Path, records: Sequence[PhotoRecord]) -> Path:
    """Write a CSV of photos and labels; return its path."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "species", "breed"))
        writer.writerows((Path(record.path).absolute(), record.species, record.breed) for record in records)
    return path


def describe(rows: Sequence[tuple[int, np.ndarray]]) -> str:
    """Return the table, and a sentence on how it was measured."""
    lines = [
        f"{PHOTOS} photos of each breed, {DRAWS} draws of breeds of dogs, recipe heads, alpha "
        f"{policy.DEFAULT_ALPHA:g}. Each cell has thresholds by alpha alone, and thresholds of one half at least.",
        "",
        "| breeds | from elsewhere: named | of these wrong | dogs of the other breeds named | of breeds in neither |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for size, (alone, least) in rows:
        cells = (f"{before:.1f}%, {after:.1f}%" for before, after in zip(alone, least, strict=True))
        lines.append(f"| {size} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
