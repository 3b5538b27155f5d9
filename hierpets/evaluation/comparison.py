"""Compares two models on the same photos: is one better, or could it be chance?"""

from __future__ import annotations

import os
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import Field

from hierpets.bundle.identity import ModelId
from hierpets.errors import DataError
from hierpets.evaluation.metrics.classes import balanced_weights, divide
from hierpets.evaluation.metrics.reading import read_metrics
from hierpets.evaluation.metrics.resampling import Statistic, estimate, interval_of_difference
from hierpets.evaluation.metrics.schema import METRICS_FILE, SeenMetrics
from hierpets.evaluation.records import EvaluationRecord, find_records, inside, read_records, records_of
from hierpets.evaluation.result import Evaluation
from hierpets.text import counted
from hierpets.validation.arguments import checked
from hierpets.validation.strict import StrictModel

__all__ = ["ALPHA", "Comparison", "LevelComparison", "McNemarTest", "compare", "compare_records", "mcnemar_exact"]

ALPHA = 0.05
Side = Literal["a", "b"]
Records = Sequence[EvaluationRecord]
Seed = Annotated[int, Field(ge=0, strict=False)]
EvaluationOrFolder = Evaluation | str | os.PathLike[str]


class Accuracies(StrictModel):
    """Accuracies of one model, or the differences of two."""

    accuracy: float = Field(description="share of photos whose top-1 class is the true one")
    balanced_accuracy: float = Field(description="mean recall over the classes")


class AccuracyIntervals(StrictModel):
    """95% paired bootstrap intervals of the differences."""

    accuracy: tuple[float, float] = Field(description="of the accuracy")
    balanced_accuracy: tuple[float, float] = Field(description="of the balanced accuracy")


class McNemarTest(StrictModel):
    """The photos on which only one model is right, and McNemar's exact test of their split, by animal."""

    only_a_right: int = Field(description="photos on which A is correct and B wrong")
    only_b_right: int = Field(description="photos on which B is correct and A wrong")
    p_value: float = Field(
        description="under the null hypothesis that either is ahead on each animal with the same probability"
    )


class LevelComparison(StrictModel):
    """One level: species or breed. Differences are B minus A."""

    n: int = Field(description="photos whose label names the level, for both models")
    a: Accuracies = Field(description="of A")
    b: Accuracies = Field(description="of B")
    difference: Accuracies = Field(description="B minus A")
    interval: AccuracyIntervals = Field(description="95% paired bootstrap intervals of the differences")
    mcnemar: McNemarTest = Field(description="McNemar's exact test")
    winner: Side | None = Field(
        description="the better model; null if no difference is shown, or a model was fitted to some of the photos"
    )
    verdict: str = Field(description="the same in words")


class Comparison(StrictModel):
    """The result of :func:`hierpets.compare`."""

    a: str = Field(description="name of A: its folder")
    b: str = Field(description="name of B")
    model_a: ModelId | None = Field(default=None, description="which model A is; null if its metrics.json is missing")
    model_b: ModelId | None = Field(default=None, description="which model B is")
    n: int = Field(description="photos")
    levels: dict[str, LevelComparison | None] = Field(
        description="species and breed; null if no breed is labeled for both"
    )

    @property
    def measured(self) -> dict[str, LevelComparison]:
        """The levels that could be compared."""
        return {name: level for name, level in self.levels.items() if level is not None}

    def to_json(self) -> dict[str, Any]:
        """The comparison as JSON values."""
        return self.model_dump(mode="json")

    def __str__(self) -> str:
        return "\n".join(f"{name}: {level.verdict}" for name, level in self.measured.items())

    def __repr__(self) -> str:
        winners = {"a": self.a, "b": self.b}
        verdicts = ", ".join(
            f"{name}: {winners[level.winner] if level.winner else level.verdict.partition(':')[0]}"
            for name, level in self.measured.items()
        )
        return f"<Comparison of {self.a} and {self.b}, {counted(self.n, 'photo')}: {verdicts}>"

    def _repr_html_(self) -> str:
        """The verdicts, for notebooks."""
        rows = (f"<li><b>{name}</b>: {escape(level.verdict)}</li>" for name, level in self.measured.items())
        return f"<ul>{''.join(rows)}</ul>"


class _Side(NamedTuple):
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
    side_a, side_b = map(_side, (a, b), names)
    unseen_a, unseen_b = _unseen(side_a, side_b)
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
    pairs = _paired(a, b, names=names)
    labeled = [(x, y) for x, y in pairs if x.breed is not None and y.breed is not None]
    species = [(x.species, x.species_right, y.species_right) for x, y in pairs]
    breeds = [(f"{x.species}/{x.breed}", x.breed_right, y.breed_right) for x, y in labeled]
    levels = {
        level: _compare_level(photos, _groups(records), names=names, seed=seed, resamples=resamples) if photos else None
        for level, photos, records in (("species", species, pairs), ("breed", breeds, labeled))
    }
    return Comparison(a=names[0], b=names[1], n=len(pairs), levels=levels)


def _side(given: EvaluationOrFolder, name: str) -> _Side:
    if isinstance(given, Evaluation):
        known, metrics = str(given.report.parent) if given.report else name, given.metrics
        return _Side(known, list(records_of(given.predictions)), metrics.model, metrics.seen)
    path = find_records(Path(given))
    file, records = path.with_name(METRICS_FILE), read_records(path)
    if not file.is_file():
        return _Side(str(given), records, None, None)
    metrics = read_metrics(file)
    return _Side(str(given), records, metrics.model, metrics.seen)


def _unseen(a: _Side, b: _Side) -> tuple[Records, Records]:
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


def _paired(a: Records, b: Records, *, names: tuple[str, str]) -> list[tuple[EvaluationRecord, EvaluationRecord]]:
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


def _groups(pairs: Sequence[tuple[EvaluationRecord, EvaluationRecord]]) -> np.ndarray | None:
    """Number of the animal in each photo, int [N], from the first evaluation; None if each photo shows another."""
    individuals = [record.individual for record, _ in pairs]
    known = [individual for individual in individuals if individual is not None]
    return np.array(known) if len(known) == len(individuals) else None


def _compare_level(
    photos: Sequence[tuple[str, bool, bool]],
    groups: np.ndarray | None,
    *,
    names: tuple[str, str],
    seed: int,
    resamples: int,
) -> LevelComparison:
    """Compare at one level. ``photos`` are N triples: the true class, whether A is right, and whether B is right."""
    truth, hit = [label for label, *_ in photos], np.array([right for _, *right in photos])
    values, intervals = estimate(_accuracies(hit, truth), len(truth), seed=seed, resamples=resamples, groups=groups)
    a, b, difference = (
        Accuracies(accuracy=values[f"{of}_accuracy"], balanced_accuracy=values[f"{of}_balanced_accuracy"])
        for of in ("a", "b", "difference")
    )
    lead = hit[:, 1].astype(int) - hit[:, 0]  # of B over A
    differs = lead != 0
    interval = AccuracyIntervals(
        accuracy=interval_of_difference(differs, intervals["difference_accuracy"], groups=groups),
        balanced_accuracy=interval_of_difference(
            differs, intervals["difference_balanced_accuracy"], balanced_weights(np.array(truth)), groups=groups
        ),
    )
    by_animal = lead if groups is None else np.bincount(np.unique(groups, return_inverse=True)[1], lead).astype(int)
    test = McNemarTest(
        only_a_right=int((lead < 0).sum()), only_b_right=int((lead > 0).sum()), p_value=mcnemar_exact(by_animal)
    )
    winner = _winner(interval, test)
    return LevelComparison(
        n=len(truth),
        a=a,
        b=b,
        difference=difference,
        interval=interval,
        mcnemar=test,
        winner=winner,
        verdict=_verdict(len(truth), difference, interval, test, winner=winner, names=names),
    )


def _accuracies(hit: np.ndarray, truth: list[str]) -> Statistic:
    """A statistic with the accuracy and balanced accuracy of both models, and their differences."""
    classes = np.eye(len(set(truth)))[np.unique(truth, return_inverse=True)[1]]

    def statistic(weights: np.ndarray) -> dict[str, np.ndarray]:
        support = weights @ classes
        values = {}
        for side, right in zip("ab", hit.T.astype(float), strict=True):
            values[f"{side}_accuracy"] = weights @ right / weights.sum(axis=1)
            recall = divide(weights @ (classes * right[:, None]), support, 0.0)
            values[f"{side}_balanced_accuracy"] = recall.sum(axis=1) / (support > 0).sum(axis=1)
        metrics = ("accuracy", "balanced_accuracy")
        return values | {f"difference_{m}": values[f"b_{m}"] - values[f"a_{m}"] for m in metrics}

    return statistic


def mcnemar_exact(ahead: np.ndarray) -> float:
    """Two-sided p-value of the exact test whether two models are right equally often on the photos where they disagree.

    ``ahead`` int [K] is by how many photos of each animal B is ahead of A. If both models were equally good, either
    sign would have the same probability (Fisher's randomization test, 1935). With one photo per animal, this is
    McNemar's exact test (1947).
    """
    from scipy.stats import binom

    sizes, animals = np.unique(np.abs(ahead[ahead != 0]), return_counts=True)
    probabilities = np.ones(1)  # of each possible sum, in ascending order, in steps of two
    for size, n in zip(sizes.tolist(), animals.tolist(), strict=True):
        of_size = np.zeros(size * n + 1)
        of_size[::size] = binom.pmf(np.arange(n + 1), n, 0.5)
        probabilities = np.convolve(probabilities, of_size)
    most = int(sizes @ animals)
    sums = np.arange(-most, most + 1, 2)
    return min(1.0, float(probabilities[np.abs(sums) >= abs(ahead.sum())].sum()))


def _winner(interval: AccuracyIntervals, test: McNemarTest) -> Side | None:
    low, high = interval.accuracy
    if test.p_value >= ALPHA or low <= 0 <= high:
        return None
    return "b" if low > 0 else "a"


def _verdict(
    n: int,
    difference: Accuracies,
    interval: AccuracyIntervals,
    test: McNemarTest,
    *,
    winner: Side | None,
    names: tuple[str, str],
) -> str:
    disagreements = test.only_a_right + test.only_b_right
    if not disagreements:
        return f"no difference shown: both are correct on the same photos, of {n:,}"
    low, high = (100 * bound for bound in interval.accuracy)
    evidence = (
        f"{100 * difference.accuracy:+.1f} points of accuracy (95% interval {low:+.1f} to {high:+.1f}); they disagree "
        f"on {disagreements:,} of {counted(n, 'photo')}, where {names[0]} is correct {test.only_a_right:,} and "
        f"{names[1]} {test.only_b_right:,} times (McNemar p = {test.p_value:.2g})"
    )
    if winner is None:
        return f"no difference shown: {evidence}"
    return f"{names['ab'.index(winner)]} is better: {evidence}"
