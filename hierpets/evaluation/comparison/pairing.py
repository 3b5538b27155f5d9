"""Pairs the records of two evaluations of the same photos."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from hierpets.bundle.identity import ModelId
from hierpets.errors import DataError
from hierpets.evaluation.metrics.reading import read_metrics
from hierpets.evaluation.metrics.schema import METRICS_FILE, SeenMetrics
from hierpets.evaluation.records import EvaluationRecord, find_records, inside, read_records, records_of
from hierpets.evaluation.result import Evaluation
from hierpets.text import counted

__all__ = ["EvaluationOrFolder", "EvaluationRecords", "Records", "paired", "read_evaluation", "unseen_records"]

Records = Sequence[EvaluationRecord]
EvaluationOrFolder = Evaluation | str | os.PathLike[str]


class EvaluationRecords(NamedTuple):
    """One of the two evaluations to compare."""

    name: str
    records: Records
    model: ModelId | None
    seen: SeenMetrics | None

    @property
    def left_out(self) -> int:
        """Number of photos left out of the evaluation because the model was fitted to them."""
        return self.seen.n if self.seen and self.seen.left_out else 0

    @property
    def fitted_to(self) -> int:
        """Number of evaluated photos that the model was fitted to."""
        return self.seen.n if self.seen and not self.seen.left_out else 0


def read_evaluation(given: EvaluationOrFolder, name: str) -> EvaluationRecords:
    """Read one of the evaluations to compare; ``name`` is used for one without a folder.

    :raises DataError: the folder holds no evaluation.
    """
    if isinstance(given, Evaluation):
        known, metrics = str(given.report.parent) if given.report else name, given.metrics
        return EvaluationRecords(known, list(records_of(given.predictions)), metrics.model, metrics.seen)
    path = find_records(Path(given))
    file, records = path.with_name(METRICS_FILE), read_records(path)
    if not file.is_file():
        return EvaluationRecords(str(given), records, None, None)
    metrics = read_metrics(file)
    return EvaluationRecords(str(given), records, metrics.model, metrics.seen)


def unseen_records(a: EvaluationRecords, b: EvaluationRecords) -> tuple[Records, Records]:
    """Return the records to compare: those of shared photos, if each side lacks no more of the other's photos than it
    left out because its model was fitted to them; else all.
    """
    in_a, in_b = _by_path(a.records, b.records)
    shared = in_a.keys() & in_b.keys()
    if not shared or len(in_a) - len(shared) > b.left_out or len(in_b) - len(shared) > a.left_out:
        return a.records, b.records
    shared_a, shared_b = ([record for path, record in side.items() if path in shared] for side in (in_a, in_b))
    return shared_a, shared_b


def _by_path(a: Records, b: Records) -> tuple[dict[str, EvaluationRecord], dict[str, EvaluationRecord]]:
    """Map relative paths to records, on both sides.

    Paths are relative to the folder that contains the photos of both sides, since one side may have only those of a
    subfolder. If no path is then shared, the data set was moved: they are relative to each side's own folder.
    """
    paths = inside([record.path for record in (*a, *b)])
    in_a, in_b = paths[: len(a)], paths[len(a) :]
    if not {*in_a} & {*in_b}:
        in_a, in_b = (inside([record.path for record in side]) for side in (a, b))
    return dict(zip(in_a, a, strict=True)), dict(zip(in_b, b, strict=True))


def paired(a: Records, b: Records, *, names: tuple[str, str]) -> list[tuple[EvaluationRecord, EvaluationRecord]]:
    """Pair the records of the same photo.

    :raises DataError: the photos or their labels are not the same.
    """
    a_by_path, b_by_path = _by_path(a, b)
    only = [sorted(a_by_path.keys() - b_by_path.keys()), sorted(b_by_path.keys() - a_by_path.keys())]
    if any(only):
        missing = ", ".join(
            f"{len(lost)} only in {name} (such as {lost[0]})" for name, lost in zip(names, only, strict=True) if lost
        )
        raise DataError(
            f"not evaluated on the same photos: {missing}; evaluate both on the same --data, of photos that neither "
            "was fitted to"
        )
    pairs = [(record, b_by_path[path]) for path, record in a_by_path.items()]
    relabeled = [x.path for x, y in pairs if x.species != y.species or _other_breed(x, y)]
    if relabeled:
        raise DataError(
            f"the labels of {len(relabeled)} photos differ between the two (such as {relabeled[0]}); "
            "evaluate both on the same --data"
        )
    changed = [x.path for x, y in pairs if None not in (x.digest, y.digest) and x.digest != y.digest]
    if changed:
        raise DataError(
            f"{counted(len(changed), 'photo')} of the same name differ between the two (such as {changed[0]}); "
            "evaluate both on the same --data"
        )
    return pairs


def _other_breed(a: EvaluationRecord, b: EvaluationRecord) -> bool:
    """Whether the labels name different breeds. The labels of a model without breeds of a species name none."""
    return None not in (a.breed, b.breed) and a.breed != b.breed
