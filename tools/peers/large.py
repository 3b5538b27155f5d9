"""Photos of 12 megapixels in hierpets: decoded at a reduction, beside decoded in full and then treated alike.

python -m tools.peers.large --bundle BUNDLE --photos FOLDER --out RESULT.json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from hierpets.data.photos import NamedPhoto, read_photo
from tools.peers.hierpets_side import HierpetsSide, load

__all__ = ["compare"]


def compare(side: HierpetsSide, paths: list[str]) -> dict[str, list[float] | float]:
    """Seconds of each photo both ways, turn about, and the share of photos with the same answer."""
    ways: dict[str, Callable[[str], str]] = {
        "reduced": lambda path: side.one(path),
        "full": lambda path: side.one(NamedPhoto(path, read_photo(path))),
    }
    for answer in ways.values():  # warm-up
        answer(paths[0])
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    same = 0
    for path in paths:
        answers = set()
        for way, answer in ways.items():
            start = perf_counter()
            answers.add(answer(path))
            seconds[way].append(perf_counter() - start)
        same += len(answers) == 1
    return {**seconds, "same": same / len(paths)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    paths = sorted(str(path) for path in given.photos.glob("*.jpg"))
    given.out.write_text(json.dumps(compare(load(given.bundle), paths)))


if __name__ == "__main__":
    main()
