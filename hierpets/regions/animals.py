"""The animals of a photo, from what each place of it answers: hills of the pet score, joined by their features."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from hierpets.regions.boxes import Box
from hierpets.regions.files import FoundBox
from hierpets.regions.hills import separate

__all__ = ["find_animals"]

# Chosen on composites and single photos of Oxford-IIIT Pet's trainval part (docs/regions.md).
DROP = 8.0  # of the pet score between two hills of one species
SHARE = 0.35  # of the way from the least score to the peak, at which a box ends
ALIKE = 0.4  # cosine of their features above which two hills are parts of one animal
LEAST_PEAK = 0.0  # pet score at the highest place of an animal
MOST = 16  # animals of a photo: each costs as much as a photo


class _Hill(NamedTuple):
    """``mass`` is the response above the least one, summed; ``direction`` [D] of its features, of length one."""

    mass: float
    peak: float
    box: Box
    direction: np.ndarray


def find_animals(
    pet: np.ndarray, species: np.ndarray, features: np.ndarray, *, least: float, extent: tuple[float, float]
) -> list[FoundBox]:
    """The animals, from left to right, each with the pet score at its peak.

    ``pet`` [h, w] are the pet scores of places, ``species`` [h, w, S] the logarithms of the probabilities of species,
    ``features`` [h, w, D]; ``least`` is the least pet score of a place on an animal. The photo takes the upper left
    part of the map: ``extent`` places down and across.
    """
    rows, columns = (int(np.ceil(places)) for places in extent)
    response = (pet[..., None] + species)[:rows, :columns]
    hills = [
        hill
        for of_species in np.moveaxis(response, 2, 0)
        for hill in _hills(of_species, features[:rows, :columns], least, extent)
    ]
    animals = [_found(parts) for parts in _animals(hills) if parts[0].peak >= LEAST_PEAK]
    return sorted(animals[:MOST], key=lambda one: one.box.edges)


def _hills(response: np.ndarray, features: np.ndarray, least: float, extent: tuple[float, float]) -> Iterator[_Hill]:
    numbers = separate(response, least=least, drop=DROP)
    for number in range(numbers.max() + 1):
        own = numbers == number
        peak = float(response[own].max())
        above = np.where(own, response - least, 0.0)
        direction = np.tensordot(above, features, 2)
        box = _box(own & (above >= SHARE * (peak - least)), extent)
        yield _Hill(float(above.sum()), peak, box, direction / max(float(np.linalg.norm(direction)), 1e-12))


def _box(inside: np.ndarray, extent: tuple[float, float]) -> Box:
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    height, width = extent
    return Box.between(columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height)


def _animals(hills: Sequence[_Hill]) -> list[list[_Hill]]:
    """Hills by the animal that they are parts of, the largest first: head and flank, or one that looks like a cat from
    the front and like a dog from behind. Two animals differ in their features, even of one species.
    """
    animals: list[list[_Hill]] = []
    for hill in sorted(hills, key=lambda hill: -hill.mass):
        alike = [float(parts[0].direction @ hill.direction) for parts in animals]
        if alike and max(alike) > ALIKE:
            animals[int(np.argmax(alike))].append(hill)
        else:
            animals.append([hill])
    return animals


def _found(parts: Sequence[_Hill]) -> FoundBox:
    return FoundBox(Box.around(part.box for part in parts), parts[0].peak)
