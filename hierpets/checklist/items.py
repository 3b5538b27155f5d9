"""The items of the checklist: a question each, judged by what the run holds."""

from __future__ import annotations

from collections.abc import Callable

from hierpets.checklist import commands
from hierpets.checklist.drop import find_drop
from hierpets.checklist.evidence import RunEvidence
from hierpets.checklist.recall import judge_recall
from hierpets.checklist.verdict import Item, Status, by_interval, by_value, worst_of
from hierpets.evaluation.metrics.promise import broken_promises
from hierpets.evaluation.metrics.reliability import chance_error
from hierpets.planning.result import Help
from hierpets.text import counted

__all__ = ["judge_run"]

ECE = (0.05, 0.10)
DROP = (0.05, 0.15)  # of balanced accuracy, from the run's own photos to others
LOSS = (0.05, 0.15)  # of accuracy, at the middle step of the stress test
HELPS: dict[Help, Status] = {"yes": "pass", "hardly": "warn", "no": "fail"}
AGREE = (0.01, 0.05)  # of a probability, between engines and batch sizes


def judge_run(run: RunEvidence) -> list[Item]:
    """Judge every item, in the order in which an engineer would ask. ``docs/checklist.md`` explains each."""
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
    evidence = f"{'; '.join(parts)}; sampler {sampler}"
    if uneven and sampler == "shuffle":
        advice = commands.train(run, f"--sampler {advised}")
        return Item(question, "warn", f"{evidence}, but {advised} is advised", advice)
    return Item(question, "pass", evidence)


def _duplicates(run: RunEvidence) -> Item:
    question = "looked for duplicates and leaks?"
    audit = run.own_audit
    if audit is None:
        return _unaudited(run, question)
    n = audit.summary
    evidence = f"{n['leak']} in two splits, {n['duplicate']} duplicated, {n['label_conflict']} under two labels"
    status: Status = "fail" if n["leak"] else "warn" if n["duplicate"] or n["label_conflict"] else "pass"
    return Item(question, status, evidence, "" if status == "pass" else commands.look_at_audit(run))


def _labels(run: RunEvidence) -> Item:
    question = "looked for label errors?"
    audit = run.own_audit
    if audit is None:
        return _unaudited(run, question)
    suspected, misspelled, photos = audit.summary["label_error"], audit.summary["misspelled"], audit.photos
    evidence = f"{suspected} suspected among {photos:,} labels ({suspected / max(photos, 1):.1%})"
    if misspelled:
        evidence += f"; classes that may be misspelled: {misspelled}"
    found = suspected or misspelled
    return Item(question, "warn" if found else "pass", evidence, commands.look_at_audit(run) if found else "")


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
        return Item(question, "not done", f"photos of one class alone, {how}", commands.evaluate_elsewhere(run))
    evidence = f"{'; '.join(parts)}; {how}"
    if worst > 0:
        return Item(question, "pass", evidence)
    return Item(question, "fail", evidence, commands.train_stronger(run))


def _pretrained(run: RunEvidence) -> Item:
    question = "do pretrained weights help on this data?"
    found = run.measured.random_backbone
    if found is None and run.measured.skipped:
        return Item(question, "not done", run.measured.skipped)
    if found is None:
        return Item(question, "not done", "not compared", commands.measure(run))
    evidence = (
        f"balanced {found.level} accuracy {found.pretrained:.1%} with, {found.random:.1%} without, "
        f"{counted(found.photos, 'photo')} out of fold"
    )
    status = HELPS[found.helps]
    return Item(question, status, evidence, "" if status == "pass" else commands.train(run, "--backbone ANOTHER"))


def _calibrated(run: RunEvidence) -> Item:
    question = "calibrated?"
    how, metrics = run.held_out
    by_chance = {name: chance_error(level.calibration) for name, level in metrics.by_level.items()}
    evidence = ", ".join(
        f"{name} error {level.ece:.3f} ({by_chance[name]:.3f} of it by chance)"
        for name, level in metrics.by_level.items()
    )
    evidence += f"; {how}; species temperature {run.manifest.temperatures.species:.3g}"
    worst = max(level.ece - by_chance[name] for name, level in metrics.by_level.items())
    status = by_value(worst, ECE)
    return Item(question, status, evidence, "" if status == "pass" else commands.train(run, "--val-fraction 0.25"))


def _thresholds(run: RunEvidence) -> Item:
    question = "thresholds fitted on held-out photos?"
    on = run.manifest.training.get("calibrated_on")
    photos = sum(map(len, run.manifest.policy.of("trained").values()))
    if not photos or on is None:
        none = "the bundle's thresholds were fitted to no photos"
        return Item(question, "fail", none, commands.train(run, "--val-fraction 0.25"))
    evidence = f"{counted(photos, 'photo')}, {on}"
    if why := run.manifest.policy.unanswered(run.manifest.taxonomy.species):
        return Item(question, "fail", f"{evidence}; {why}", commands.train_on_more(run))
    if broken := {name: [*broken_promises(m.selective)] for name, m in run.unseen.items() if m.selective.broken}:
        # It was made for photos like the run's own, which those from elsewhere need not be.
        status: Status = "warn" if broken.keys() <= run.elsewhere.keys() else "fail"
        said = [f"{name}: the model {clause}" for name, clauses in broken.items() for clause in clauses]
        return Item(question, status, "; ".join([evidence, *said]), commands.train_on_more(run))
    if list(run.metrics) == [on] and not run.elsewhere:
        same = f"{evidence}; its metrics are on the same photos"
        return Item(question, "warn", same, commands.evaluate_elsewhere(run))
    return Item(question, "pass", evidence)


def _preprocessing(run: RunEvidence) -> Item:
    question = "same preprocessing in training and serving?"
    p = run.manifest.preprocess
    expected = f"1,{p.size},{p.size},3"
    evidence = f"one for all uses: {p.size} px, {p.resize} {p.crop:g}; the graph takes {run.graph}"
    if run.graph != expected:
        return Item(question, "fail", f"{evidence}, expected {expected}", commands.train(run))
    gap = run.measured.engines
    if gap is None:
        return Item(question, "warn", f"{evidence}; engines not compared", commands.measure(run))
    evidence += f"; torch and OpenVINO differ by {gap.largest:.4f} at most, {counted(gap.photos, 'photo')}"
    status = by_value(gap.largest, AGREE)
    return Item(question, status, evidence, "" if status == "pass" else commands.inspect(run))


def _elsewhere(run: RunEvidence) -> Item:
    question = "tested on photos from another source?"
    recognized = [
        f"{name}: no other source, the model was fitted to {counted(n, 'photo')} of it"
        for name, n in run.recognized.items()
    ]
    if not run.elsewhere:
        none = f"no evaluation of this model in {run.folder} on other data than {run.config.data}"
        return Item(question, "not done", "; ".join(recognized) or none, commands.evaluate_elsewhere(run))
    how, own = run.held_out
    parts: list[str] = []
    verdicts: list[Status] = []
    may_be_none = True
    for name, metrics in run.elsewhere.items():
        if found := find_drop(own, metrics):
            parts.append(f"{name}: balanced {found.level} accuracy {found}, {how}")
            verdicts.append(by_interval(found.interval, DROP))
            may_be_none &= found.interval[0] <= DROP[0]
        else:
            parts.append(f"{name}: no class that {how} has, too")
    evidence = "; ".join(parts + recognized)
    status = worst_of(*verdicts) if verdicts else "not done"
    next_step = commands.evaluate_elsewhere(run) if may_be_none else commands.train_on_more(run)
    return Item(question, status, evidence, "" if status == "pass" else next_step)


def _stress(run: RunEvidence) -> Item:
    question = "does it cope with worse photos?"
    tested = {name: found.stress for name, found in run.unseen.items() if found.stress}
    if not tested:
        seen = any(found.stress for found in run.evaluations.values())
        evidence = f"no stress test of this model{' on photos that it was not fitted to' if seen else ''}"
        return Item(question, "not done", evidence, commands.stress_test(run))
    parts: list[str] = []
    status: Status = "pass"
    may_be_none = True
    for name, stress in tested.items():
        middle, worst = stress.middle, stress.worst
        low, high = (middle.loss if bound is None else bound for bound in middle.loss_interval)
        lost = f"{100 * middle.loss:.1f} points lost ({100 * low:.1f} to {100 * high:.1f}) at the middle step"
        parts.append(f"{name}: {lost} on {counted(stress.n, 'photo')}, worst {worst.kind} {worst.finest:.1%}")
        status = worst_of(status, by_interval((low, high), LOSS))
        may_be_none &= low <= LOSS[0]
    next_step = commands.stress_test(run) if may_be_none else commands.train_on_more(run)
    return Item(question, status, "; ".join(parts), "" if status == "pass" else next_step)


ITEMS: tuple[Callable[[RunEvidence], Item], ...] = (
    _counted,
    _duplicates,
    _labels,
    _baseline,
    _pretrained,
    judge_recall,
    _calibrated,
    _thresholds,
    _preprocessing,
    _elsewhere,
    _stress,
)


def _unaudited(run: RunEvidence, question: str) -> Item:
    return Item(question, "not done", run.why_not_audited or "", commands.audit(run))
