"""The items of the checklist: a question, a verdict, the number that it rests on, the command that settles it."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from hierpets.checklist.evidence import RunEvidence

__all__ = ["Item", "Status", "judge_run"]

Status = Literal["pass", "warn", "fail", "not done"]
EVEN = 1.5  # classes of a ratio below this need no sampler
SPECIES_RECALL = (0.95, 0.80)  # below the first: warn, below the second: fail
BREED_RECALL = (0.70, 0.40)
SUPPORT = 5  # photos of a class, below which its recall says little
ECE = (0.05, 0.10)
GAIN = 0.05  # of balanced accuracy, that pretrained weights should bring
DROP = (0.05, 0.15)  # of balanced accuracy, from the run's own photos to others
AGREE = (0.01, 0.05)  # of a probability, between the ways a photo is computed


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
        return Item(question, "not done", "no audit of the training data", _audit(run))
    told = []
    uneven = False
    for level, found in audit["levels"].items():
        counts, ratio = found["counts"], found["imbalance_ratio"]
        uneven |= len(counts) > 1 and (ratio is None or ratio >= EVEN)
        spread = f"{min(counts.values()):,} to {max(counts.values()):,} photos" if counts else "none"
        told.append(f"{level}: {len(counts)} classes of {spread}")
    sampler, advised = run.settings["sampler"], audit["sampler"]["name"]
    number = f"{'; '.join(told)}; sampler {sampler}"
    if uneven and sampler == "shuffle":
        return Item(question, "warn", f"{number}, though {advised} is advised", _train(run, f"--sampler {advised}"))
    return Item(question, "pass", number)


def _duplicates(run: RunEvidence) -> Item:
    question = "looked for duplicates and leaks?"
    audit = run.own_audit
    if audit is None:
        return Item(question, "not done", "no audit of the training data", _audit(run))
    n = audit["summary"]
    number = f"{n['leak']} in two splits, {n['duplicate']} more than once, {n['label_conflict']} under two labels"
    status: Status = "fail" if n["leak"] else "warn" if n["duplicate"] or n["label_conflict"] else "pass"
    return Item(question, status, number, "" if status == "pass" else f"look at {run.folder}/audit/audit.html")


def _labels(run: RunEvidence) -> Item:
    question = "looked for wrong labels?"
    audit = run.own_audit
    if audit is None:
        return Item(question, "not done", "no audit of the training data", _audit(run))
    doubted = audit["summary"]["label_error"]
    number = f"{doubted} of {audit['photos']:,} labels doubted ({doubted / max(audit['photos'], 1):.1%})"
    if doubted == 0:
        return Item(question, "pass", number)
    return Item(question, "warn", number, f"look at {run.folder}/audit/audit.html")


def _baseline(run: RunEvidence) -> Item:
    question = "better than always the commonest class?"
    how, metrics = run.unseen
    told, worst = [], 1.0
    for level in _levels(metrics):
        found = metrics[level]
        majority, (low, _) = found["majority_class"], found["intervals"].get("accuracy") or (found["accuracy"], None)
        told.append(f"{level} {found['accuracy']:.1%} against {majority['accuracy']:.1%} ({majority['label']})")
        worst = min(worst, (found["accuracy"] if low is None else low) - majority["accuracy"])
    status: Status = "pass" if worst > 0 else "fail"
    return Item(question, status, f"{'; '.join(told)}; {how}", "" if worst > 0 else _train(run))


def _pretrained(run: RunEvidence) -> Item:
    question = "do pretrained weights help on this data?"
    found = run.measured.get("random_backbone")
    if not found:
        return Item(question, "not done", "not compared", f"hierpets checklist {_quoted(run.folder)} --measure")
    if found.get("skipped"):
        return Item(question, "not done", found["skipped"])
    gain = found["pretrained"] - found["random"]
    number = (
        f"balanced {found['level']} accuracy {found['pretrained']:.1%} with, {found['random']:.1%} without, "
        f"{found['photos']:,} photos out of fold"
    )
    status: Status = "pass" if gain >= GAIN else "warn" if gain > 0 else "fail"
    return Item(question, status, number, "" if status == "pass" else _train(run, "--backbone ANOTHER"))


def _recall(run: RunEvidence) -> Item:
    question = "recall of every class?"
    how, metrics = run.unseen
    told: list[str] = []
    status: Status = "pass"
    for level, bounds in (("species", SPECIES_RECALL), ("breed", BREED_RECALL)):
        judged = [
            (c["recall"], label, c["support"])
            for label, c in (metrics.get(level) or {"per_class": {}})["per_class"].items()
            if c["support"] >= SUPPORT
        ]
        if judged:
            recall, label, support = min(judged)
            told.append(f"lowest {level}: {label} {recall:.1%} of {support}")
            status = _worse(status, recall, bounds)
    if not told:
        return Item(
            question, "not done", f"no class has {SUPPORT} photos, {how}", _evaluate(run, run.data, "evaluation")
        )
    return Item(
        question,
        status,
        f"{'; '.join(told)}; {how}",
        "" if status == "pass" else _evaluate(run, run.data, "evaluation"),
    )


def _calibrated(run: RunEvidence) -> Item:
    question = "calibrated?"
    how, metrics = run.unseen
    found = {level: metrics[level]["ece"] for level in _levels(metrics) if metrics[level]["ece"] is not None}
    number = ", ".join(f"{level} error {ece:.3f}" for level, ece in found.items())
    number += f"; {how}; species temperature {run.manifest.temperatures.species:.3g}"
    worst = max(found.values(), default=1.0)
    status: Status = "pass" if worst <= ECE[0] else "warn" if worst <= ECE[1] else "fail"
    return Item(question, status, number, "" if status == "pass" else _train(run, "--val-fraction 0.25"))


def _thresholds(run: RunEvidence) -> Item:
    question = "thresholds fitted on photos that the model did not see?"
    on = run.manifest.training.get("calibrated_on")
    photos = sum(map(len, run.manifest.policy.scores.values()))
    if not photos or on is None:
        return Item(question, "fail", "the bundle's thresholds rest on no photo", _train(run))
    number = f"{photos:,} photos, {on}"
    if list(run.metrics) == [on]:
        settle = _evaluate(run, "OTHER_PHOTOS", "elsewhere")
        return Item(question, "warn", f"{number}; its metrics are of the same photos", settle)
    return Item(question, "pass", number)


def _preprocessing(run: RunEvidence) -> Item:
    question = "the same preprocessing in training and serving?"
    p = run.manifest.preprocess
    expected = f"1,3,{p.size},{p.size}"
    number = f"one for all: {p.size} px, {p.resize} {p.crop:g}; the graph takes {run.graph}"
    if run.graph != expected:
        return Item(question, "fail", f"{number}, expected {expected}", _train(run))
    gap = run.measured.get("engines")
    if not gap:
        settle = f"hierpets checklist {_quoted(run.folder)} --measure"
        return Item(question, "warn", f"{number}; answers not compared", settle)
    number += f"; torch and OpenVINO differ by {gap['largest']:.4f} at most, {gap['photos']} photos"
    status: Status = "pass" if gap["largest"] <= AGREE[0] else "warn" if gap["largest"] <= AGREE[1] else "fail"
    return Item(
        question, status, number, "" if status == "pass" else f"hierpets inspect PHOTO --model {run.folder}/bundle"
    )


def _elsewhere(run: RunEvidence) -> Item:
    question = "tested on photos from elsewhere?"
    settle = _evaluate(run, "OTHER_PHOTOS", "elsewhere")
    if not run.elsewhere:
        return Item(question, "not done", f"no evaluation in {run.folder} on other data than {run.data}", settle)
    how, own = run.unseen
    told: list[str] = []
    status: Status = "pass"
    for name, metrics in run.elsewhere.items():
        level = "breed" if metrics.get("breed") and own.get("breed") else "species"
        there, here = metrics[level]["balanced_accuracy"], own[level]["balanced_accuracy"]
        told.append(f"{name}: balanced {level} accuracy {there:.1%} on {metrics['n']:,} photos, {how} {here:.1%}")
        status = _worse(status, here - there, DROP, larger_is_worse=True)
    return Item(
        question, status, "; ".join(told), "" if status == "pass" else "hierpets audit OTHER_PHOTOS --out ELSEWHERE"
    )


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
)


def _levels(metrics: dict[str, Any]) -> list[str]:
    return [level for level in ("species", "breed") if metrics.get(level)]


def _worse(status: Status, value: float, bounds: tuple[float, float], *, larger_is_worse: bool = False) -> Status:
    """The graver of a status and the verdict on a value."""
    beyond = [value > bound if larger_is_worse else value < bound for bound in bounds]
    verdict: Status = "fail" if beyond[1] else "warn" if beyond[0] else "pass"
    order: tuple[Status, ...] = ("pass", "warn", "fail")
    return max(status, verdict, key=order.index)


def _quoted(path: Any) -> str:
    return shlex.quote(str(path))


def _audit(run: RunEvidence, data: str | None = None) -> str:
    return f"hierpets audit {_quoted(data or run.data)} --out {_quoted(run.folder / 'audit')}"


def _train(run: RunEvidence, change: str = "") -> str:
    return " ".join(f"hierpets train --config {_quoted(run.folder / 'config.yaml')} {change} --out ANOTHER_RUN".split())


def _evaluate(run: RunEvidence, data: str, name: str) -> str:
    model, out = _quoted(run.folder / "bundle"), _quoted(run.folder / name)
    split = " --split val" if data == run.data else ""  # the rest has been trained on
    return f"hierpets evaluate --model {model} --data {_quoted(data)}{split} --out {out}"
