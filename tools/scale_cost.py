"""Compute the cost of predicting many photos and training on them, from measured speeds and a given price.

    python tools/scale_cost.py --photos DIR --price 0.04 --write docs/scale.md

Without ``--write`` the tables are printed; else they are written between two comments of the page. ``--rate`` gives the
photos per second of a core instead of measuring them; then there is no table on training.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hierpets.cache import SqliteStore
from hierpets.config import DEFAULT_BACKBONE
from hierpets.data.listing import find_photos
from hierpets.inference.loading import load
from hierpets.model.backbone import build_backbone
from hierpets.registry.loading import load_registry
from hierpets.training.features.cache import FeatureCache, FeatureKey
from hierpets.training.features.cluster import BATCH
from hierpets.training.features.extractor import FeatureExtractor
from hierpets.workers import cores
from tools.errors import in_one_line
from tools.pages.marks import publish

COUNTS = (1_000_000, 100_000_000, 1_000_000_000)
FLEET = 1000  # cores
ROWS = 20_000  # features that are stored to measure the speed


class Rate(NamedTuple):
    """Speed of one core: photos per second, kB of a photo's file (None if not measured), and the numbers' origin."""

    photos: float
    kilobytes: float | None
    origin: str


def measure(folder: Path, precision: str, count: int) -> Rate:
    """Predict ``count`` photos on all cores. It counts processor time, which other load changes less."""
    paths = find_photos(folder)[:count]
    if not paths:
        sys.exit(f"{folder}: no photos")
    predictor = load(precision=precision, workers=cores())  # type: ignore[arg-type]
    predictor.predict(paths[:8])
    begin = time.process_time()
    predicted = sum(1 for _ in predictor.stream(islice(cycle(paths), count)))
    seconds = time.process_time() - begin
    size = sum(Path(path).stat().st_size for path in paths) / len(paths) / 1000
    origin = f"measured over {predicted:,} photos of {size:.0f} kB: the released model, {predictor.engine.precision}"
    return Rate(predicted / seconds, size, f"{origin}, {1000 * seconds / predicted:.1f} ms of processor time per photo")


class Training(NamedTuple):
    """Speed of training: features per second of one core, features per second that the driver stores, and their kB."""

    features: float
    kept: float
    kilobytes: float
    origin: str


def measure_training(folder: Path, count: int) -> Training:
    """Measure the features per second of processor time on ``count`` photos, and how fast a cluster's driver stores
    them.
    """
    paths = find_photos(folder)[:count]
    backbone, _ = build_backbone(load_registry(), DEFAULT_BACKBONE, {})
    extractor = FeatureExtractor(backbone, threads=1)
    extractor.compute(paths[:8])
    begin = time.process_time()
    features = np.stack(list(extractor.compute(paths).values()))
    rate = len(paths) / (time.process_time() - begin)
    origin = f"measured over {len(paths):,} photos: {DEFAULT_BACKBONE}, {1000 / rate:.1f} ms of processor time each"
    return Training(rate, measure_keeping(features[np.arange(ROWS) % len(features)]), features[0].nbytes / 1000, origin)


def measure_keeping(rows: np.ndarray) -> float:
    """Measure how many features [N, D] a second the store of a run with ``--cluster`` takes, in workers' batches."""
    keys = [FeatureKey("measured", f"s3://bucket/photos/{row}.jpg") for row in range(len(rows))]
    with (
        TemporaryDirectory() as scratch,
        closing(FeatureCache(Path(scratch), rows.shape[1], SqliteStore)) as store,
    ):
        begin = time.perf_counter()
        for start in range(0, len(rows), BATCH):
            batch = slice(start, start + BATCH)
            store.put(dict(zip(keys[batch], rows[batch], strict=True)))
        return len(rows) / (time.perf_counter() - begin)


def training_report(training: Training, price: float, counts: Sequence[int] = COUNTS) -> str:
    """Return Markdown: core-hours, their price, hours on ``FLEET`` cores, and what the driver stores, in how long."""
    sent = FLEET * training.features
    lines = [
        f"One core computes the features of {training.features:.1f} photos per second ({training.origin}). The driver "
        f"keeps {training.kept:,.0f} per second, of {training.kilobytes:.1f} kB each; {FLEET:,} cores send "
        f"{sent:,.0f} per second, {sent * training.kilobytes / 1e6:.2f} GB.",
        "",
        f"| photos | core-hours | at {price:g} per core-hour | hours on {FLEET:,} cores | GB to keep | hours to keep |",
        "|---|---|---|---|---|---|",
    ]
    for count in counts:
        hours, size = count / training.features / 3600, count * training.kilobytes / 1e6
        cells = f"{hours:,.0f} | {hours * price:,.0f} | {hours / FLEET:,.1f} | {size:,.0f}"
        lines.append(f"| {count:,} | {cells} | {count / training.kept / 3600:,.1f} |")
    return "\n".join(lines)


def cost_table(rate: Rate, price: float, counts: Sequence[int] = COUNTS) -> str:
    """Return a Markdown table: core-hours, their price, and hours on ``FLEET`` cores."""
    lines = [f"| photos | core-hours | at {price:g} per core-hour | hours on {FLEET:,} cores |", "|---|---|---|---|"]
    for count in counts:
        hours = count / rate.photos / 3600
        lines.append(f"| {count:,} | {hours:,.0f} | {hours * price:,.0f} | {hours / FLEET:,.1f} |")
    return "\n".join(lines)


def report(rate: Rate, price: float) -> str:
    """Return the table on predicting, and the origin of its numbers."""
    lines = [f"One core predicts {rate.photos:.1f} photos per second ({rate.origin}).", "", cost_table(rate, price)]
    if rate.kilobytes is not None:
        total, stream = 1e9 * rate.kilobytes / 1e9, FLEET * rate.photos * rate.kilobytes / 1e6
        size = f"A billion such photos are {total:,.0f} TB, and {FLEET:,} cores read {stream:.2f} GB per second."
        advice = "Keep the cluster in the region of the bucket, where reading costs requests but no traffic."
        lines += ["", f"{size} {advice}"]
    return "\n".join(lines)


@in_one_line
def main() -> int:
    """Print or write the costs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--price", type=float, required=True, help="price of a core-hour, in any currency")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--photos", type=Path, help="a folder of photos to measure on")
    source.add_argument("--rate", type=float, help="photos per second and core, if known")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--write", type=Path, metavar="PAGE")
    given = parser.parse_args()
    rate = Rate(given.rate, None, "stated") if given.rate else measure(given.photos, given.precision, given.count)
    text = report(rate, given.price)
    if given.photos:
        text += "\n\n" + training_report(measure_training(given.photos, given.count), given.price)
    publish(text, given.write, __file__)
    return 0


if __name__ == "__main__":
    sys.exit(main())
