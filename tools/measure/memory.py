"""Peak memory of ``hierpets predict --out`` on 500 and on 20,000 photos, and their ratio.

The photos are links to those of ``--photos``, or to synthetic images. Each count is predicted by a process of its own,
and the table goes to standard output:

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
    """Synthetic images as files."""
    folder.mkdir()
    paths = []
    for number, photo in enumerate(islice(cycle(demo_index().paths), SYNTHETIC)):
        paths.append(folder / f"{number}.jpg")
        cv2.imwrite(str(paths[-1]), read_photo(photo)[..., ::-1])
    return paths


def spread(sources: list[Path], folder: Path, count: int) -> Path:
    """A folder of ``count`` links to the sources, in subfolders."""
    for number, source in enumerate(islice(cycle(sources), count)):
        place = folder / f"{number // FOLDER:04}" / f"{number:07}{source.suffix}"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(source.resolve())
    return folder


def measure(photos: Path, out: Path, options: list[str]) -> tuple[float, float]:
    """Peak resident megabytes and seconds of one run.

    Another process waits for it, because the peak of children is that of the largest so far.
    """
    command = [sys.executable, "-m", "hierpets", "predict", str(photos), "--out", str(out), *options]
    begin = time.perf_counter()
    watched = subprocess.run([sys.executable, __file__, "--watch", *command], capture_output=True, text=True)
    if watched.returncode:
        sys.exit(watched.stderr)
    return float(watched.stdout), time.perf_counter() - begin


def watch(command: list[str]) -> int:
    """Run a command and write its peak in megabytes."""
    code = subprocess.run(command, stdout=subprocess.DEVNULL).returncode
    unit = 2**20 if sys.platform == "darwin" else 2**10
    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / unit)
    return code if code != 3 else 0  # 3: a photo cannot be read, which costs no memory


def table(rows: list[Measured]) -> str:
    """Markdown, with the peak as a share of the first row's."""
    lines = ["| photos | peak memory, MB | of the first | photos per second |", "|---|---|---|---|"]
    for row in rows:
        share = row.megabytes / rows[0].megabytes
        lines.append(f"| {row.photos:,} | {row.megabytes:.1f} | {share:.3f} | {row.photos / row.seconds:.1f} |")
    return "\n".join(lines)


@in_one_line
def main() -> int:
    """Measure the memory of predicting more and more photos."""
    if sys.argv[1:2] == ["--watch"]:
        return watch(sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, help="a folder of photos; synthetic images when omitted")
    parser.add_argument("--counts", default="500,20000")
    parser.add_argument("--format", default="jsonl", choices=["jsonl", "csv", "parquet"])
    parser.add_argument("--model", help="a bundle; the released one when omitted")
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
