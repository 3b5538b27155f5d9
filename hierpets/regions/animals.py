"""What may be the animals of a photo, from what the network answers at each place of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from hierpets.regions.boxes import Box
from hierpets.regions.candidates import MOST, Candidates, Finder
from hierpets.regions.files import FoundBox
from hierpets.regions.hills import separate

__all__ = ["find_candidates"]

# Chosen on composites, single photos and close-ups of Oxford-IIIT Pet's trainval part (docs/regions.md).
DROP = 6.0  # of the pet score between two hills of one species
SHARE = 0.35  # of the way from the least score to the peak, at which a box ends
ALIKE = 0.6  # cosine of their features above which two hills are parts of one animal
LEAST_PEAK = -2.0  # pet score at the highest place of an animal
LEAST_MASS = 0.05  # of the largest animal's
SURE_PEAK = 2.0  # pet score at the peak of what surely is a pet
GAP = -12.0  # pet score somewhere between them


class _Hill(NamedTuple):
    """``mass`` is the response above the least one, summed; ``direction`` [D] of its features, of length one."""

    mass: float
    peak: float
    box: Box
    direction: np.ndarray


def find_candidates(
    pet: np.ndarray, species: np.ndarray, features: np.ndarray, *, least: float, extent: tuple[float, float]
) -> Candidates:
    """What may be the animals of a photo.

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
    best = response.max(axis=2)
    animals = _animals(hills, best, extent)
    found = [one for one in animals if one.peak >= LEAST_PEAK and one.mass >= LEAST_MASS * animals[0].mass][:MOST]
    apart = [_are_apart(one, other, best, extent) for one in found for other in found]
    return Candidates(
        tuple(FoundBox(one.box) for one in found),
        np.array([one.mass for one in found], float),
        np.array([one.peak >= SURE_PEAK for one in found], bool),
        np.array(apart, bool).reshape(len(found), len(found)),
        np.full(len(found), Finder.PLACES),
    ).where(range(len(found)))


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


def _animals(hills: Sequence[_Hill], best: np.ndarray, extent: tuple[float, float]) -> list[_Hill]:
    """Hills joined where they are parts of one animal, the largest first: head and flank, or one that looks like a cat
    from the front and like a dog from behind. Two animals differ in their features, or lie apart.
    """
    animals: list[list[_Hill]] = []
    for hill in sorted(hills, key=lambda hill: -hill.mass):
        whole = [parts for parts in animals if not _are_apart(parts[0], hill, best, extent)]
        alike = [float(parts[0].direction @ hill.direction) for parts in whole]
        if alike and max(alike) > ALIKE:
            whole[int(np.argmax(alike))].append(hill)
        else:
            animals.append([hill])
    return [parts[0]._replace(box=Box.around(part.box for part in parts)) for parts in animals]


def _are_apart(one: _Hill, other: _Hill, best: np.ndarray, extent: tuple[float, float]) -> bool:
    """Whether both are surely pets, and the straight way between them leads over what is none; ``best`` [h, w] is the
    largest response of a species.
    """
    if one.box.shared(other.box) > 0 or min(one.peak, other.peak) < SURE_PEAK:
        return False
    start, end = (_middle(hill.box, extent) for hill in (one, other))
    steps = 2 + int(2 * np.abs(end - start).max())
    way = np.rint(start + np.linspace(0, 1, steps)[:, None] * (end - start)).astype(int)
    rows, columns = way.clip(0, np.array(best.shape) - 1).T
    return bool(best[rows, columns].min() < GAP)


def _middle(box: Box, extent: tuple[float, float]) -> np.ndarray:
    """Row and column of the place in the middle of a box."""
    left, top, right, bottom = box.edges
    return np.array([(top + bottom) / 2, (left + right) / 2]) * extent - 0.5
