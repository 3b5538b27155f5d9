"""Find candidates for the animals in a photo, from the outputs of the network at each place of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from hierpets.regions.boxes import Box
from hierpets.regions.candidates import MAX_BOXES, Candidates, Finder
from hierpets.regions.files import FoundBox
from hierpets.regions.hills import separate

__all__ = ["find_candidates"]

# Chosen on composites, single photos and close-ups of Oxford-IIIT Pet's trainval part (docs/regions.md).
DROP = 6.0  # drop of the pet score that separates two hills of one species
SHARE = 0.35  # of the way from the lowest score to the peak: the level at which a box ends
ALIKE = 0.6  # cosine of their features above which two hills are parts of one animal
MIN_PEAK = -2.0  # pet score at the highest place of an animal
MIN_MASS = 0.05  # of the mass of the largest animal
SURE_PEAK = 2.0  # pet score at the peak of what surely is a pet
GAP = -12.0  # pet score somewhere between two animals that are apart


class _Hill(NamedTuple):
    """``mass`` is the sum of the response above the lowest one; ``direction`` [D] is that of its features, a unit
    vector.
    """

    mass: float
    peak: float
    box: Box
    direction: np.ndarray


def find_candidates(
    pet: np.ndarray, species: np.ndarray, features: np.ndarray, *, pet_threshold: float, extent: tuple[float, float]
) -> Candidates:
    """Find candidates for the animals in a photo.

    ``pet`` [h, w] are the pet scores at each place, ``species`` [h, w, S] the log probabilities of the species and
    ``features`` [h, w, D] the features. ``pet_threshold`` is the lowest pet score of a place on an animal. The photo
    covers the upper left part of the map: ``extent`` places down and across.
    """
    rows, columns = (int(np.ceil(places)) for places in extent)
    response = (pet[..., None] + species)[:rows, :columns]
    hills = [
        hill
        for of_species in np.moveaxis(response, 2, 0)
        for hill in _hills(of_species, features[:rows, :columns], pet_threshold, extent)
    ]
    best = response.max(axis=2)
    animals = _animals(hills, best, extent)
    found = [one for one in animals if one.peak >= MIN_PEAK and one.mass >= MIN_MASS * animals[0].mass][:MAX_BOXES]
    apart = [_are_apart(one, other, best, extent) for one in found for other in found]
    return Candidates(
        tuple(FoundBox(one.box) for one in found),
        np.array([one.mass for one in found], float),
        np.array([one.peak >= SURE_PEAK for one in found], bool),
        np.array(apart, bool).reshape(len(found), len(found)),
        np.full(len(found), Finder.PLACES),
    ).where(range(len(found)))


def _hills(
    response: np.ndarray, features: np.ndarray, pet_threshold: float, extent: tuple[float, float]
) -> Iterator[_Hill]:
    numbers = separate(response, threshold=pet_threshold, drop=DROP)
    for number in range(numbers.max() + 1):
        own = numbers == number
        peak = float(response[own].max())
        above = np.where(own, response - pet_threshold, 0.0)
        direction = np.tensordot(above, features, 2)
        box = _box(own & (above >= SHARE * (peak - pet_threshold)), extent)
        yield _Hill(float(above.sum()), peak, box, direction / max(float(np.linalg.norm(direction)), 1e-12))


def _box(inside: np.ndarray, extent: tuple[float, float]) -> Box:
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    height, width = extent
    return Box.between(columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height)


def _animals(hills: Sequence[_Hill], best: np.ndarray, extent: tuple[float, float]) -> list[_Hill]:
    """Merge hills that are parts of one animal; the largest first.

    Such parts are head and flank, or a front that looks like a cat and a back that looks like a dog. Hills of two
    animals differ in their features, or lie apart.
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
    """Whether both are surely pets and the straight line between them crosses a place that is none.

    ``best`` [h, w] is the largest response of any species.
    """
    if one.box.overlap(other.box) > 0 or min(one.peak, other.peak) < SURE_PEAK:
        return False
    start, end = (_center(hill.box, extent) for hill in (one, other))
    steps = 2 + int(2 * np.abs(end - start).max())
    line = np.rint(start + np.linspace(0, 1, steps)[:, None] * (end - start)).astype(int)
    rows, columns = line.clip(0, np.array(best.shape) - 1).T
    return bool(best[rows, columns].min() < GAP)


def _center(box: Box, extent: tuple[float, float]) -> np.ndarray:
    """Row and column of the center of a box on the map."""
    left, top, right, bottom = box.edges
    return np.array([(top + bottom) / 2, (left + right) / 2]) * extent - 0.5
