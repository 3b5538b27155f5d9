"""A second look at doubtful photos: a detector finds out where the animal is, and whether it is a pet.

A small animal is cut out, and the main network runs again on that part. A photo in which the detector sees a horse gets
a lower pet score: the pet classes of the pretrained head hardly tell a horse from an odd photo of a dog, while the
detector was trained to tell them apart (docs/experiments.md). The detector takes longer than the network itself. It
therefore runs on few photos: those in doubt that may show a small animal, and those that look like a horse to the
pretrained head.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from hierpets.bundle.manifest import Manifest
from hierpets.errors import ImageError
from hierpets.hierarchy.likeness import OtherAnimal, likeness_to
from hierpets.hierarchy.outputs import Outputs
from hierpets.hierarchy.policy import PET_SCORE_BAND, SURE_BREED
from hierpets.hierarchy.probabilities import most_probable_species
from hierpets.hierarchy.second_look import both_looks, certainty_in_doubt
from hierpets.inference.detector.network import Detections, Detector, known_animals
from hierpets.inference.engines.base import RawOutput
from hierpets.inference.engines.cascade import PhotoAccess, SecondLookResult, Squares
from hierpets.regions.boxes import Box
from hierpets.regions.detections import is_beside, small_animal

__all__ = [
    "ALLOWED_LOGIT",
    "MAX_CERTAINTY",
    "MIN_LEAD",
    "OBJECTION_WEIGHT",
    "SecondLook",
    "SecondLookRule",
    "closer_part",
    "lowered",
]

OTHERS = ("horse", "zebra")
"""Animals for which the detector does not mistake pets. It mistakes long-haired and small dogs for sheep, cows, birds
and bears."""

MAX_CERTAINTY = 0.8
"""Probability of the best breed, unlisted breeds considered, below which the detector may object to a pet. It is above
one half because for one in three horses that pass as a pet, the best breed has a probability above that."""
MIN_LEAD = 2.0
"""Margin by which the detector's logit of a pet should exceed that of another animal."""
MIN_LIKENESS = 0.75
"""Likeness to another animal from which on the detector may object: one pet in seven reaches it (one in five in photos
from other sources), and nearly every horse."""
SURE_LIKENESS = 3.0
"""Likeness above which the likeness itself counts as an objection, too: at most one pet in a hundred reaches it, and
half of the horses that the detector takes for dogs.
"""
ALLOWED_LOGIT = -5.0
"""Logit of another animal that is always allowed. In poor photos and those of small pets the detector sees nothing at
all, so that a pet cannot have the margin :data:`MIN_LEAD`.
"""
OBJECTION_WEIGHT = 2.0
"""By how much the pet score is lowered per unit of objection."""


def closer_part(seen: Detections, species: Sequence[str], photo: np.ndarray) -> Box | None:
    """The part of a photo [H, W, 3] to look at again: a square around the likeliest animal of these species, if that is
    small; else None.
    """
    found = small_animal(seen.edges, seen.probability(species))
    return None if found is None else found.squared(*photo.shape[:2])


class Opinion(NamedTuple):
    """The detector's classes that speak for a pet, and those that speak against one: none if it cannot object."""

    pets: tuple[str, ...]
    others: tuple[str, ...]

    @classmethod
    def of(cls, species: Sequence[str]) -> Opinion:
        """The opinion on photos that may show these species; the detector can object only if it knows all of them."""
        known = known_animals(species)
        others = [animal for animal in OTHERS if animal not in known] if len(known) == len(species) else []
        return cls(known, tuple(others))

    def may_object(self, likeness: float) -> bool:
        """Whether the detector may object to a photo with this likeness to another animal."""
        return bool(self.others) and likeness >= MIN_LIKENESS

    def objection(self, seen: Detections, likeness: float) -> float:
        """How strongly the detections and the ``likeness`` to another animal speak against a pet.

        It is the amount by which the logit of another animal exceeds what is allowed beside the logit of a pet, plus
        that by which the likeness exceeds :data:`SURE_LIKENESS`. 0 if the detector may not object, or sees a pet beside
        the other animal.
        """
        if not self.may_object(likeness):
            return 0.0
        if is_beside(seen.edges, seen.probability(self.pets), seen.probability(self.others)):
            return 0.0
        allowed = max(seen.best(self.pets).max() - MIN_LEAD, ALLOWED_LOGIT)
        return max(0.0, float(seen.best(self.others).max() - allowed)) + max(0.0, likeness - SURE_LIKENESS)


class SecondLookRule(NamedTuple):
    """How a model takes a second look.

    ``pet_threshold`` is the lowest pet score of a pet. ``species`` are those of the model that the detector knows.
    ``opinions`` has an entry for each species of the model, for photos that are predicted as it. ``animals`` are those
    that the pretrained head tells from pets. ``closer``: whether small animals are cut out and run through the main
    network again, which the thresholds of the model must have been calibrated with.
    """

    pet_threshold: float
    species: tuple[str, ...]
    opinions: tuple[Opinion, ...]
    animals: tuple[OtherAnimal, ...]
    closer: bool

    @classmethod
    def of(cls, manifest: Manifest) -> SecondLookRule | None:
        """The rule of a model; None if it has no pet score, or if a second look could change nothing."""
        species, pet_threshold = manifest.taxonomy.species, manifest.policy.pet
        known = known_animals(species)
        if pet_threshold is None or not known:
            return None
        # Grown species do not change the opinion on photos that are predicted as a trained one.
        trained = tuple(name for name in species if name not in manifest.grown_species)
        opinions = tuple(Opinion.of(trained if name in trained else species) for name in species)
        if not (manifest.second_look or any(opinion.others for opinion in opinions)):
            return None
        return cls(pet_threshold, known, opinions, manifest.other_animals, manifest.second_look)

    def likeness(self, opinion: Opinion, features: np.ndarray) -> float:
        """How much a photo with these features [D] looks like an animal that speaks against a pet.

        If the pretrained head knows no such animal, it is :data:`MIN_LIKENESS`, so that the detector may object.
        """
        return likeness_to(opinion.others, features, self.animals, unknown=MIN_LIKENESS)


class SecondLook:
    """Takes a second look, with a ``detector`` and by a ``rule``, at photos that leave a model in doubt."""

    def __init__(self, manifest: Manifest, detector: Detector, rule: SecondLookRule):
        self._manifest, self._detector, self._rule = manifest, detector, rule
        self._grown = np.array([name in manifest.grown_species for name in manifest.taxonomy.species])

    @classmethod
    def of(cls, manifest: Manifest, detector: Detector) -> SecondLook | None:
        """The second look of a model; None if it has no :class:`SecondLookRule`."""
        rule = SecondLookRule.of(manifest)
        return cls(manifest, detector, rule) if rule is not None else None

    def __call__(
        self, output: RawOutput, photos: PhotoAccess, *, rows: np.ndarray, closer: bool = True
    ) -> SecondLookResult:
        """Revise the output for a batch by a second look at some of its ``rows`` bool [B].

        ``closer``: whether small animals may be cut out and run through the main network again.
        """
        parts, squares, found = dict[int, Box](), list[Squares](), dict[int, Detections]()
        certainty = self._certainty(output)
        is_unsure = certainty < SURE_BREED
        may_cut = is_unsure & (closer and self._rule.closer)
        passes = ~is_unsure | (output.scores[:, 0] >= self._rule.pet_threshold)  # as a pet, unless the detector objects
        for row, opinion in self._opinions(output, rows & (certainty < MAX_CERTAINTY)).items():
            if not (may_cut[row] or (passes[row] and opinion.may_object(self._likeness(opinion, output, row)))):
                continue
            try:
                photo = photos.decode(row)  # one at a time: it may be large
            except ImageError:  # too large in more detail, or gone: the output of the first look stays
                continue
            found[row] = self._detector(photo)
            part = closer_part(found[row], self._rule.species, photo) if may_cut[row] else None
            if part is not None:
                parts[row] = part
                squares.append(photos.preprocess(part.cut(photo)))
        if parts:
            output, parts = self._merged(output, photos.run(squares), parts)
        return self._lowered(SecondLookResult(output, parts, {}), found)

    def _likeness(self, opinion: Opinion, output: RawOutput, row: int) -> float:
        return self._rule.likeness(opinion, output.features[row])

    def _lowered(self, revised: SecondLookResult, found: Mapping[int, Detections]) -> SecondLookResult:
        """The same with lower pet scores where the detections ``found`` in a row speak against a pet."""
        output = revised.output
        opinions = self._opinions(output, self._certainty(output) < MAX_CERTAINTY) if found else {}
        objections = {
            row: opinion.objection(found[row], self._likeness(opinion, output, row))
            for row, opinion in opinions.items()
            if row in found
        }
        rows = [row for row, objection in objections.items() if objection > 0]
        if not rows:
            return revised
        before, scores = output.scores[rows, 0], output.scores.copy()
        scores[rows, 0] = lowered(
            before, np.array([objections[row] for row in rows]), pet_threshold=self._rule.pet_threshold
        )
        lowered_by = dict(zip(rows, (before - scores[rows, 0]).tolist(), strict=True))
        return revised._replace(output=output._replace(scores=scores), objections=lowered_by)

    def _certainty(self, output: RawOutput) -> np.ndarray:
        return certainty_in_doubt(output.outputs, self._manifest.calibration, pet_threshold=self._rule.pet_threshold)

    def _opinions(self, output: RawOutput, chosen: np.ndarray) -> dict[int, Opinion]:
        """The opinion on each of the ``chosen`` photos, bool [B], by row."""
        rows = np.flatnonzero(chosen)
        if not len(rows):  # as in most batches
            return {}
        species = self._species(output.outputs.where(rows))
        return {row: self._rule.opinions[s] for row, s in zip(rows.tolist(), species.tolist(), strict=True)}

    def _species(self, outputs: Outputs) -> np.ndarray:
        """Index of the most probable species of each photo."""
        return most_probable_species(self._manifest.calibration.joint(outputs), self._manifest.taxonomy)

    def _merged(
        self, output: RawOutput, closer: RawOutput, parts: Mapping[int, Box]
    ) -> tuple[RawOutput, dict[int, Box]]:
        """Merge the output of a ``closer`` look at some ``parts`` into that for whole photos; return it and the parts
        used.

        Features stay those of whole photos. The output of the first look is kept where one look predicts a grown
        species and both together do not: the merged pet score would be partly that of another species.
        """
        rows = np.array([*parts])
        both = both_looks(output.outputs, closer.outputs, rows)
        if not self._grown.any():
            return RawOutput(output.features, *both), dict(parts)
        first, second, together = (
            self._grown[self._species(own)] for own in (output.outputs.where(rows), closer.outputs, both.where(rows))
        )
        is_kept = (first | second) & ~together
        for values, before in zip(both, output.outputs, strict=True):
            values[rows[is_kept]] = before[rows[is_kept]]
        merged = {row: parts[row] for row in rows[~is_kept].tolist()}
        return RawOutput(output.features, *both), merged


def lowered(scores: np.ndarray, objections: np.ndarray, *, pet_threshold: float) -> np.ndarray:
    """Pet scores [N] lowered by ``objections`` [N], which are 0 or more.

    A score that falls below ``pet_threshold``, the lowest one of a pet, is lowered further, so that it is also below
    that of a pet with a sure breed.
    """
    found = scores - OBJECTION_WEIGHT * objections.astype(scores.dtype)
    is_refused = (objections > 0) & (found < pet_threshold)
    return np.where(is_refused, found - PET_SCORE_BAND, found)
