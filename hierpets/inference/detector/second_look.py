"""A second look at photos of doubtful pets: a detector says where the animal is, and whether it is a pet.

A small animal is cut out, and the main network asked again. What the pretrained head says of a horse hardly differs
from what it says of an odd photo of a dog, and a detector was trained to tell the two apart (docs/experiments.md). It
takes nearly as long as the network itself, so that it is asked about few photos.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from hierpets.bundle.manifest import Manifest
from hierpets.errors import ImageError
from hierpets.hierarchy.second_look import both_looks, is_doubtful
from hierpets.inference.detector.network import Detections, Detector, known_animals
from hierpets.inference.engines.base import RawOutput
from hierpets.inference.engines.cascade import LookAgain, Squares
from hierpets.regions.boxes import Box
from hierpets.regions.detections import small_animal

__all__ = ["WEIGHT", "SecondLook", "SecondLookRule", "closer_part", "lowered"]

OTHERS = ("horse", "zebra")
"""Animals for which pets are not taken. For sheep, cows, birds and bears, long-haired and small dogs are."""

WEIGHT = 3.0  # of the pet score for each by which the logit of another animal is higher than that of every pet


def closer_part(seen: Detections, species: Sequence[str], photo: np.ndarray) -> Box | None:
    """The part of a photo [H, W, 3] that is worth a second look: around the likeliest animal of these species, if that
    is small.
    """
    found = small_animal(seen.edges, seen.probability(species))
    return None if found is None else found.squared(*photo.shape[:2])


class SecondLookRule(NamedTuple):
    """What a model looks again for. ``least`` is the least pet score of a pet, ``species`` are those of the model that
    the detector knows, and ``others`` the animals that speak against a pet; ``closer``: whether the model's thresholds
    are fitted to it that the main network is asked again about small animals.
    """

    least: float
    species: tuple[str, ...]
    others: tuple[str, ...]
    closer: bool

    @classmethod
    def of(cls, manifest: Manifest) -> SecondLookRule | None:
        """That of a model; None where it has no pet score, or where the detector could say nothing."""
        species, least = manifest.taxonomy.species, manifest.policy.pet
        known = known_animals(species)
        if least is None or not known:
            return None
        # What is no pet can be told where the detector knows all of them.
        others = [animal for animal in OTHERS if animal not in species] if len(known) == len(species) else []
        return cls(least, known, tuple(others), manifest.second_look) if others or manifest.second_look else None


class SecondLook:
    """Looks again, with a ``detector`` and by its ``rule``, at photos that leave a model in doubt."""

    def __init__(self, manifest: Manifest, detector: Detector, rule: SecondLookRule):
        self._manifest, self._detector, self._rule = manifest, detector, rule

    @classmethod
    def of(cls, manifest: Manifest, detector: Detector) -> SecondLook | None:
        """That of a model; None where it has no :class:`SecondLookRule`."""
        rule = SecondLookRule.of(manifest)
        return cls(manifest, detector, rule) if rule is not None else None

    def __call__(
        self, output: RawOutput, again: LookAgain, *, rows: np.ndarray, closer: bool = True
    ) -> tuple[RawOutput, Mapping[int, Box]]:
        """The output after the second look, and the part of each photo that the main network was asked about again;
        without ``closer``, of none. ``rows`` bool [B]: the photos that may be looked at again.
        """
        parts, squares, leads = dict[int, Box](), list[Squares](), dict[int, float]()
        closer = closer and self._rule.closer
        if not closer and not self._rule.others:
            return output, parts
        for row in self._doubtful(output):
            if not rows[row] or (not closer and output.scores[row, 0] < self._rule.least):
                continue  # of the latter nothing could be taken
            try:
                photo = again.read(row)  # one at a time: it may be large
            except ImageError:  # too large in twice the detail, or gone: the first look stands
                continue
            seen = self._detector(photo)
            part = closer_part(seen, self._rule.species, photo) if closer else None
            if part is not None:
                parts[row] = part
                squares.append(again.see(part.cut(photo)))
            if self._rule.others:
                leads[row] = self._lead(seen)
        if parts:
            output = _merged(output, again.ask(squares), [*parts])
        if leads:
            output = _lowered(output, {row: leads[row] for row in self._doubtful(output) if row in leads})
        return output, parts

    def _doubtful(self, output: RawOutput) -> list[int]:
        """Rows of photos that are looked at again."""
        rows = is_doubtful(output.outputs, self._manifest.calibration, least=self._rule.least)
        found: list[int] = np.flatnonzero(rows).tolist()
        return found

    def _lead(self, seen: Detections) -> float:
        """By how much the logit of a pet is higher than that of another animal."""
        return float(seen.best(self._rule.species).max() - seen.best(self._rule.others).max())


def _merged(output: RawOutput, closer: RawOutput, rows: Sequence[int]) -> RawOutput:
    """The output with that of a ``closer`` look at some ``rows``; the features stay those of whole photos."""
    return RawOutput(output.features, *both_looks(output.outputs, closer.outputs, np.array(rows)))


def _lowered(output: RawOutput, leads: Mapping[int, float]) -> RawOutput:
    """The output with the pet scores of some rows lowered, by their ``leads``."""
    if not leads:
        return output
    rows, scores = [*leads], output.scores.copy()
    scores[rows, 0] = lowered(scores[rows, 0], np.array([*leads.values()]))
    return output._replace(scores=scores)


def lowered(scores: np.ndarray, leads: np.ndarray) -> np.ndarray:
    """Pet scores [N] of photos in which pets have these ``leads`` [N] over other animals: no score is raised."""
    return scores + WEIGHT * np.minimum(leads, 0.0).astype(scores.dtype)
