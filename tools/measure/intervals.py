"""Measure how often the interval of balanced accuracy contains the true value (docs/metrics.md).

    python tools/measure/intervals.py [--write docs/metrics.md]

Predictions for classes with a known recall are simulated, also for animals whose photos are alike. For each draw it is
checked whether the 95% interval of the bootstrap, of Wilson, and of both, as in metrics.json, contains that recall.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hierpets.evaluation.metrics.classes import balanced_weights
from hierpets.evaluation.metrics.resampling import estimate, interval_of_share, mean_of, wilson_interval_of
from tools.errors import in_one_line
from tools.pages.marks import publish

DRAWS, RESAMPLES = 2000, 400


class Case(NamedTuple):
    """Classes with their ``photos`` and ``recalls``; ``shots`` photos of each animal, a share of them ``alike``."""

    words: str
    photos: tuple[int, ...]
    recalls: tuple[float, ...]
    shots: int = 1
    alike: float = 0.0


CASES = (
    Case("20 classes of 5, 90% each", (5,) * 20, (0.9,) * 20),
    Case("100 and 2, 99% each", (100, 2), (0.99, 0.99)),
    Case("200, 200 and 5, 95% each", (200, 200, 5), (0.95,) * 3),
    Case("10 classes of 2, 2 of 40, 90% each", (2,) * 10 + (40,) * 2, (0.9,) * 12),
    Case("the same, 70% of the rare, 98% of the common", (2,) * 10 + (40,) * 2, (0.7,) * 10 + (0.98,) * 2),
    Case("the same, 98% of the rare, 70% of the common", (2,) * 10 + (40,) * 2, (0.98,) * 10 + (0.7,) * 2),
    Case("100 and 10, 99% and 70%", (100, 10), (0.99, 0.7)),
    Case("200, 200 and 5, 98%, 98% and 50%", (200, 200, 5), (0.98, 0.98, 0.5)),
    Case("100 and 25, 95% and 80%, 5 of each animal, alike", (100, 25), (0.95, 0.8), shots=5, alike=1.0),
    Case("the same, not alike", (100, 25), (0.95, 0.8), shots=5),
)


@in_one_line
def main() -> None:
    """Print the table, or write it into a page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path, help="a page that keeps the table between the tool's marks")
    args = parser.parse_args()
    rows = ["| classes of so many photos, and their recall | bootstrap | Wilson | both |", "|---|---|---|---|"]
    for case in CASES:
        held = " | ".join(f"{share:.1%}" for share in coverage(case))
        rows.append(f"| {case.words} | {held} |")
        print(rows[-1], file=sys.stderr)
    publish("\n".join(rows), args.write, __file__)


def coverage(case: Case, *, draws: int = DRAWS, resamples: int = RESAMPLES) -> np.ndarray:
    """Return how often the intervals of the bootstrap, of Wilson and of both contain the mean recall, float [3]."""
    classes = np.repeat(np.arange(len(case.photos)), case.photos)
    groups = np.arange(len(classes)) // case.shots
    weights, rng = balanced_weights(classes), np.random.default_rng(0)
    held = np.zeros(3)
    for draw in range(draws):
        alike = rng.random(len(classes)) < case.alike
        luck = np.where(alike, rng.random(len(classes))[groups], rng.random(len(classes)))
        hits = luck < np.array(case.recalls)[classes]
        share = mean_of("share", hits, weights)
        _, found = estimate(share, len(hits), seed=draw, resamples=resamples, groups=groups)
        wilson = wilson_interval_of(hits, weights, groups=groups) or (0.0, 1.0)
        both = interval_of_share(hits, found["share"], weights, groups=groups)
        held += [low - 1e-9 <= np.mean(case.recalls) <= high + 1e-9 for low, high in (found["share"], wilson, both)]
    return held / draws


if __name__ == "__main__":
    sys.exit(main())
