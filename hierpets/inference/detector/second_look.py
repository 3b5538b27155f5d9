"""A second look at photos of doubtful pets: a detector says where the animal is, and whether it is a pet.

A small animal is cut out, and the main network asked again. What the pretrained head says of pets hardly tells a horse
from an odd photo of a dog, and a detector was trained to tell the two apart (docs/experiments.md). It takes longer than
the network itself, so that it is asked about few photos: those of small animals, and those that look like a horse to
the pretrained head.
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
from hierpets.inference.engines.cascade import LookAgain, Reconsidered, Squares
from hierpets.regions.boxes import Box
from hierpets.regions.detections import is_beside, small_animal

__all__ = ["HEARD_BELOW", "LEAD", "UNSEEN", "WEIGHT", "SecondLook", "SecondLookRule", "closer_part", "lowered"]

OTHERS = ("horse", "zebra")
"""Animals for which pets are not taken. For sheep, cows, birds and bears, long-haired and small dogs are."""

HEARD_BELOW = 0.8
"""Probability of the best breed, other breeds considered, below which the detector is heard about other animals: of
horses that pass for a pet, one in three is a breed more probably than not."""
LEAD = 2.0
"""By how much the logit of a pet should be higher than that of another animal."""
LIKE = 0.75
"""From which likeness to another animal on the detector is heard: one pet in seven has it, from elsewhere one in five,
and nearly every horse."""
ALIKE = 3.0
"""From which likeness on it speaks against a pet by itself, as the detector's logits do: one pet in a hundred has it at
most, and half of the horses that are dogs to the detector."""
UNSEEN = -5.0
"""Logit up to which another animal is not seen at all: in photos of pets that are small or spoiled, the detector sees
nothing, and no lead can be asked for."""
WEIGHT = 2.0
"""By how much the pet score is lowered for each by which the logit of another animal, or the likeness to one, is higher
than it should be."""


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

    def hears(self, likeness: float) -> bool:
        """Whether it matters for a photo of this likeness to another animal which one the detector sees."""
        return bool(self.others) and likeness >= LIKE

    def objection(self, seen: Detections, likeness: float) -> float:
        """By how much the logit of another animal, and the ``likeness`` to one, are higher than in a photo of a pet: 0,
        where they are not, where it does not matter, and where a pet is seen beside it.
        """
        if not self.hears(likeness) or is_beside(
            seen.edges, seen.probability(self.pets), seen.probability(self.others)
        ):
            return 0.0
        allowed = max(seen.best(self.pets).max() - LEAD, UNSEEN)
        return max(0.0, float(seen.best(self.others).max() - allowed)) + max(0.0, likeness - ALIKE)


class SecondLookRule(NamedTuple):
    """What a model looks again for. ``least`` is the least pet score of a pet, ``species`` are those of the model that
    the detector knows, and ``opinions`` for each of all those of the model what is heard on photos that are taken for
    it; ``animals`` are others that the pretrained head tells from pets; ``closer``: whether the model's thresholds are
    fitted to it that the main network is asked again about small animals.
    """

    least: float
    species: tuple[str, ...]
    opinions: tuple[Opinion, ...]
    animals: tuple[OtherAnimal, ...]
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
        if not (manifest.second_look or any(opinion.others for opinion in opinions)):
            return None
        return cls(least, known, opinions, manifest.other_animals, manifest.second_look)

    def likeness(self, opinion: Opinion, features: np.ndarray) -> float:
        """How much a photo of these features [D] looks like an animal that speaks against a pet: as much as it takes
        for the detector to be heard, where the pretrained head does not say.
        """
        return likeness_to(opinion.others, features, self.animals, unknown=LIKE)


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

    def __call__(self, output: RawOutput, again: LookAgain, *, rows: np.ndarray, closer: bool = True) -> Reconsidered:
        """What the second look comes to. ``closer``: whether the main network may be asked again, about small animals;
        ``rows`` bool [B]: the photos that may be looked at again.
        """
        parts, squares, found = dict[int, Box](), list[Squares](), dict[int, Detections]()
        certainty = self._certainty(output)
        is_unsure = certainty < SURE_BREED
        cuts_out = is_unsure & (closer and self._rule.closer)
        is_pet = ~is_unsure | (output.scores[:, 0] >= self._rule.least)
        for row, opinion in self._opinions(output, rows & (certainty < HEARD_BELOW)).items():
            if not (cuts_out[row] or (is_pet[row] and opinion.hears(self._likeness(opinion, output, row)))):
                continue
            try:
                photo = again.read(row)  # one at a time: it may be large
            except ImageError:  # too large in twice the detail, or gone: the first look stands
                continue
            found[row] = self._detector(photo)
            part = closer_part(found[row], self._rule.species, photo) if cuts_out[row] else None
            if part is not None:
                parts[row] = part
                squares.append(again.see(part.cut(photo)))
        if parts:
            output, parts = self._merged(output, again.ask(squares), parts)
        return self._lowered(Reconsidered(output, parts, {}), found)

    def _likeness(self, opinion: Opinion, output: RawOutput, row: int) -> float:
        return self._rule.likeness(opinion, output.features[row])

    def _lowered(self, looked: Reconsidered, found: Mapping[int, Detections]) -> Reconsidered:
        """The same with the pet scores of some rows lowered, by what was ``found`` in them."""
        output = looked.output
        opinions = self._opinions(output, self._certainty(output) < HEARD_BELOW) if found else {}
        objections = {
            row: opinion.objection(found[row], self._likeness(opinion, output, row))
            for row, opinion in opinions.items()
            if row in found
        }
        rows = [row for row, objection in objections.items() if objection > 0]
        if not rows:
            return looked
        before, scores = output.scores[rows, 0], output.scores.copy()
        scores[rows, 0] = lowered(before, np.array([objections[row] for row in rows]), least=self._rule.least)
        by = dict(zip(rows, (before - scores[rows, 0]).tolist(), strict=True))
        return looked._replace(output=output._replace(scores=scores), objections=by)

    def _certainty(self, output: RawOutput) -> np.ndarray:
        return certainty_in_doubt(output.outputs, self._manifest.calibration, least=self._rule.least)

    def _opinions(self, output: RawOutput, chosen: np.ndarray) -> dict[int, Opinion]:
        """What is heard on each of the ``chosen`` photos, bool [B], by their rows."""
        rows = np.flatnonzero(chosen)
        if not len(rows):  # so it is for most batches
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


def lowered(scores: np.ndarray, objections: np.ndarray, *, least: float) -> np.ndarray:
    """Pet scores [N] of photos after ``objections`` [N] to their showing a pet, which are 0 or more.

    What falls below the ``least`` score of a pet falls below that of a sure breed as well.
    """
    found = scores - WEIGHT * objections.astype(scores.dtype)
    is_refused = (objections > 0) & (found < least)
    return np.where(is_refused, found - PET_SCORE_BAND, found)
