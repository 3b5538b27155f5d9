"""The photos that a measurement asks about, and what is counted of the answers."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hierpets.data.records import PhotoRecord
from hierpets.inference.prediction import Prediction

__all__ = ["SOURCES", "read_arguments", "share_named", "share_right"]

SOURCES = {
    "data": "SPECIES/BREED/photo.jpg, to train on",
    "elsewhere": "photos of the same breeds from other sources",
    "unlisted": "photos of other breeds, a folder for each species",
    "horses": "photos of horses",
    "no-pets": "photos of no pet",
}


def read_arguments(description: str | None, *sources: str) -> argparse.Namespace:
    """The places of these :data:`SOURCES`, and the page to ``write``, None to print."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    for source in sources:
        parser.add_argument(f"--{source}", required=True, help=SOURCES[source])
    parser.add_argument("--write", type=Path, help="the page that keeps the table")
    return parser.parse_args()


def share_named(predictions: Sequence[Prediction]) -> float:
    """Of the photos, percent."""
    return 100 * float(np.mean([one.level == "breed" for one in predictions]))


def share_right(predictions: Sequence[Prediction], records: Sequence[PhotoRecord]) -> float:
    """Of those that are named, percent."""
    pairs = zip(predictions, records, strict=True)
    return 100 * float(np.mean([one.breed == record.breed for one, record in pairs if one.level == "breed"]))
