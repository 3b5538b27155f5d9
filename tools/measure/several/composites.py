"""Compose photos of several animals from photos of one animal each, without overlap and with soft edges."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from hierpets.data.labeled.index import read_index
from hierpets.data.listing import list_photos
from hierpets.data.photos import read_photo
from hierpets.regions.boxes import Box
from hierpets.registry.loading import load_registry
from hierpets.taxonomy import Leaf

FRAMES = ((480, 640), (480, 720), (480, 480), (360, 640), (640, 480))  # height and width, as cameras have them
SOFT = 0.06  # share of the shorter side of a photo over which its edges fade into the background
TRIES = 500  # random arrangements before other photos and another frame are drawn

Share = tuple[float, float]
"""Lowest and highest share of the frame's area for the photo of a pet."""


class Pet(NamedTuple):
    """A labeled photo, RGB uint8 [H, W, 3]."""

    pixels: np.ndarray
    leaf: Leaf


@dataclass(frozen=True)
class Composite:
    """Several pets in one photo, each in its own box."""

    pixels: np.ndarray
    pets: tuple[Pet, ...]
    boxes: tuple[Box, ...]


def read_arguments(description: str | None, *, most: int, count: int, what: str) -> argparse.Namespace:
    """Parse the bundle, the photos and how many are used, the ``count`` of ``what``, and the page; None to print."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, help="default: the released one")
    parser.add_argument("--data", required=True, help="labeled photos of one pet each, not used for any choice")
    parser.add_argument("--backgrounds", required=True, help="photos without pets")
    parser.add_argument("--most", type=int, default=most, help="number of photos of --data, drawn at random")
    parser.add_argument("--count", type=int, default=count, help=what)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", type=Path, metavar="PAGE")
    return parser.parse_args()


def milliseconds(predict: Callable[[np.ndarray], object], photos: Sequence[np.ndarray]) -> float:
    """Return the mean time per photo in milliseconds, one after the other, after one call to warm up."""
    predict(photos[0])
    start = time.perf_counter()
    for photo in photos:
        predict(photo)
    return 1000 * (time.perf_counter() - start) / len(photos)


def read_pets(data: str, most: int, seed: int) -> list[Pet]:
    """Read labeled photos, drawn at random."""
    records = [record for record in read_index(data).records if record.breed]
    order = np.random.default_rng(seed).permutation(len(records))[:most]
    return [Pet(read_photo(records[i].path), Leaf(records[i].species, records[i].breed)) for i in order.tolist()]


def read_backgrounds(folder: str, *, half: int = 1) -> list[np.ndarray]:
    """Read every second photo without pets. Constants were chosen on ``half`` 0, so others should be measured on 1."""
    return [read_photo(path) for path in sorted(list_photos([folder], (), load_registry()))[half::2]]


def compose(
    pets: Sequence[Pet], shares: Sequence[Share], background: np.ndarray | None, rng: np.random.Generator
) -> Composite | None:
    """Place pets at random positions of a frame, each on its share of the area, over a photo or a plain color; None if
    they do not fit.
    """
    frame = FRAMES[rng.integers(len(FRAMES))]
    places = arrange([pet.pixels.shape[:2] for pet in pets], shares, frame, rng)
    if places is None:
        return None
    height, width = frame
    if background is None:
        background = np.full((1, 1, 3), rng.integers(40, 220, 3), np.uint8)
    canvas = np.asarray(cv2.resize(background, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    for pet, place in zip(pets, places, strict=True):
        paste(canvas, pet.pixels, place)
    boxes = (Box.between(x / width, y / height, (x + w) / width, (y + h) / height) for x, y, w, h in places)
    return Composite(canvas, tuple(pets), tuple(boxes))


Place = tuple[int, int, int, int]
"""Left, top, width and height in pixels."""


def arrange(
    shapes: Sequence[tuple[int, int]], shares: Sequence[Share], frame: tuple[int, int], rng: np.random.Generator
) -> list[Place] | None:
    """Find places for photos of these shapes that do not overlap; None if there are none."""
    for _ in range(TRIES):
        places: list[Place] = []
        for shape, share in zip(shapes, shares, strict=True):
            place = _somewhere(shape, frame, rng, share)
            if place is None or any(_overlap(place, other) for other in places):
                break
            places.append(place)
        else:
            return places
    return None


def _somewhere(shape: tuple[int, int], frame: tuple[int, int], rng: np.random.Generator, share: Share) -> Place | None:
    area = rng.uniform(*share) * frame[0] * frame[1]
    scale = (area / (shape[0] * shape[1])) ** 0.5
    height, width = round(shape[0] * scale), round(shape[1] * scale)
    if height > frame[0] or width > frame[1]:
        return None
    return int(rng.integers(frame[1] - width + 1)), int(rng.integers(frame[0] - height + 1)), width, height


def _overlap(a: Place, b: Place) -> bool:
    return all(a[i] < b[i] + b[i + 2] and b[i] < a[i] + a[i + 2] for i in (0, 1))


def paste(canvas: np.ndarray, photo: np.ndarray, place: Place) -> None:
    """Paste a photo into the canvas, in place, with fading edges."""
    x, y, width, height = place
    small = cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA)
    rows, columns = (np.minimum(np.arange(1, n + 1), np.arange(n, 0, -1)) for n in (height, width))
    opacity = (np.minimum(rows[:, None], columns) / max(1.0, SOFT * min(width, height))).clip(0, 1)[..., None]
    part = canvas[y : y + height, x : x + width]
    part[:] = np.rint(opacity * small + (1 - opacity) * part)
