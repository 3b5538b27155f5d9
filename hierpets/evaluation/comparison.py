"""Two models on the same photos: is one better, or was it luck?"""

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
    """Of one model, or the difference of two."""

    accuracy: float = Field(description="share of photos whose top-1 class is the true one")
    balanced_accuracy: float = Field(description="mean recall over the classes")


class AccuracyIntervals(StrictModel):
    """95% paired bootstrap intervals of the differences."""

    accuracy: tuple[float, float] = Field(description="of the accuracy")
    balanced_accuracy: tuple[float, float] = Field(description="of the balanced accuracy")


class McNemarTest(StrictModel):
    """The photos on which only one model is right, and McNemar's exact test of their split, in which animals count."""

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
    """One of the two evaluations."""

    name: str
    records: Records
    model: ModelId | None
    seen: SeenMetrics | None

    @property
    def left_out(self) -> int:
        """How many photos were not measured because the model was fitted to them."""
        return self.seen.n if self.seen and self.seen.left_out else 0

    @property
    def fitted_to(self) -> int:
        """How many of the measured photos the model was fitted to."""
        return self.seen.n if self.seen and not self.seen.left_out else 0


@checked
def compare(
    a: EvaluationOrFolder, b: EvaluationOrFolder, *, names: tuple[str, str] = ("A", "B"), seed: Seed = 0
) -> Comparison:
    """Compare two evaluations of the same photos, at the levels species and breed.

    Each is an :class:`Evaluation`, its folder, or the folder of a training run with an ``evaluation/``. ``names``
    are what the two are called where they have no folder. ``seed``, a whole number, is that of the bootstrap.

    Photos are matched by their paths inside the folder that holds them all, so that a data set may have been moved, and
    must be the same by their digests.
    Differences are B minus A, with 95% paired bootstrap intervals. A winner of a level is named only when both the
    interval of the accuracy difference excludes zero and McNemar's exact test finds p < 0.05. Photos that one
    evaluation left out because its model was fitted to them are left out of both; where a model was measured on such
    photos, no winner is named.

    :raises DataError: no evaluation found, or the photos or labels differ.
    :raises ConfigError: an argument of another type, or a seed below zero.
    """
    one, other = map(_side, (a, b), names)
    own, others = _unseen(one, other)
    found = compare_records(own, others, names=(one.name, other.name), seed=seed)
    levels: dict[str, LevelComparison | None] = dict(found.levels)
    fitted = [f"{side.name} was fitted to {side.fitted_to:,}" for side in (one, other) if side.fitted_to]
    for name, level in found.measured.items():
        if fitted:
            verdict = f"no verdict: {' and '.join(fitted)} of the {counted(found.n, 'photo')}"
            levels[name] = level.model_copy(update={"winner": None, "verdict": verdict})
        elif (len(own), len(others)) != (len(one.records), len(other.records)):
            levels[name] = level.model_copy(
                update={"verdict": f"{level.verdict}, on photos that neither was fitted to"}
            )
    return found.model_copy(update={"model_a": one.model, "model_b": other.model, "levels": levels})


def compare_records(
    a: Records, b: Records, *, names: tuple[str, str], seed: int = 0, resamples: int = 2000
) -> Comparison:
    """Compare the records of two models, whichever they are, as :func:`compare` does.

    :raises DataError: the photos or their labels are not the same.
    """
    pairs = _paired(a, b, names=names)
    labeled = [(x, y) for x, y in pairs if x.breed is not None and y.breed is not None]
    species = [(x.species, x.species_right, y.species_right) for x, y in pairs]
    breeds = [(f"{x.species}/{x.breed}", x.breed_right, y.breed_right) for x, y in labeled]
    levels = {
        level: _compare_level(judged, _groups(of), names=names, seed=seed, resamples=resamples) if judged else None
        for level, judged, of in (("species", species, pairs), ("breed", breeds, labeled))
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
    """The records to compare. A model is not measured on photos that it was fitted to, so either side may lack some of
    the other's: where no more are missing than it left out, those of the photos that both have. Else all.
    """
    in_a, in_b = _by_path(a.records, b.records)
    shared = in_a.keys() & in_b.keys()
    if not shared or len(in_a) - len(shared) > b.left_out or len(in_b) - len(shared) > a.left_out:
        return a.records, b.records
    own, others = ([record for path, record in side.items() if path in shared] for side in (in_a, in_b))
    return own, others


def _by_path(a: Records, b: Records) -> tuple[dict[str, EvaluationRecord], dict[str, EvaluationRecord]]:
    """Both by their paths inside the folder that holds all photos: of both sides, since one may have left out all but
    those of a folder in it; or of each, where the data set was moved.
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
    """Whether two breeds are named. A model that knows no breeds of a species has labels without any."""
    return None not in (a.breed, b.breed) and a.breed != b.breed


def _groups(pairs: Sequence[tuple[EvaluationRecord, EvaluationRecord]]) -> np.ndarray | None:
    """int [N]: which photos show one animal, as the first evaluation says; None where each shows another."""
    individuals = [record.individual for record, _ in pairs]
    known = [individual for individual in individuals if individual is not None]
    return np.array(known) if len(known) == len(individuals) else None


def _compare_level(
    judged: Sequence[tuple[str, bool, bool]],
    groups: np.ndarray | None,
    *,
    names: tuple[str, str],
    seed: int,
    resamples: int,
) -> LevelComparison:
    """``judged`` are N photos: the class, was A right, was B right."""
    truth, hit = [label for label, *_ in judged], np.array([right for _, *right in judged])
    values, intervals = estimate(_accuracies(hit, truth), len(truth), seed=seed, resamples=resamples, groups=groups)
    a, b, difference = (
        Accuracies(accuracy=values[f"{of}_accuracy"], balanced_accuracy=values[f"{of}_balanced_accuracy"])
        for of in ("a", "b", "difference")
    )
    ahead = hit[:, 1].astype(int) - hit[:, 0]  # by how much B is of A
    apart = ahead != 0
    interval = AccuracyIntervals(
        accuracy=interval_of_difference(apart, intervals["difference_accuracy"], groups=groups),
        balanced_accuracy=interval_of_difference(
            apart, intervals["difference_balanced_accuracy"], balanced_weights(np.array(truth)), groups=groups
        ),
    )
    by_animal = ahead if groups is None else np.bincount(np.unique(groups, return_inverse=True)[1], ahead).astype(int)
    test = McNemarTest(
        only_a_right=int((ahead < 0).sum()), only_b_right=int((ahead > 0).sum()), p_value=mcnemar_exact(by_animal)
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
    """Accuracy and balanced accuracy of both models, and their differences."""
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
    """Two-sided exact test: do two models split the photos on which they disagree like coin tosses?

    ``ahead`` int [K] is by how many photos of each animal B is ahead of A. Were both alike, each would have either sign
    with the same probability (Fisher's randomization test, 1935). With one photo of each animal, that is McNemar's
    exact test (1947).
    """
    from scipy.stats import binom

    sizes, animals = np.unique(np.abs(ahead[ahead != 0]), return_counts=True)
    chances = np.ones(1)  # of each sum, from the least on, in steps of two
    for size, n in zip(sizes.tolist(), animals.tolist(), strict=True):
        of_size = np.zeros(size * n + 1)
        of_size[::size] = binom.pmf(np.arange(n + 1), n, 0.5)
        chances = np.convolve(chances, of_size)
    most = int(sizes @ animals)
    sums = np.arange(-most, most + 1, 2)
    return min(1.0, float(chances[np.abs(sums) >= abs(ahead.sum())].sum()))


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
