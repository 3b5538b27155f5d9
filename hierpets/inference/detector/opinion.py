"""A second opinion on photos that look little like a pet: what a detector takes for another animal counts against it.

What the pretrained head says of a horse hardly differs from what it says of an odd photo of a dog
(docs/experiments.md). A detector was trained to tell the two apart, but takes nearly as long as the network itself: it
is asked where that doubts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hierpets.bundle.manifest import Manifest
from hierpets.hierarchy.early import certainty
from hierpets.inference.detector.network import ANIMALS, Detector
from hierpets.inference.engines.base import RawOutput
from hierpets.inference.engines.cascade import ReadPhoto

__all__ = ["SecondOpinion", "lowered"]

OTHERS = ("horse", "zebra")
"""Animals for which pets are not taken. For sheep, cows, birds and bears, long-haired and small dogs are."""

DOUBT = 4.0  # of the pet score, which sums three standard deviations, above the least one of a pet
SURE = 0.5  # probability of a class, from which on nothing else is asked
WEIGHT = 3.0  # of the pet score for each by which the logit of another animal is higher than that of every pet


class SecondOpinion:
    """Lowers the pet scores of photos that show another animal, as ``detector`` sees it; ``least`` is the least pet
    score of a pet, and ``others`` are the animals that count against one.
    """

    def __init__(self, manifest: Manifest, detector: Detector, *, least: float, others: Sequence[str]):
        self._manifest, self._detector = manifest, detector
        self._least, self._others = least, others

    @classmethod
    def of(cls, manifest: Manifest, detector: Detector) -> SecondOpinion | None:
        """That of a model; None where it has no pet score, or a species that the detector does not know."""
        species, least = manifest.taxonomy.species, manifest.policy.pet
        others = [animal for animal in OTHERS if animal not in species]
        if least is None or not others or not set(species) <= set(ANIMALS):
            return None
        return cls(manifest, detector, least=least, others=others)

    def __call__(self, output: RawOutput, read: ReadPhoto) -> RawOutput:
        """The same output, with the pet scores of some of its photos lowered."""
        rows = self._doubted(output)
        if not len(rows):
            return output
        leads = [self._lead(read(row)) for row in rows.tolist()]
        scores = output.scores.copy()
        scores[rows, 0] = lowered(scores[rows, 0], np.array(leads))
        return output._replace(scores=scores)

    def _doubted(self, output: RawOutput) -> np.ndarray:
        """Rows that could be pets, but do not look much like one, and of no class for sure."""
        m, score = self._manifest, output.scores[:, 0]
        rows = np.flatnonzero((score >= self._least) & (score < self._least + DOUBT))
        if not len(rows):
            return rows
        known = output.species[rows], output.leaf[rows], output.scores[rows]
        every = np.ones(len(m.taxonomy.leaves), bool)
        sure = certainty(*known, m.taxonomy, learned=every, temperatures=m.temperatures, combiner=m.combiner)
        return rows[sure < SURE]

    def _lead(self, photo: np.ndarray) -> float:
        """By how much the logit of a pet is higher than that of another animal."""
        seen = self._detector(photo)
        return float(seen.best(self._manifest.taxonomy.species).max() - seen.best(self._others).max())


def lowered(scores: np.ndarray, leads: np.ndarray) -> np.ndarray:
    """Pet scores [N] of photos in which pets have these ``leads`` [N] over other animals: no score is raised."""
    return scores + WEIGHT * np.minimum(leads, 0.0).astype(scores.dtype)
