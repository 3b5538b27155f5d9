"""The items of the checklist: a question, a verdict, the number behind it, the command to run next."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Literal, NamedTuple

from hierpets.auditing.findings import PAGE_FILE
from hierpets.checklist.drop import find_drop
from hierpets.checklist.evidence import RunEvidence
from hierpets.config import CONFIG_FILE
from hierpets.evaluation.metrics.reliability import chance_error
from hierpets.evaluation.metrics.schema import ClassScores
from hierpets.evaluation.report.words import broken_promises
from hierpets.text import counted, join_words

__all__ = ["Item", "Status", "judge_run"]

Status = Literal["pass", "warn", "fail", "not done"]
ORDER: tuple[Status, ...] = ("pass", "warn", "fail")
SPECIES_RECALL = (0.95, 0.80)  # below the first: warn, below the second: fail
BREED_RECALL = (0.70, 0.40)
NAMED = 3  # classes that are called by name
SUPPORT = 5  # photos of a class, below which its recall says little
ECE = (0.05, 0.10)
GAIN = 0.05  # of balanced accuracy, that pretrained weights should bring
DROP = (0.05, 0.15)  # of balanced accuracy, from the run's own photos to others
LOSS = (0.05, 0.15)  # of accuracy, at the middle step of the stress test
AGREE = (0.01, 0.05)  # of a probability, between engines and batch sizes


@dataclass(frozen=True)
class Item:
    """One line of the checklist. ``settle`` is a command, empty where there is nothing left to do."""

    question: str
    status: Status
    number: str
    settle: str = ""

    def to_json(self) -> dict[str, str]:
        return {"question": self.question, "status": self.status, "number": self.number, "settle": self.settle}


def judge_run(run: RunEvidence) -> list[Item]:
    """Every item, in the order in which an engineer would ask. ``docs/checklist.md`` explains each."""
    return [item(run) for item in ITEMS]


def _counted(run: RunEvidence) -> Item:
    question = "counted the classes at each level?"
    audit = run.own_audit
    if audit is None:
        return _unaudited(run, question)
    parts = []
    uneven = False
    for level, found in audit.levels.items():
        counts = found.counts
        uneven |= found.uneven
        spread = f"{min(counts.values()):,} to {max(counts.values()):,} photos" if counts else "none"
        parts.append(f"{level}: {len(counts)} classes of {spread}")
    sampler, advised = run.config.sampler, audit.sampler.name
    number = f"{'; '.join(parts)}; sampler {sampler}"
    if uneven and sampler == "shuffle":
        return Item(question, "warn", f"{number}, but {advised} is advised", _train(run, f"--sampler {advised}"))
    return Item(question, "pass", number)


def _duplicates(run: RunEvidence) -> Item:
    question = "looked for duplicates and leaks?"
    audit = run.own_audit
    if audit is None:
        return _unaudited(run, question)
    n = audit.summary
    number = f"{n['leak']} in two splits, {n['duplicate']} duplicated, {n['label_conflict']} under two labels"
    status: Status = "fail" if n["leak"] else "warn" if n["duplicate"] or n["label_conflict"] else "pass"
    return Item(question, status, number, "" if status == "pass" else _look_at_audit(run))


def _labels(run: RunEvidence) -> Item:
    question = "looked for label errors?"
    audit = run.own_audit
    if audit is None:
        return _unaudited(run, question)
    suspected, photos = audit.summary["label_error"], audit.photos
    number = f"{suspected} suspected among {photos:,} labels ({suspected / max(photos, 1):.1%})"
    return Item(question, "warn" if suspected else "pass", number, _look_at_audit(run) if suspected else "")


def _baseline(run: RunEvidence) -> Item:
    question = "better than the majority-class baseline?"
    how, metrics = run.held_out
    parts, worst = [], 1.0
    for name, level in metrics.by_level.items():
        majority, low = level.majority_class, level.intervals["accuracy"][0]
        if majority.accuracy == 1:  # of one class alone no model can be better
            continue
        low = level.accuracy if low is None else low
        part = f"{name} {level.accuracy:.1%} against {majority.accuracy:.1%} ({majority.label})"
        if low <= majority.accuracy < level.accuracy:
            part += f", though by its 95% interval on {counted(level.n, 'photo')} it may be {low:.1%}"
        parts.append(part)
        worst = min(worst, low - majority.accuracy)
    if not parts:
        return Item(question, "not done", f"photos of one class alone, {how}", _evaluate_elsewhere(run))
    passed = worst > 0
    return Item(question, "pass" if passed else "fail", f"{'; '.join(parts)}; {how}", "" if passed else _stronger(run))


def _pretrained(run: RunEvidence) -> Item:
    question = "do pretrained weights help on this data?"
    found = run.measured.random_backbone
    if found is None and run.measured.skipped:
        return Item(question, "not done", run.measured.skipped)
    if found is None:
        return Item(question, "not done", "not compared", _measure(run))
    gain = found.pretrained - found.random
    number = (
        f"balanced {found.level} accuracy {found.pretrained:.1%} with, {found.random:.1%} without, "
        f"{counted(found.photos, 'photo')} out of fold"
    )
    status: Status = "pass" if gain >= GAIN else "warn" if gain > 0 else "fail"
    return Item(question, status, number, "" if status == "pass" else _train(run, "--backbone ANOTHER"))


class _ClassRecall(NamedTuple):
    """The recall of a class, where it rests on the most photos."""

    label: str
    scores: ClassScores
    source: str

    def __str__(self) -> str:
        return f"{self.label} {self.scores.recall:.1%} of {self.scores.support} ({self.source})"


class _LowestRecall(NamedTuple):
    """The recall of a level that decides, the ``highest`` that it may be, and the verdict."""

    found: _ClassRecall
    highest: float
    verdict: Status

    @classmethod
    def of(cls, recalls: list[_ClassRecall], bounds: tuple[float, float]) -> _LowestRecall:
        """Fail what is surely too low, for one of so many classes; warn of what is too low as it was measured."""

        def judged(found: _ClassRecall) -> _LowestRecall:
            highest = found.scores.recall_among(len(recalls))[1]
            low: Status = "warn" if found.scores.recall < bounds[0] else "pass"
            return cls(found, highest, "fail" if highest < bounds[1] else low)

        return max(map(judged, recalls), key=lambda one: (ORDER.index(one.verdict), -one.found.scores.recall))


def _recall(run: RunEvidence) -> Item:
    question = "recall of every class?"
    parts: list[str] = []
    status: Status = "pass"
    settle = ""
    for level, bounds in (("species", SPECIES_RECALL), ("breed", BREED_RECALL)):
        if recalls := _recalls(run, level):
            found, highest, verdict = _LowestRecall.of(recalls, bounds)
            luck = f", but by its 95% interval it may be {highest:.1%}"
            parts.append(f"lowest {level}: {found}{luck if verdict == 'warn' else ''}")
            status = _gravest(status, verdict)
            if verdict != "pass":
                settle = _evaluate_elsewhere(run) if highest >= bounds[0] else _train(run, data="MORE_PHOTOS")
    if not parts:
        number = f"no class has {SUPPORT} photos, {run.held_out[0]}"
        return Item(question, "not done", number, _evaluate_elsewhere(run))
    if skipped := _without_recall(run):
        parts.append(f"fewer than {SUPPORT} photos of {join_words(skipped, most=NAMED)}")
        status, settle = "warn" if status == "pass" else status, settle or _evaluate_elsewhere(run)
    return Item(question, status, "; ".join(parts), settle)


def _recalls(run: RunEvidence, level: str) -> list[_ClassRecall]:
    """Of each class with enough photos: where it has the most, held out or in an evaluation elsewhere."""
    best: dict[str, _ClassRecall] = {}
    for source, metrics in (run.held_out, *run.elsewhere.items()):
        measured = metrics.by_level.get(level)
        for label, scores in measured.per_class.items() if measured else ():
            if scores.support >= SUPPORT and (label not in best or scores.support > best[label].scores.support):
                best[label] = _ClassRecall(label, scores, source)
    return list(best.values())


def _without_recall(run: RunEvidence) -> list[str]:
    """The breeds that were learned from photos, and of which too few were judged."""
    judged = {found.label for found in _recalls(run, "breed")}
    pairs = zip(run.manifest.taxonomy.leaves, run.manifest.origins, strict=True)
    learned = [str(leaf) for leaf, origin in pairs if leaf.breed and origin != "pretrained"]
    return [label for label in learned if label not in judged]


def _calibrated(run: RunEvidence) -> Item:
    question = "calibrated?"
    how, metrics = run.held_out
    by_chance = {name: chance_error(level.calibration) for name, level in metrics.by_level.items()}
    number = ", ".join(
        f"{name} error {level.ece:.3f} ({by_chance[name]:.3f} of it by chance)"
        for name, level in metrics.by_level.items()
    )
    number += f"; {how}; species temperature {run.manifest.temperatures.species:.3g}"
    worst = max(level.ece - by_chance[name] for name, level in metrics.by_level.items())
    status = _verdict(worst, ECE)
    return Item(question, status, number, "" if status == "pass" else _train(run, "--val-fraction 0.25"))


def _thresholds(run: RunEvidence) -> Item:
    question = "thresholds fitted on held-out photos?"
    on = run.manifest.training.get("calibrated_on")
    photos = sum(map(len, run.manifest.policy.of("trained").values()))
    if not photos or on is None:
        return Item(
            question, "fail", "the bundle's thresholds were fitted to no photos", _train(run, "--val-fraction 0.25")
        )
    number = f"{counted(photos, 'photo')}, {on}"
    if why := run.manifest.policy.unanswered(run.manifest.taxonomy.species):
        return Item(question, "fail", f"{number}; {why}", _train(run, data="MORE_PHOTOS"))
    if broken := {name: [*broken_promises(m.selective)] for name, m in run.unseen.items() if m.selective.broken}:
        # It was made for photos like the run's own, which those from elsewhere need not be.
        status: Status = "warn" if broken.keys() <= run.elsewhere.keys() else "fail"
        said = [f"{name}: the model {clause}" for name, clauses in broken.items() for clause in clauses]
        return Item(question, status, "; ".join([number, *said]), _train(run, data="MORE_PHOTOS"))
    if list(run.metrics) == [on] and not run.elsewhere:
        return Item(question, "warn", f"{number}; its metrics are on the same photos", _evaluate_elsewhere(run))
    return Item(question, "pass", number)


def _preprocessing(run: RunEvidence) -> Item:
    question = "same preprocessing in training and serving?"
    p = run.manifest.preprocess
    expected = f"1,{p.size},{p.size},3"
    number = f"one for all uses: {p.size} px, {p.resize} {p.crop:g}; the graph takes {run.graph}"
    if run.graph != expected:
        return Item(question, "fail", f"{number}, expected {expected}", _train(run))
    gap = run.measured.engines
    if gap is None:
        return Item(question, "warn", f"{number}; engines not compared", _measure(run))
    number += f"; torch and OpenVINO differ by {gap.largest:.4f} at most, {counted(gap.photos, 'photo')}"
    status = _verdict(gap.largest, AGREE)
    inspect = f"hierpets inspect PHOTO --model {_quoted(run.bundle)}"
    return Item(question, status, number, "" if status == "pass" else inspect)


def _elsewhere(run: RunEvidence) -> Item:
    question = "tested on photos from another source?"
    recognized = [
        f"{name}: no other source, the model was fitted to {counted(n, 'photo')} of it"
        for name, n in run.recognized.items()
    ]
    if not run.elsewhere:
        none = f"no evaluation of this model in {run.folder} on other data than {run.config.data}"
        return Item(question, "not done", "; ".join(recognized) or none, _evaluate_elsewhere(run))
    how, own = run.held_out
    parts: list[str] = []
    verdicts: list[Status] = []
    may_be_none = True
    for name, metrics in run.elsewhere.items():
        if found := find_drop(own, metrics):
            parts.append(f"{name}: balanced {found.level} accuracy {found}, {how}")
            verdicts.append(_by_interval(found.interval, DROP))
            may_be_none &= found.interval[0] <= DROP[0]
        else:
            parts.append(f"{name}: no class that {how} has, too")
    number = "; ".join(parts + recognized)
    status = _gravest(*verdicts) if verdicts else "not done"
    settle = _evaluate_elsewhere(run) if may_be_none else _train(run, data="MORE_PHOTOS")
    return Item(question, status, number, "" if status == "pass" else settle)


def _stress(run: RunEvidence) -> Item:
    question = "does it bear worse photos?"
    tested = {name: found.stress for name, found in run.unseen.items() if found.stress}
    if not tested:
        seen = any(found.stress for found in run.evaluations.values())
        number = f"no stress test of this model{' on photos that it was not fitted to' if seen else ''}"
        return Item(question, "not done", number, _stress_test(run))
    parts: list[str] = []
    status: Status = "pass"
    may_be_none = True
    for name, stress in tested.items():
        middle, worst = stress.middle, stress.worst
        low, high = (middle.loss if bound is None else bound for bound in middle.loss_interval)
        lost = f"{100 * middle.loss:.1f} points lost ({100 * low:.1f} to {100 * high:.1f}) at the middle step"
        parts.append(f"{name}: {lost} on {counted(stress.n, 'photo')}, worst {worst.kind} {worst.finest:.1%}")
        status = _gravest(status, _by_interval((low, high), LOSS))
        may_be_none &= low <= LOSS[0]
    settle = _stress_test(run) if may_be_none else _train(run, data="MORE_PHOTOS")
    return Item(question, status, "; ".join(parts), "" if status == "pass" else settle)


ITEMS: tuple[Callable[[RunEvidence], Item], ...] = (
    _counted,
    _duplicates,
    _labels,
    _baseline,
    _pretrained,
    _recall,
    _calibrated,
    _thresholds,
    _preprocessing,
    _elsewhere,
    _stress,
)


def _verdict(value: float, bounds: tuple[float, float]) -> Status:
    """Warn above the first bound, fail above the second."""
    return _by_interval((value, value), bounds)


def _by_interval(interval: tuple[float, float], bounds: tuple[float, float]) -> Status:
    """Fail what is surely above the second bound; pass what is surely not above the first."""
    low, high = interval
    return "fail" if low > bounds[1] else "warn" if high > bounds[0] else "pass"


def _gravest(*verdicts: Status) -> Status:
    return max(verdicts, key=ORDER.index)


def _quoted(path: Path | str) -> str:
    return shlex.quote(str(path))


def _unaudited(run: RunEvidence, question: str) -> Item:
    again = " --overwrite" if run.audit else ""
    audit = f"hierpets audit {_quoted(run.config.data)} --out {_quoted(run.folder / 'audit')}{again}"
    return Item(question, "not done", run.why_not_audited or "", audit)


def _look_at_audit(run: RunEvidence) -> str:
    return f"look at {run.folder / 'audit' / PAGE_FILE}"


def _measure(run: RunEvidence) -> str:
    return f"hierpets checklist {_quoted(run.folder)} --measure"


def _train(run: RunEvidence, change: str = "", *, data: str | None = None) -> str:
    config, photos = _quoted(run.folder / CONFIG_FILE), data or _quoted(run.config.data)
    return " ".join(f"hierpets train --config {config} --data {photos} {change} --out ANOTHER_RUN".split())


def _stronger(run: RunEvidence) -> str:
    """Compare every backbone, or, where that has been done, train on more photos."""
    if run.config.recipe == "auto" and run.config.backbone is None:
        return _train(run, data="MORE_PHOTOS")
    return _train(run, "--recipe auto" + (" --set backbone=null" if run.config.backbone else ""))


def _evaluate_elsewhere(run: RunEvidence) -> str:
    model, out = _quoted(run.bundle), _quoted(_free(run.folder, "elsewhere"))
    return f"hierpets evaluate --model {model} --data OTHER_PHOTOS --out {out}"


def _free(folder: Path, name: str) -> Path:
    """The name in the folder, or else the first of it with a number that nothing has: ``stress``, ``stress-2``."""
    numbered = (folder / f"{name}-{number}" for number in count(2))
    return next(path for path in chain([folder / name], numbered) if not path.exists())


def _stress_test(run: RunEvidence) -> str:
    """On the photos that training held out; on others where it held out none."""
    model, out = _quoted(run.bundle), _quoted(_free(run.folder, "stress"))
    own = f"{_quoted(run.config.data)} --split val" if "validation" in run.metrics else "OTHER_PHOTOS"
    return f"hierpets evaluate --model {model} --data {own} --stress --out {out}"
