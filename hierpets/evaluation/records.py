"""``predictions.jsonl``: one line for each evaluated photo, in the order of evaluation."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hierpets.errors import DataError
from hierpets.evaluation.predictions import BREED, SPECIES, Predictions

__all__ = ["RECORDS_FILE", "Answer", "Guess", "Record", "find_records", "inside", "read_records", "records_of"]

RECORDS_FILE = "predictions.jsonl"
_TOP = 3


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Guess(_Frozen):
    """A leaf and its joint probability; ``breed`` is None for a species without breeds."""

    species: str
    breed: str | None
    probability: float


class Answer(_Frozen):
    """What was answered: names below the answer's level are None."""

    level: str
    species: str | None
    breed: str | None


class Record(_Frozen):
    """One photo: its truth, the three most probable leaves, and the answer."""

    path: str
    species: str = Field(description="The true species.")
    breed: str | None = Field(description="The true breed; null when it is not told or the species has none.")
    species_probabilities: dict[str, float]
    top: list[Guess] = Field(min_length=1, description="The three most probable leaves, the first one first.")
    probability_of_truth: float | None = Field(description="Joint probability of the true leaf; null when not told.")
    answer: Answer
    novelty: float | None = None

    @property
    def species_right(self) -> bool:
        """The most probable species is the true one."""
        return max(self.species_probabilities, key=lambda name: self.species_probabilities[name]) == self.species

    @property
    def breed_right(self) -> bool:
        """The most probable leaf is the true one."""
        return (self.top[0].species, self.top[0].breed) == (self.species, self.breed)


def inside(paths: Sequence[str]) -> list[str]:
    """The paths as seen from the folder that holds them all."""
    folders = [posixpath.dirname(path) for path in paths]
    try:
        common = posixpath.commonpath(folders)
    except ValueError:  # some are absolute and some are not
        return list(paths)
    return [path[len(common) :].lstrip("/") for path in paths]


def records_of(predictions: Predictions) -> Iterator[Record]:
    """The records of all photos."""
    leaves, names = predictions.taxonomy.leaves, predictions.taxonomy.species
    order = np.argsort(-predictions.probabilities, axis=1, kind="stable")[:, :_TOP]
    for i, path in enumerate(predictions.paths):
        joint, leaf = predictions.probabilities[i], int(predictions.leaf_true[i])
        yield Record(
            path=path,
            species=names[predictions.species_true[i]],
            breed=leaves[leaf].breed if leaf >= 0 else None,
            species_probabilities=dict(zip(names, predictions.species_probabilities[i].tolist(), strict=True)),
            top=[Guess(**leaves[k]._asdict(), probability=float(joint[k])) for k in order[i]],
            probability_of_truth=float(joint[leaf]) if leaf >= 0 else None,
            answer=_answer(predictions, i),
            novelty=float(predictions.novelty[i]) if predictions.novelty is not None else None,
        )


def _answer(predictions: Predictions, i: int) -> Answer:
    level, node = str(predictions.level[i]), int(predictions.node[i])
    if level == BREED:
        return Answer(level=level, **predictions.taxonomy.leaves[node]._asdict())
    species = predictions.taxonomy.species[node] if level == SPECIES else None
    return Answer(level=level, species=species, breed=None)


def find_records(run: Path) -> Path:
    """The records of a run: the file itself, or inside the folder of an evaluation or of a training run.

    Raises ``DataError`` when there is none.
    """
    places = [run / RECORDS_FILE, run / "evaluation" / RECORDS_FILE]
    for place in [run, *places]:
        if place.is_file():
            return place
    looked = " nor ".join(str(place) for place in places)
    raise DataError(f"{run} holds no evaluation: found neither {looked}; run `hierpets evaluate --out {run}` first")


def read_records(path: Path) -> list[Record]:
    """Read ``predictions.jsonl``; ``DataError`` names the first line that is not a record."""
    records = []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                records.append(Record.model_validate_json(line))
            except ValidationError as error:
                first = error.errors()[0]
                where = ".".join(map(str, first["loc"])) or "the line"
                raise DataError(
                    f"{path}:{number}: not a record of hierpets evaluate: {where}: {first['msg']}"
                ) from None
    if not records:
        raise DataError(f"{path} holds no record")
    return records
