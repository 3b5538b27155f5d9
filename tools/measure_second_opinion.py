"""What the second opinion of a detector refuses, of pets and of other animals, and how often it is asked.

    python tools/measure_second_opinion.py --data ../shared/data --write docs/experiments.md

``--data`` holds ``pets``, ``elsewhere``, ``unseen-breeds/dog`` and ``unseen-breeds/cat``, ``horses`` and ``not-pets``.
Without ``--write`` the text goes to standard output.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hierpets.data.listing import find_photos
from hierpets.inference.detector.network import Detections, Detector
from hierpets.inference.detector.opinion import SecondOpinion
from hierpets.inference.loading import load
from hierpets.inference.predictor import Predictor
from hierpets.workers import cores
from tools.pages.marks import publish

GROUPS = {
    "Oxford's photos, which the model was fitted to": "pets",
    "photos from elsewhere": "elsewhere",
    "unlisted dogs": "unseen-breeds/dog",
    "unlisted cats, a third of them tigers": "unseen-breeds/cat",
    "horses": "horses",
    "no pets": "not-pets",
}


class Counted(Detector):
    """The detector, and how often it was ``asked``."""

    asked = 0

    def __call__(self, pixels: np.ndarray) -> Detections:
        self.asked += 1
        return super().__call__(pixels)


def refused(predictor: Predictor, photos: list[str]) -> float:
    """The share of photos that are called no known pet."""
    decisions = [found.decision for found in predictor.stream(photos)]
    return float(np.mean([one is not None and one.source == "not_a_known_pet" for one in decisions]))


def page(predictor: Predictor, data: Path) -> str:
    """The table."""
    detector = Counted()
    manifest, engine, model = predictor.manifest, predictor.engine, predictor.model
    alone = Predictor(manifest, engine, model=model)
    heard = Predictor(manifest, engine, second_opinion=SecondOpinion.of(manifest, detector), model=model)
    rows = ["| photos | number | asked about | refused by the network alone | with the second opinion |"]
    rows.append("|---|---|---|---|---|")
    for name, folder in GROUPS.items():
        photos = list(find_photos(data / folder))
        detector.asked = 0
        shares = refused(alone, photos), refused(heard, photos)
        cells = (f"{share:.1%}" for share in (detector.asked / len(photos), *shares))
        rows.append(f"| {name} | {len(photos)} | {' | '.join(cells)} |")
    return "\n".join(rows)


def main() -> None:
    """Predict all photos with and without it, and print or write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, help="default: the released one")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--write", type=Path, metavar="PAGE")
    given = parser.parse_args()
    predictor = load(given.bundle, workers=cores(), recommend=False)
    publish(page(predictor, given.data), given.write, __file__)


if __name__ == "__main__":
    main()
