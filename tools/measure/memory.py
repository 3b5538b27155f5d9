"""Measure the peak memory of ``hierpets predict --out`` on 500 and on 20,000 photos, and their ratio.

The photos are links to those of ``--photos``, or to synthetic images. Each count is predicted in a process of its own.
The table is printed:

    python tools/measure/memory.py
    python tools/measure/memory.py --photos DIR --counts 500,20000 --format parquet
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path
from typing import NamedTuple

import cv2

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from hierpets.data.demo import demo_index
from hierpets.data.listing import find_photos
from hierpets.data.photos import read_photo
from tools.errors import in_one_line

SYNTHETIC = 300
FOLDER = 1000  # photos per folder


class Measured(NamedTuple):
    """One run: its photos, its peak resident memory, and how long it took."""

    photos: int
    megabytes: float
    seconds: float


def draw(folder: Path) -> list[Path]:
    """Write synthetic images; return their paths."""
    folder.mkdir()
    paths = []
    for number, photo in enumerate(islice(cycle(demo_index().paths), SYNTHETIC)):
        paths.append(folder / f"{number}.jpg")
        cv2.imwrite(str(paths[-1]), read_photo(photo)[..., ::-1])
    return paths


def spread(sources: list[Path], folder: Path, count: int) -> Path:
    """Fill a folder with ``count`` links to the sources, in subfolders; return it."""
    for number, source in enumerate(islice(cycle(sources), count)):
        place = folder / f"{number // FOLDER:04}" / f"{number:07}{source.suffix}"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(source.resolve())
    return folder


def measure(photos: Path, out: Path, options: list[str]) -> tuple[float, float]:
    """Return the peak resident memory in MB and the seconds of one run.

    An extra process waits for the run, because the system reports the peak only as that of the largest child so far.
    """
    command = [sys.executable, "-m", "hierpets", "predict", str(photos), "--out", str(out), *options]
    begin = time.perf_counter()
    watched = subprocess.run([sys.executable, __file__, "--watch", *command], capture_output=True, text=True)
    if watched.returncode:
        sys.exit(watched.stderr)
    return float(watched.stdout), time.perf_counter() - begin


def watch(command: list[str]) -> int:
    """Run a command and print its peak memory in MB."""
    code = subprocess.run(command, stdout=subprocess.DEVNULL).returncode
    unit = 2**20 if sys.platform == "darwin" else 2**10
    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / unit)
    return code if code != 3 else 0  # 3: a photo cannot be read, which costs no memory


def table(rows: list[Measured]) -> str:
    """Return a Markdown table, with each peak as a multiple of the first one."""
    lines = ["| photos | peak memory, MB | of the first | photos per second |", "|---|---|---|---|"]
    for row in rows:
        share = row.megabytes / rows[0].megabytes
        lines.append(f"| {row.photos:,} | {row.megabytes:.1f} | {share:.3f} | {row.photos / row.seconds:.1f} |")
    return "\n".join(lines)


@in_one_line
def main() -> int:
    """Measure the memory for each count; fail if it exceeds ``--most`` times that of the first."""
    if sys.argv[1:2] == ["--watch"]:
        return watch(sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, help="a folder of photos; default: synthetic images")
    parser.add_argument("--counts", default="500,20000")
    parser.add_argument("--format", default="jsonl", choices=["jsonl", "csv", "parquet"])
    parser.add_argument("--model", help="a bundle; default: the released one")
    parser.add_argument("--registry", help="a registry.yaml")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--most", type=float, default=1.1, help="the largest ratio that passes")
    given = parser.parse_args()
    options = [f"--{name}={value}" for name in ("model", "registry", "precision") if (value := getattr(given, name))]
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        sources = [Path(p) for p in find_photos(given.photos)] if given.photos else draw(Path(scratch) / "synthetic")
        for count in map(int, given.counts.split(",")):
            photos = spread(sources, Path(scratch) / str(count), count)
            out = Path(scratch) / f"{count}.{given.format}"
            rows.append(Measured(count, *measure(photos, out, options)))
            print(f"{os.path.basename(out)}: {rows[-1].megabytes:.1f} MB", file=sys.stderr)  # noqa: PTH119
    print(table(rows))
    return 0 if all(row.megabytes <= given.most * rows[0].megabytes for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
