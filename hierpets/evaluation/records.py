"""``predictions.jsonl``: one line for each evaluated photo, in the order of evaluation."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath

import numpy as np
from pydantic import Field, ValidationError

from hierpets.errors import DataError
from hierpets.evaluation.predictions import BREED, SPECIES, Predictions
from hierpets.inference.record import LeafProbability, printable
from hierpets.validation.problems import find_problems
from hierpets.validation.strict import StrictModel

__all__ = [
    "RECORDS_FILE",
    "EvaluationAnswer",
    "EvaluationRecord",
    "find_records",
    "inside",
    "read_records",
    "records_of",
]

RECORDS_FILE = "predictions.jsonl"
_TOP = 3
_DIGITS = 16  # of a digest: eight bytes are enough to distinguish any number of photos


class EvaluationAnswer(StrictModel):
    """The returned prediction: names below its level are None."""

    level: str = Field(description="`breed`, `species` or `unknown`")
    species: str | None = Field(description="null when unknown")
    breed: str | None = Field(description="null above breed level")


class EvaluationRecord(StrictModel):
    """One photo: its label, the three most probable leaves, and the prediction that was returned."""

    path: str = Field(description="the photo; evaluations are compared by its path inside the folder of all photos")
    species: str = Field(description="the true species")
    breed: str | None = Field(description="the true breed; null when it is not labeled or the species has none")
    species_probabilities: dict[str, float] = Field(description="by species")
    top: tuple[LeafProbability, ...] = Field(
        min_length=1,
        description="the three most probable leaves, best first, as if the breed is one of those listed: all sum to 1",
    )
    probability_of_truth: float | None = Field(description="joint probability of the true leaf; null when not labeled")
    answer: EvaluationAnswer = Field(description="the prediction that was returned")
    pet_score: float | None = Field(default=None, description="how much it looks like a pet; null without such a score")
    individual: int | None = Field(
        default=None, description="the same number for all photos of one animal; null where each photo is of another"
    )
    digest: str | None = Field(
        default=None,
        description="first 16 hexadecimal digits of the SHA-256 of the photo; null where an older version wrote it",
    )

    @property
    def species_right(self) -> bool:
        """Whether the most probable species is the true one."""
        return max(self.species_probabilities, key=lambda name: self.species_probabilities[name]) == self.species

    @property
    def breed_right(self) -> bool:
        """Whether the most probable leaf is the true one."""
        return (self.top[0].species, self.top[0].breed) == (self.species, self.breed)


def inside(paths: Sequence[str]) -> list[str]:
    """Make paths relative to the deepest folder that contains all of them, with ``/`` on every system."""
    paths = [PurePath(path).as_posix() for path in paths]
    folders = [posixpath.dirname(path) for path in paths]
    try:
        common = posixpath.commonpath(folders)
    except ValueError:  # some are absolute and some are not
        return paths
    return [path[len(common) :].lstrip("/") for path in paths]


def records_of(predictions: Predictions) -> Iterator[EvaluationRecord]:
    """Yield the record of each photo."""
    leaves, names = predictions.taxonomy.leaves, predictions.taxonomy.species
    order = np.argsort(-predictions.probabilities, axis=1, kind="stable")[:, :_TOP]
    for i, path in enumerate(predictions.paths):
        joint, leaf = predictions.probabilities[i], int(predictions.leaf_true[i])
        yield EvaluationRecord(
            path=printable(path),
            species=names[predictions.species_true[i]],
            breed=leaves[leaf].breed if leaf >= 0 else None,
            species_probabilities=dict(zip(names, predictions.species_probabilities[i].tolist(), strict=True)),
            top=tuple(LeafProbability(**leaves[k]._asdict(), probability=min(1.0, float(joint[k]))) for k in order[i]),
            probability_of_truth=float(joint[leaf]) if leaf >= 0 else None,
            answer=_answer(predictions, i),
            pet_score=None if predictions.pet_score is None else float(predictions.pet_score[i]),
            individual=None if predictions.groups is None else int(predictions.groups[i]),
            digest=None if predictions.digests is None else predictions.digests[i][:_DIGITS],
        )


def _answer(predictions: Predictions, i: int) -> EvaluationAnswer:
    level, node = str(predictions.level[i]), int(predictions.node[i])
    if level == BREED:
        return EvaluationAnswer(level=level, **predictions.taxonomy.leaves[node]._asdict())
    species = predictions.taxonomy.species[node] if level == SPECIES else None
    return EvaluationAnswer(level=level, species=species, breed=None)


def find_records(run: Path) -> Path:
    """Return the path of ``predictions.jsonl``: ``run`` itself, or inside the folder of an evaluation or training run.

    :raises DataError: there is none.
    """
    places = [run / RECORDS_FILE, run / "evaluation" / RECORDS_FILE]
    for place in [run, *places]:
        if place.is_file():
            return place
    tried = " nor ".join(str(place) for place in places)
    raise DataError(
        f"{run}: no evaluation here (neither {tried}); `hierpets evaluate --out {places[1].parent}` writes one"
    )


def read_records(path: Path) -> list[EvaluationRecord]:
    """Read ``predictions.jsonl``.

    :raises DataError: it is empty, or a line is not a record; the message names the first such line.
    """
    records = []
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                records.append(EvaluationRecord.model_validate_json(line))
            except ValidationError as error:
                problem = find_problems(error, EvaluationRecord)[0]
                raise DataError(f"{path}:{number}: not a record of hierpets evaluate: {problem}") from None
    if not records:
        raise DataError(f"{path}: contains no records")
    return records
