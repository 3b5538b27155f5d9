"""Arguments for the photos of a measurement, and shares of the answers."""

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
    """Parse the paths of these :data:`SOURCES`, and ``write``, the page to write; None to print."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    for source in sources:
        parser.add_argument(f"--{source}", required=True, help=SOURCES[source])
    parser.add_argument("--write", type=Path, help="the page that keeps the table")
    return parser.parse_args()


def share_named(predictions: Sequence[Prediction]) -> float:
    """Return the percentage of photos that are named a breed."""
    return 100 * float(np.mean([one.level == "breed" for one in predictions]))


def share_right(predictions: Sequence[Prediction], records: Sequence[PhotoRecord]) -> float:
    """Return the percentage of correct breeds among the photos that are named one."""
    pairs = zip(predictions, records, strict=True)
    return 100 * float(np.mean([one.breed == record.breed for one, record in pairs if one.level == "breed"]))
