"""Measure the cost of a photo in the server and on the bulk path, in turns, so that other load affects both alike."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

from hierpets.bench.numbers import median_of, percentiles

__all__ = ["Cost", "Round", "bulk_side", "rows"]

ROOT = Path(__file__).resolve().parents[2]


class Cost(NamedTuple):
    """The photos of one round, its seconds, and its seconds of processor time."""

    photos: float
    seconds: float
    processor: float

    @property
    def per_photo(self) -> float:
        """Milliseconds of processor time."""
        return 1000 * self.processor / self.photos

    @property
    def rate(self) -> float:
        """Photos per second."""
        return self.photos / self.seconds


class Round(NamedTuple):
    """Both sides in one round, and the latencies of the server's responses in seconds."""

    server: Cost
    bulk: Cost
    latencies: Sequence[float]


@contextmanager
def bulk_side(bundle: str, folder: Path) -> Iterator[Callable[[], Cost]]:
    """Start a process for the bulk path; yield a function that predicts the photos of a folder to a file in it."""
    command = [sys.executable, "-m", "tools.load.bulk", bundle, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        asked, answers = process.stdin, process.stdout

        def run() -> Cost:
            asked.write("\n")
            asked.flush()
            return Cost(**json.loads(answers.readline()))

        yield run
        asked.close()


def rows(rounds: Sequence[Round]) -> list[str]:
    """The rows of a table: medians over the rounds, and the ratio within each."""
    ratios = [one.server.per_photo / one.bulk.per_photo for one in rounds]
    latencies = median_of([percentiles(one.latencies) for one in rounds])
    return [
        f"| the server | {_side([one.server for one in rounds])}; "
        f"p50 {1000 * latencies['p50']:.0f} ms, p95 {1000 * latencies['p95']:.0f} ms |",
        f"| `hierpets predict FOLDER --out FILE` | {_side([one.bulk for one in rounds])} |",
        f"| processor time, server / bulk | {median(ratios):.2f} (rounds: {min(ratios):.2f} to {max(ratios):.2f}) |",
    ]


def _side(costs: Sequence[Cost]) -> str:
    per_photo, rate = median(cost.per_photo for cost in costs), median(cost.rate for cost in costs)
    return f"{per_photo:.1f} ms of processor time per photo, {rate:.0f} photos per second"
