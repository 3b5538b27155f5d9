"""Compares two evaluations of the same photos."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from hierpets.evaluation.comparison.level import compare_level
from hierpets.evaluation.comparison.pairing import EvaluationOrFolder, Records, paired, read_evaluation, unseen_records
from hierpets.evaluation.comparison.result import Comparison, LevelComparison
from hierpets.evaluation.records import EvaluationRecord
from hierpets.text import counted
from hierpets.validation.arguments import checked

__all__ = ["compare", "compare_records"]

Seed = Annotated[int, Field(ge=0, strict=False)]


@checked
def compare(
    a: EvaluationOrFolder, b: EvaluationOrFolder, *, names: tuple[str, str] = ("A", "B"), seed: Seed = 0
) -> Comparison:
    """Compare two evaluations of the same photos, at the levels species and breed.

    Each is an :class:`Evaluation`, its folder, or the folder of a training run with an ``evaluation/``. ``names``
    are used for evaluations without a folder. ``seed`` is the seed of the bootstrap.

    Photos are matched by their paths relative to the folder that contains all of them, so that a data set may have been
    moved; their digests must be equal.
    Differences are B minus A, with 95% paired bootstrap intervals. A level has a winner only if the interval of the
    accuracy difference excludes zero and McNemar's exact test finds p < 0.05. Photos that one evaluation left out
    because its model was fitted to them are left out of both. If a model was evaluated on photos that it was fitted to,
    there is no winner.

    :raises DataError: an evaluation is missing, or the photos or labels differ.
    :raises ConfigError: an argument has a wrong type, or the seed is negative.
    """
    side_a, side_b = map(read_evaluation, (a, b), names)
    unseen_a, unseen_b = unseen_records(side_a, side_b)
    found = compare_records(unseen_a, unseen_b, names=(side_a.name, side_b.name), seed=seed)
    levels: dict[str, LevelComparison | None] = dict(found.levels)
    fitted = [f"{side.name} was fitted to {side.fitted_to:,}" for side in (side_a, side_b) if side.fitted_to]
    for name, level in found.measured.items():
        if fitted:
            verdict = f"no verdict: {' and '.join(fitted)} of the {counted(found.n, 'photo')}"
            levels[name] = level.model_copy(update={"winner": None, "verdict": verdict})
        elif (len(unseen_a), len(unseen_b)) != (len(side_a.records), len(side_b.records)):
            levels[name] = level.model_copy(
                update={"verdict": f"{level.verdict}, on photos that neither was fitted to"}
            )
    return found.model_copy(update={"model_a": side_a.model, "model_b": side_b.model, "levels": levels})


def compare_records(
    a: Records, b: Records, *, names: tuple[str, str], seed: int = 0, resamples: int = 2000
) -> Comparison:
    """Compare the records of any two models as :func:`compare` does.

    :raises DataError: the photos or their labels are not the same.
    """
    pairs = paired(a, b, names=names)
    labeled = [(x, y) for x, y in pairs if x.breed is not None and y.breed is not None]
    species = [(x.species, x.species_right, y.species_right) for x, y in pairs]
    breeds = [(f"{x.species}/{x.breed}", x.breed_right, y.breed_right) for x, y in labeled]
    levels = {
        level: compare_level(photos, _groups(records), names=names, seed=seed, resamples=resamples) if photos else None
        for level, photos, records in (("species", species, pairs), ("breed", breeds, labeled))
    }
    return Comparison(a=names[0], b=names[1], n=len(pairs), levels=levels)


def _groups(pairs: Sequence[tuple[EvaluationRecord, EvaluationRecord]]) -> np.ndarray | None:
    """Number of the animal in each photo, int [N], from the first evaluation; None if each photo shows another."""
    individuals = [record.individual for record, _ in pairs]
    known = [individual for individual in individuals if individual is not None]
    return np.array(known) if len(known) == len(individuals) else None
