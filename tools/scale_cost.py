"""What it costs to predict many photos, from the speed of one core measured here and a stated price.

    python tools/scale_cost.py --photos DIR --price 0.04 --write docs/scale.md

Without ``--write`` the table goes to standard output. ``--rate`` states how many photos a core predicts in a second
instead of measuring it. The page keeps its table between two comments.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hierpets.data.listing import find_photos
from hierpets.files import write_text
from hierpets.inference.loading import load
from hierpets.workers import cores
from tools.pages.marks import replace_marked

BEGIN, END = "<!-- written by tools/scale_cost.py -->", "<!-- end of what tools/scale_cost.py writes -->"
COUNTS = (1_000_000, 100_000_000, 1_000_000_000)
FLEET = 1000  # cores


class Rate(NamedTuple):
    """What one core does: photos per second, kB of a photo's file (None if stated), and where that comes from."""

    photos: float
    kilobytes: float | None
    origin: str


def measure(folder: Path, precision: str, count: int) -> Rate:
    """Predict ``count`` photos on all cores, and count processor time, which other work on the machine changes less."""
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


def cost_table(rate: Rate, price: float, counts: Sequence[int] = COUNTS) -> str:
    """Markdown: core-hours, their price, and hours on ``FLEET`` cores."""
    lines = [f"| photos | core-hours | at {price:g} per core-hour | hours on {FLEET:,} cores |", "|---|---|---|---|"]
    for count in counts:
        hours = count / rate.photos / 3600
        lines.append(f"| {count:,} | {hours:,.0f} | {hours * price:,.0f} | {hours / FLEET:,.1f} |")
    return "\n".join(lines)


def report(rate: Rate, price: float) -> str:
    """The table and where its numbers come from."""
    lines = [f"One core predicts {rate.photos:.1f} photos per second ({rate.origin}).", "", cost_table(rate, price)]
    if rate.kilobytes is not None:
        total, stream = 1e9 * rate.kilobytes / 1e9, FLEET * rate.photos * rate.kilobytes / 1e6
        size = f"A billion such photos are {total:,.0f} TB, and {FLEET:,} cores read {stream:.2f} GB per second."
        advice = "Keep the cluster in the region of the bucket, where reading costs requests but no traffic."
        lines += ["", f"{size} {advice}"]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--price", type=float, required=True, help="of a core-hour, in any currency")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--photos", type=Path, help="a folder to measure on")
    source.add_argument("--rate", type=float, help="photos per second and core, if measured elsewhere")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--write", type=Path, metavar="PAGE")
    given = parser.parse_args()
    rate = Rate(given.rate, None, "stated") if given.rate else measure(given.photos, given.precision, given.count)
    text = report(rate, given.price)
    if given.write:
        page = given.write.read_text(encoding="utf-8")
        write_text(given.write, replace_marked(page, BEGIN, END, text))
    else:
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
