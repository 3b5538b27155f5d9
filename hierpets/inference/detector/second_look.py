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
from hierpets.hierarchy.outputs import Outputs
from hierpets.hierarchy.probabilities import most_probable_species
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


class Opinion(NamedTuple):
    """Animals that speak for a pet, and against one; none of the latter where the detector is not heard."""

    pets: tuple[str, ...]
    others: tuple[str, ...]

    @classmethod
    def of(cls, species: Sequence[str]) -> Opinion:
        """That on photos of these species; what is no pet can be told where the detector knows all of them."""
        known = known_animals(species)
        others = [animal for animal in OTHERS if animal not in known] if len(known) == len(species) else []
        return cls(known, tuple(others))

    def lead(self, seen: Detections) -> float:
        """By how much the logit of a pet is higher than that of another animal."""
        return float(seen.best(self.pets).max() - seen.best(self.others).max()) if self.others else 0.0


class SecondLookRule(NamedTuple):
    """What a model looks again for. ``least`` is the least pet score of a pet, ``species`` are those of the model that
    the detector knows, and ``opinions`` for each of all those of the model what is heard on photos that are taken for
    it; ``closer``: whether the model's thresholds are fitted to it that the main network is asked again about small
    animals.
    """

    least: float
    species: tuple[str, ...]
    opinions: tuple[Opinion, ...]
    closer: bool

    @classmethod
    def of(cls, manifest: Manifest) -> SecondLookRule | None:
        """That of a model; None where it has no pet score, or where the detector could say nothing."""
        species, least = manifest.taxonomy.species, manifest.policy.pet
        known = known_animals(species)
        if least is None or not known:
            return None
        # What is taken for a trained species is judged as if no other had been grown.
        trained = tuple(name for name in species if name not in manifest.grown_species)
        opinions = tuple(Opinion.of(trained if name in trained else species) for name in species)
        is_heard = any(opinion.others for opinion in opinions)
        return cls(least, known, opinions, manifest.second_look) if is_heard or manifest.second_look else None


class SecondLook:
    """Looks again, with a ``detector`` and by its ``rule``, at photos that leave a model in doubt."""

    def __init__(self, manifest: Manifest, detector: Detector, rule: SecondLookRule):
        self._manifest, self._detector, self._rule = manifest, detector, rule
        self._grown = np.array([name in manifest.grown_species for name in manifest.taxonomy.species])

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
        parts, squares, found = dict[int, Box](), list[Squares](), dict[int, Detections]()
        closer = closer and self._rule.closer
        for row, opinion in self._doubtful(output).items():
            may_lower = output.scores[row, 0] >= self._rule.least and opinion.others
            if not rows[row] or not (closer or may_lower):
                continue
            try:
                photo = again.read(row)  # one at a time: it may be large
            except ImageError:  # too large in twice the detail, or gone: the first look stands
                continue
            found[row] = self._detector(photo)
            part = closer_part(found[row], self._rule.species, photo) if closer else None
            if part is not None:
                parts[row] = part
                squares.append(again.see(part.cut(photo)))
        if parts:
            output, parts = self._merged(output, again.ask(squares), parts)
        opinions = self._doubtful(output)
        return _lowered(output, {row: opinions[row].lead(found[row]) for row in opinions if row in found}), parts

    def _doubtful(self, output: RawOutput) -> dict[int, Opinion]:
        """The photos that leave doubt, by their rows, and what is heard on each."""
        rows = np.flatnonzero(is_doubtful(output.outputs, self._manifest.calibration, least=self._rule.least))
        if not len(rows):  # few photos do, and every batch is asked about
            return {}
        species = self._species(output.outputs.where(rows))
        return {row: self._rule.opinions[s] for row, s in zip(rows.tolist(), species.tolist(), strict=True)}

    def _species(self, outputs: Outputs) -> np.ndarray:
        """The number of the most probable species of each photo."""
        return most_probable_species(self._manifest.calibration.joint(outputs), self._manifest.taxonomy)

    def _merged(
        self, output: RawOutput, closer: RawOutput, parts: Mapping[int, Box]
    ) -> tuple[RawOutput, dict[int, Box]]:
        """The output with that of a ``closer`` look at some ``parts``, and these; the features stay those of whole
        photos. The first look stands where one of both takes a photo for a grown species, and both together do not: its
        pet score would be in part that of another species.
        """
        rows = np.array([*parts])
        both = both_looks(output.outputs, closer.outputs, rows)
        if not self._grown.any():
            return RawOutput(output.features, *both), dict(parts)
        first, second, together = (
            self._grown[self._species(own)] for own in (output.outputs.where(rows), closer.outputs, both.where(rows))
        )
        stands = (first | second) & ~together
        for values, before in zip(both, output.outputs, strict=True):
            values[rows[stands]] = before[rows[stands]]
        kept = {row: parts[row] for row in rows[~stands].tolist()}
        return RawOutput(output.features, *both), kept


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
