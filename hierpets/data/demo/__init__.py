"""The embedded demo set: synthetic images of cats, dogs and rabbits, rendered from their names without any file."""

from __future__ import annotations

import hashlib

import numpy as np

from hierpets.data.demo.breeds import BREEDS
from hierpets.data.demo.canvas import SIZE, Canvas, Frame
from hierpets.data.demo.pets import draw_pet
from hierpets.data.records import PhotoIndex, PhotoRecord, index_of
from hierpets.errors import ImageError, did_you_mean

__all__ = ["demo_index", "render"]

SEED = 0
NO_BREED = "-"
SPLIT_OF_FIVE = ("train", "train", "train", "val", "test")


def demo_index() -> PhotoIndex:
    """Index 330 photos ``demo:SPECIES/BREED/NUMBER`` with their splits, three in five for training. Each shows another
    animal, though drawn animals look alike.
    """
    return index_of(
        PhotoRecord(f"demo:{species}/{breed or NO_BREED}/{n}", species, breed, SPLIT_OF_FIVE[n % 5], str(n))
        for (species, breed), look in BREEDS.items()
        for n in range(look.photos)
    )


def _seed_of(uri: str) -> int:
    return int.from_bytes(hashlib.blake2b(f"{SEED}/{uri}".encode(), digest_size=4).digest(), "big")


def render(uri: str) -> np.ndarray:
    """Draw the photo ``demo:SPECIES/BREED/NUMBER``, RGB uint8 [256, 256, 3]. The same name gives the same pixels.

    Any number is valid, also beyond those of :func:`demo_index`. A breed of ``-`` has no name.
    """
    species, breed = _parse(uri)
    rng = np.random.RandomState(_seed_of(uri))
    canvas = Canvas(rng)
    canvas.scenery()
    scale = SIZE * rng.uniform(0.1, 0.24)
    lower = 0.1 if species == "rabbit" else 0.0  # room for the ears
    frame = Frame(SIZE * rng.uniform(0.35, 0.65), SIZE * (rng.uniform(0.36, 0.5) + lower), scale, rng.uniform(-5, 5))
    draw_pet(canvas, species, BREEDS[species, breed], frame)
    photo = canvas.develop()
    return np.ascontiguousarray(photo[:, ::-1]) if rng.rand() < 0.5 else photo


def _parse(uri: str) -> tuple[str, str | None]:
    parts = uri.removeprefix("demo:").split("/")
    if len(parts) != 3 or not (parts[2].isascii() and parts[2].isdigit()):
        raise ImageError(f"expected demo:SPECIES/BREED/NUMBER, got {uri!r}")
    species, breed = parts[0], None if parts[1] == NO_BREED else parts[1]
    if (species, breed) not in BREEDS:
        known = [f"{s}/{b or NO_BREED}" for s, b in BREEDS]
        raise ImageError(f"no demo pet {'/'.join(parts[:2])!r}{did_you_mean('/'.join(parts[:2]), known)}")
    return species, breed
