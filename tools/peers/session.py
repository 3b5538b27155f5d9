"""One contestant in a process of its own.

    python -m tools.peers.session first SIDE --model FOLDER --photo PHOTO
    python -m tools.peers.session all SIDE --model FOLDER --job JOB.json --out RESULT.json

``first`` prints the answer to one photo; whoever started it takes the time. ``all`` measures throughput, latency and
photos of 12 megapixels. The job holds ``photos``, ``large`` (paths) and ``seconds`` (for latencies).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from tools.peers.side import SIDES, Side, load_side

WARM_UP, FEWEST = 64, 8


def measure(side: Side, job: dict[str, Any]) -> dict[str, Any]:
    """``answers``, and seconds: ``many`` of all photos, ``one`` photo each time, the same of the ``large`` ones."""
    photos, large = job["photos"], job["large"]
    side.many(photos[:WARM_UP])
    start = perf_counter()
    answers = side.many(photos)
    many = perf_counter() - start
    result = {"answers": answers, "many": many, "memory": _peak_memory(), "one": _latencies(side, photos, job)}
    if large:
        start = perf_counter()
        side.many(large)
        result |= {"large_many": perf_counter() - start, "large_one": _latencies(side, large, job)}
    return result


def _latencies(side: Side, photos: Sequence[str], job: dict[str, Any]) -> list[float]:
    seconds: list[float] = []
    side.one(photos[0])
    for photo in photos:
        if sum(seconds) > job["seconds"] and len(seconds) >= FEWEST:
            break
        start = perf_counter()
        side.one(photo)
        seconds.append(perf_counter() - start)
    return seconds


def _peak_memory() -> float:
    """Peak resident memory of this process in MB; its workers come on top."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM:")).split()[1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=["first", "all"])
    parser.add_argument("side", choices=SIDES)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--photo")
    parser.add_argument("--job", type=Path)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    side = load_side(given.side, given.model, given.precision)
    if given.task == "first":
        print(side.one(given.photo))
        return
    result = measure(side, json.loads(given.job.read_text()))
    given.out.write_text(json.dumps(result))


if __name__ == "__main__":
    main()
