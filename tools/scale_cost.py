"""What it costs to answer many photos, from the speed of one core measured here and a stated price.

    python tools/scale_cost.py --photos DIR --price 0.04 --write docs/scale.md

Without ``--write`` the table goes to standard output. ``--rate`` states the photos that a core answers in a second
instead of measuring it. The page keeps its table between two comments, and everything else as it is.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import NamedTuple

from hierpets.data.listing import find_photos
from hierpets.files import write_text
from hierpets.inference.loading import load
from hierpets.workers import cores

BEGIN, END = "<!-- written by tools/scale_cost.py -->", "<!-- end of what tools/scale_cost.py writes -->"
COUNTS = (1_000_000, 100_000_000, 1_000_000_000)
FLEET = 1000  # cores


class Rate(NamedTuple):
    """What one core does: photos a second, and bytes of a photo's file (None where it was stated)."""

    photos: float
    kilobytes: float | None
    how: str


def measure(folder: Path, precision: str, count: int) -> Rate:
    """Answer ``count`` photos on all cores. What is counted is the processor's time, which other work changes less."""
    paths = find_photos(folder)[:count]
    if not paths:
        sys.exit(f"{folder}: no photos")
    predictor = load(precision=precision, workers=cores())  # type: ignore[arg-type]
    for _ in predictor.predict(paths[:8]):
        pass
    begin = time.process_time()
    answered = sum(1 for _ in predictor.predict(islice(cycle(paths), count)))
    seconds = time.process_time() - begin
    size = sum(Path(path).stat().st_size for path in paths) / len(paths) / 1000
    how = f"measured over {answered:,} photos of {size:.0f} kB: the released model, {predictor.engine.precision}"
    return Rate(answered / seconds, size, f"{how}, {1000 * seconds / answered:.1f} ms of processor time a photo")


def cost_table(rate: Rate, price: float, counts: Sequence[int] = COUNTS) -> str:
    """Markdown: core-hours, their price, and hours on ``FLEET`` cores."""
    lines = [f"| photos | core-hours | at {price:g} a core-hour | hours on {FLEET:,} cores |", "|---|---|---|---|"]
    for count in counts:
        hours = count / rate.photos / 3600
        lines.append(f"| {count:,} | {hours:,.0f} | {hours * price:,.0f} | {hours / FLEET:,.1f} |")
    return "\n".join(lines)


def told(rate: Rate, price: float) -> str:
    """The table and what it rests on."""
    lines = [f"One core answers {rate.photos:.1f} photos a second ({rate.how}).", "", cost_table(rate, price)]
    if rate.kilobytes is not None:
        total, stream = 1e9 * rate.kilobytes / 1e9, FLEET * rate.photos * rate.kilobytes / 1e6
        size = f"A thousand million such photos are {total:,.0f} TB, and {FLEET:,} cores read {stream:.2f} GB a second:"
        where = "keep the cluster in the region of the bucket, where reading costs requests but no traffic."
        lines += ["", f"{size} {where}"]
    return "\n".join(lines)


def replaced(page: str, text: str) -> str:
    """The page with ``text`` between the two comments."""
    if BEGIN not in page or END not in page:
        sys.exit(f"the page lacks {BEGIN!r} or {END!r}")
    head, rest = page.split(BEGIN, 1)
    return f"{head}{BEGIN}\n\n{text}\n\n{END}{rest.split(END, 1)[1]}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--price", type=float, required=True, help="of a core-hour, in whichever currency")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--photos", type=Path, help="a folder to measure on")
    source.add_argument("--rate", type=float, help="photos a second and core, if they were measured elsewhere")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--write", type=Path, metavar="PAGE")
    given = parser.parse_args()
    rate = Rate(given.rate, None, "stated") if given.rate else measure(given.photos, given.precision, given.count)
    text = told(rate, given.price)
    if given.write:
        write_text(given.write, replaced(given.write.read_text(encoding="utf-8"), text))
    else:
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
