"""Each item of the checklist, from a run that passes to one that fails, and what `--measure` computes."""

import json
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import pytest
import yaml
from helpers.stressed import stress_with_loss

from hierpets.auditing.balance import ClassBalance, SuggestedSampler
from hierpets.auditing.findings import Audit, AuditedPhoto, AuditFinding
from hierpets.auditing.kinds import KINDS
from hierpets.bundle.identity import ModelId, model_id
from hierpets.bundle.layout import released_bundle
from hierpets.checklist import check_run
from hierpets.checklist.evidence import RunEvidence
from hierpets.checklist.items import judge_run
from hierpets.checklist.measure import compare_engines
from hierpets.checklist.measured import EngineGap, RunMeasurements
from hierpets.cli import _run, cli
from hierpets.data.labeled.index import read_index
from hierpets.errors import ConfigError, DataError
from hierpets.evaluation.metrics.compute import metrics_json
from hierpets.evaluation.metrics.reliability import chance_error
from hierpets.evaluation.metrics.schema import ClassScores, MajorityClass, SeenMetrics
from hierpets.planning.result import PretrainedGain
from hierpets.registry.loading import load_registry

QUESTIONS = {
    "counted": "counted the classes at each level?",
    "duplicates": "looked for duplicates and leaks?",
    "labels": "looked for label errors?",
    "baseline": "better than the majority-class baseline?",
    "pretrained": "do pretrained weights help on this data?",
    "recall": "recall of every class?",
    "calibrated": "calibrated?",
    "thresholds": "thresholds fitted on held-out photos?",
    "preprocessing": "same preprocessing in training and serving?",
    "elsewhere": "tested on photos from another source?",
    "stress": "does it cope with worse photos?",
}
AUDIT = Audit(
    data="demo",
    backbone="tiny",
    photos=330,
    splits={"train": 205, "val": 64, "test": 61},
    levels={"species": ClassBalance(counts={"cat": 120, "dog": 80}, imbalance_ratio=1.5)},
    sampler=SuggestedSampler(name="species_balanced", reason=""),
    summary=dict.fromkeys(KINDS, 0),
    findings=(),
    notes=(),
)


@pytest.fixture
def run(tiny_run):
    return RunEvidence.read(tiny_run)


@pytest.fixture
def level(run):
    """A level that passes everything, with changes."""
    sound = {
        "accuracy": 0.97,
        "balanced_accuracy": 0.96,
        "majority_class": MajorityClass(label="dog", accuracy=0.6),
        "intervals": {"accuracy": (0.95, 0.99)},
        "ece": 0.02,
        "per_class": {"cat": scores(0.96, 50), "rare": scores(0.0, 2)},
    }
    return lambda **changes: run.held_out[1].species.model_copy(update=sound | changes)


@pytest.fixture
def metrics(run, level):
    """Metrics of the species alone, with changes."""
    return lambda **changes: run.held_out[1].model_copy(update={"n": 100, "breed": None, "species": level()} | changes)


@pytest.fixture
def of(run, metrics):
    """One item, of a run with these validation metrics."""
    return lambda name, on=None, **changes: item(replace(on or run, metrics={"validation": metrics(**changes)}), name)


@pytest.fixture
def tiny_copy(tiny_run, tmp_path):
    shutil.copytree(tiny_run, tmp_path / "runs" / "copy")
    return tmp_path / "runs" / "copy"


def scores(recall, support, upper=0.99):
    interval = (max(0.0, recall - 0.05), max(recall, upper))
    return ClassScores(
        support=support, recall=recall, recall_interval=interval, precision=1, f1=1, roc_auc=None, pr_auc=None
    )


def item(run, name):
    (found,) = [i for i in judge_run(run) if i.question == QUESTIONS[name]]
    return found


def audited(run, **summary):
    return replace(run, audit=changed(summary=AUDIT.summary | summary))


def changed(**changes):
    return AUDIT.model_copy(update=changes)


def settles(found):
    """The command that an item names is one that exists, with options that it has."""
    command, *arguments = shlex.split(found.next_step)[1:]
    context = click.Context(cli)
    cli.get_command(context, command).make_context(command, [*arguments])
    return command, arguments


def test_judge_run_asks_every_question(run):
    items = judge_run(run)
    assert [i.question for i in items] == list(QUESTIONS.values())
    assert all(found.evidence for found in items)


def test_judge_run_names_commands_that_exist(run, metrics, level):
    """For a run of which nothing is known, and for one on which every number is bad."""
    bad = level(
        accuracy=0.5, intervals={"accuracy": (0.4, 0.6)}, ece=0.5, per_class={"cat": scores(0.1, 50, upper=0.2)}
    )
    measured = RunMeasurements(
        random_backbone=PretrainedGain(level="breed", photos=9, pretrained=0.1, random=0.5),
        engines=EngineGap(photos=32, largest=0.5),
    )
    fresh = replace(run, audit=None, evaluations={}, measured=RunMeasurements())
    poor = replace(
        audited(run), metrics={"validation": metrics(species=bad)}, measured=measured, graph="1,3,1,1",
        evaluations={"away": metrics(about={"data": "other"}, species=level(balanced_accuracy=0.1))},
    )  # fmt: skip
    named = [
        found for judged in (fresh, poor) for found in judge_run(judged) if found.next_step.startswith("hierpets ")
    ]
    assert {"audit", "checklist", "evaluate", "train"} <= {settles(found)[0] for found in named}
    assert not any(found.next_step == "" for found in judge_run(fresh) if found.status == "not done")


def test_judge_run_passes_nothing_by_silence(run):
    fresh = replace(run, audit=None, evaluations={}, measured=RunMeasurements())
    for name in ("counted", "duplicates", "labels", "pretrained", "elsewhere", "stress"):
        assert item(fresh, name).status == "not done", name


@pytest.mark.parametrize(("sampler", "status"), [("shuffle", "warn"), ("species_balanced", "pass")])
def test_counted_wants_a_sampler_for_uneven_classes(run, sampler, status):
    found = item(replace(run, audit=AUDIT, config=run.config.model_copy(update={"sampler": sampler})), "counted")
    assert found.status == status
    assert "80 to 120 photos" in found.evidence


@pytest.mark.parametrize(
    ("summary", "status"),
    [({}, "pass"), ({"duplicate": 3}, "warn"), ({"label_conflict": 1}, "warn"), ({"leak": 1}, "fail")],
)
def test_duplicates_warn_and_leaks_fail(run, summary, status):
    assert item(audited(run, **summary), "duplicates").status == status


def test_duplicates_do_not_count_an_audit_of_other_data(run):
    assert item(replace(run, audit=changed(data="elsewhere")), "duplicates").status == "not done"


def test_an_audit_of_another_state_of_the_data_counts_for_nothing(run):
    def unreadable(split):
        photo = AuditedPhoto(path="a.jpg", species="cat", breed=None, split=split)
        return AuditFinding(kind="unreadable", what="", score=1.0, photos=(photo,), detail={})

    for name in ("counted", "duplicates", "labels"):
        found = item(replace(run, audit=changed(photos=335)), name)
        assert found.status == "not done"
        assert "the data has changed: 274 photos to train on in the audit, 269 in the training" in found.evidence
        assert "--overwrite" in settles(found)[1]
    with_unread = changed(photos=332, splits={"test": 62}, findings=(unreadable("test"), unreadable(None)))
    assert replace(run, audit=with_unread).own_audit is not None


def test_labels_tells_suspected_errors_as_a_share(run):
    found = item(audited(run, label_error=4), "labels")
    assert found.status == "warn"
    assert "4 suspected among 330 labels" in found.evidence
    assert "1.2%" in found.evidence


def test_labels_warns_of_classes_that_may_be_misspelled(run):
    found = item(audited(run, misspelled=1), "labels")
    assert found.status == "warn"
    assert found.evidence.endswith("classes that may be misspelled: 1")
    assert "audit.html" in found.next_step


def test_baseline_must_lie_below_the_interval(of, level):
    assert of("baseline").status == "pass"
    close = of("baseline", species=level(n=40, accuracy=0.62, intervals={"accuracy": (0.55, 0.7)}))
    assert close.status == "fail"
    assert "62.0% against 60.0% (dog), though by its 95% interval on 40 photos it may be 55.0%" in close.evidence


def test_baseline_is_none_where_all_photos_are_of_one_class(of, level):
    one = level(accuracy=1.0, majority_class=MajorityClass(label="cat", accuracy=1.0))
    assert of("baseline", species=one).status == "not done"
    both = of("baseline", species=one, breed=level())
    assert both.status == "pass" and "species" not in both.evidence


def test_baseline_is_settled_by_another_training_not_by_the_same(run, of, level):
    close = level(accuracy=0.62, intervals={"accuracy": (0.55, 0.7)})
    _, compared = settles(of("baseline", species=close))
    assert compared[compared.index("--recipe") + 1] == "auto"
    auto = replace(run, config=run.config.model_copy(update={"recipe": "auto", "backbone": None}))
    _, more = settles(of("baseline", on=auto, species=close))
    assert more[more.index("--data") + 1] == "MORE_PHOTOS"


@pytest.mark.parametrize(("with_", "status"), [(0.9, "pass"), (0.52, "warn"), (0.4, "fail")])
def test_pretrained_must_bring_something(run, with_, status):
    gain = PretrainedGain(level="breed", photos=9, pretrained=with_, random=0.5)
    assert item(replace(run, measured=RunMeasurements(random_backbone=gain)), "pretrained").status == status


@pytest.fixture
def breeds(run):
    """The scores of all breeds, each of enough photos."""
    return {str(leaf): scores(0.9, 50) for leaf in run.manifest.taxonomy.leaves if leaf.breed}


@pytest.mark.parametrize(("recall", "status"), [(0.96, "pass"), (0.93, "warn"), (0.6, "fail")])
def test_recall_names_the_lowest_species_and_not_a_class_of_two(of, level, breeds, recall, status):
    species = level(per_class={"cat": scores(recall, 50), "rabbit": scores(0.0, 2)})
    found = of("recall", species=species, breed=level(per_class=breeds))
    assert found.status == status
    assert f"cat {recall:.1%} of 50" in found.evidence


def test_recall_fails_no_breed_that_is_low_by_chance(of, level, breeds):
    """The least recall of many breeds is low however good they are; that of one with many photos is not."""
    unlucky, bad = list(breeds)[:2]
    by_chance = of("recall", breed=level(per_class=breeds | {unlucky: scores(1 / 3, 6)}))
    assert by_chance.status == "warn" and settles(by_chance)[0] == "evaluate"
    assert f"{unlucky} 33.3% of 6 (validation), but by its 95% interval it may be " in by_chance.evidence
    surely = of("recall", breed=level(per_class=breeds | {unlucky: scores(0.2, 5), bad: scores(0.25, 200)}))
    assert surely.status == "fail" and f"lowest breed: {bad} 25.0% of 200" in surely.evidence


def test_recall_is_settled_by_more_photos_where_it_may_be_luck(run, of, metrics, level, breeds):
    low = level(per_class={"cat": scores(0.8, 5, upper=0.96)})
    command, arguments = settles(of("recall", species=low))
    assert command == "evaluate" and "OTHER_PHOTOS" in arguments
    away = metrics(about={"data": "other"}, species=level(per_class={"cat": scores(0.99, 80)}))
    settled = of("recall", on=replace(run, evaluations={"elsewhere": away}), species=low, breed=level(per_class=breeds))
    assert settled.status == "pass" and "cat 99.0% of 80 (elsewhere)" in settled.evidence


def test_recall_is_settled_by_training_where_it_is_surely_low(run, of, level):
    command, arguments = settles(of("recall", species=level(per_class={"cat": scores(0.3, 90, upper=0.4)})))
    assert command == "train" and "MORE_PHOTOS" in arguments


def test_recall_names_breeds_that_were_not_judged(of, level, breeds):
    rare = next(iter(breeds))
    found = of("recall", breed=level(per_class=breeds | {rare: scores(1.0, 4)}))
    assert found.status == "warn" and f"fewer than 5 photos of {rare}" in found.evidence
    assert settles(found)[0] == "evaluate"
    assert of("recall", breed=level(per_class=breeds | {rare: scores(0.9, 5)})).status == "pass"


def test_recall_of_too_few_photos_is_not_done(run, of, level):
    found = of("recall", species=level(per_class={"cat": scores(1.0, 2)}))
    assert found.status == "not done" and settles(found)[0] == "evaluate"


@pytest.mark.parametrize(("ece", "status"), [(0.049, "pass"), (0.08, "warn"), (0.2, "fail")])
def test_calibrated_is_judged_by_the_worst_level_beyond_chance(of, level, ece, status):
    chance = chance_error(level().calibration)
    found = of("calibrated", breed=level(ece=ece + chance))
    assert found.status == status
    assert f"breed error {ece + chance:.3f} ({chance:.3f} of it by chance)" in found.evidence


def test_thresholds_rest_on_held_out_photos(run, metrics):
    assert item(run, "thresholds").status == "pass"
    on = run.manifest.training["calibrated_on"]
    same = replace(run, metrics={on: run.metrics[on]})
    assert item(same, "thresholds").status == "warn"
    away = {"elsewhere": metrics(about={"data": "other"})}
    assert item(replace(same, evaluations=away), "thresholds").status == "pass"  # as the command that it names does
    few = run.manifest.model_copy(update={"policy": run.manifest.policy.model_copy(update={"alpha": 0.001})})
    silent = item(replace(run, manifest=few), "thresholds")
    assert silent.status == "fail" and "all photos of cat, dog and rabbit are answered as unknown" in silent.evidence
    empty = run.manifest.model_copy(update={"policy": type(run.manifest.policy)()})
    assert item(replace(run, manifest=empty), "thresholds").status == "fail"


@pytest.mark.parametrize(
    ("about", "seen", "status"),
    [
        ({}, SeenMetrics(n=3, left_out=True), "fail"),  # of the run's own data
        ({"data": "other"}, SeenMetrics(n=0, left_out=True), "warn"),
        ({}, SeenMetrics(n=3, left_out=False), "pass"),  # no evidence
    ],
)
def test_thresholds_must_keep_their_promise(run, metrics, about, seen, status):
    of = run.held_out[1].selective
    broken = of.node.model_copy(update={"holds_truth": 0.891, "holds_truth_interval": (0.819, 0.936)})
    selective = of.model_copy(update={"alpha": 0.05, "node": broken})
    found = item(
        replace(run, evaluations={"again": metrics(about=about, seen=seen, selective=selective)}), "thresholds"
    )
    assert found.status == status
    assert ("again: the model does not keep its promise of 95%: 89.1%" in found.evidence) == (status != "pass")


@pytest.mark.parametrize(("largest", "status"), [(None, "warn"), (0.001, "pass"), (0.03, "warn"), (0.2, "fail")])
def test_preprocessing_must_not_depend_on_the_engine(run, largest, status):
    measured = RunMeasurements() if largest is None else RunMeasurements(engines=EngineGap(photos=32, largest=largest))
    assert item(replace(run, measured=measured), "preprocessing").status == status


def test_preprocessing_fails_a_graph_of_another_size(run):
    assert "32 px" in item(run, "preprocessing").evidence
    assert item(replace(run, graph="1,224,224,3"), "preprocessing").status == "fail"


@pytest.fixture
def both(run, of, metrics, level):
    """The item about other photos, whose classes have these scores, beside 2,000 own photos of cats and of dogs."""

    def compared(**there):
        own = level(per_class={"cat": scores(0.95, 2000), "dog": scores(0.97, 2000), "rabbit": scores(0.0, 2)})
        other = metrics(n=80, about={"data": "other"}, species=level(per_class=there))
        inside = metrics(n=80, about={"data": run.config.data})
        return of("elsewhere", on=replace(run, evaluations={"away": other, "evaluation": inside}), species=own)

    return compared


@pytest.mark.parametrize(
    ("there", "photos", "status", "command"),
    [
        (0.94, 400, "pass", None),
        (0.94, 40, "warn", "evaluate"),
        (1.0, 1, "warn", "evaluate"),
        (0.85, 400, "warn", "train"),
        (0.75, 40, "warn", "train"),
        (0.5, 80, "fail", "train"),
    ],
)
def test_elsewhere_asks_for_as_many_photos_as_exclude_a_drop(both, there, photos, status, command):
    found = both(cat=scores(there, photos), dog=scores(there, photos))
    assert found.status == status and "away: " in found.evidence and "evaluation: " not in found.evidence
    assert (
        f"{2 * photos:,} photos (classes that both have: 2), a drop of {96 - 100 * there:.1f} points" in found.evidence
    )
    assert command is None or settles(found)[0] == command


def test_elsewhere_compares_the_classes_that_both_have(both):
    cats = both(cat=scores(0.95, 2000), horse=scores(0.0, 900))
    assert cats.status == "pass" and "2,000 photos (classes that both have: 1), a drop of 0.0 points" in cats.evidence
    horses = both(horse=scores(0.9, 900))
    assert horses.status == "not done" and "no class that validation has, too" in horses.evidence


def test_elsewhere_takes_a_part_of_the_training_data_for_its_own(run, metrics, tmp_path):
    (tmp_path / "pets" / "val").mkdir(parents=True)
    (tmp_path / "pets-2").mkdir()
    trained = replace(run, config=run.config.model_copy(update={"data": str(tmp_path / "pets")}))
    for data, names in (("pets/val", []), ("pets", []), (".", []), ("pets-2", ["away"])):
        away = {"away": metrics(about={"data": str(tmp_path / data)})}
        assert list(replace(trained, evaluations=away).elsewhere) == names, data


@pytest.mark.parametrize("left_out", [False, True])
def test_photos_that_the_model_was_fitted_to_are_no_other_source(run, metrics, level, left_out):
    """Copies of the data in another folder: what is left out of them are the photos that training held out."""
    perfect = level(balanced_accuracy=1.0, per_class={"cat": scores(1.0, 900)})
    copies = metrics(about={"data": "other"}, species=perfect, seen=SeenMetrics(n=739, left_out=left_out))
    on = run.manifest.training["calibrated_on"]
    copied = replace(run, evaluations={"copies": copies}, metrics={on: metrics()})
    found = item(copied, "elsewhere")
    assert (
        found.status == "not done" and "copies: no other source, the model was fitted to 739 photos" in found.evidence
    )
    assert item(copied, "thresholds").status == "warn"
    assert "of 900" not in item(copied, "recall").evidence
    away = replace(copied, evaluations={"copies": copies, "away": metrics(about={"data": "another"})})
    assert "no other source" in (found := item(away, "elsewhere")).evidence and "away: balanced" in found.evidence


def test_stress_counts_no_test_on_photos_that_the_model_was_fitted_to(run, metrics):
    def tested(left_out):
        seen = SeenMetrics(n=6, left_out=left_out)
        stressed = metrics(about={"data": run.config.data}, stress=stress_with_loss(0.01), seen=seen)
        return item(replace(run, evaluations={"stress": stressed}), "stress")

    kept = tested(left_out=False)
    assert kept.status == "not done" and "on photos that it was not fitted to" in kept.evidence
    assert tested(left_out=True).status == "pass"


@pytest.mark.parametrize(
    ("loss", "status"), [(0.02, "pass"), (0.045, "warn"), (0.12, "warn"), (0.16, "warn"), (0.25, "fail")]
)
def test_stress_tells_what_worse_photos_cost_and_counts_what_they_may_cost(run, of, metrics, loss, status):
    own = metrics(about={"data": run.config.data}, stress=stress_with_loss(loss))
    found = of("stress", on=replace(run, evaluations={"stress": own, "evaluation": metrics()}))
    assert found.status == status
    lost = f"{100 * loss:.1f} points lost ({80 * loss:.1f} to {120 * loss:.1f}) at the middle step"
    assert f"stress: {lost} on 120 photos, worst far away" in found.evidence
    assert status == "pass" or settles(found)[0] == ("evaluate" if loss < 0.05 else "train")


def test_stress_is_asked_of_photos_that_training_held_out(run):
    _, words = settles(item(run, "stress"))
    assert {"--stress", "--split", str(run.folder / "stress")} <= set(words)
    unsplit = replace(run, metrics={"cross_validation": run.metrics["cross_validation"]})
    assert "OTHER_PHOTOS" in settles(item(unsplit, "stress"))[1]


def test_stress_is_asked_of_other_photos_where_those_that_training_held_out_may_be_too_few(run, metrics):
    own = metrics(about={"data": run.config.data}, stress=stress_with_loss(0.045))
    _, words = settles(item(replace(run, evaluations={"stress": own}), "stress"))
    assert "OTHER_PHOTOS" in words and "--split" not in words


def test_judge_run_proposes_folders_that_do_not_exist(run, tiny_copy):
    def proposed(name):
        words = settles(item(replace(run, folder=tiny_copy), name))[1]
        return words[words.index("--out") + 1]

    for name in ("elsewhere", "stress"):
        assert proposed(name) == str(tiny_copy / name)
        (tiny_copy / name).mkdir()
        assert proposed(name) == str(tiny_copy / f"{name}-2")
        (tiny_copy / f"{name}-2").mkdir()
        assert proposed(name) == str(tiny_copy / f"{name}-3")


def test_check_run_takes_a_path_as_text(tiny_run):
    assert check_run(str(tiny_run)) == check_run(tiny_run)


def test_read_refuses_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(ConfigError, match="no run here"):
        RunEvidence.read(tmp_path)


def test_read_says_that_an_evaluation_stands_in_the_run(tiny_copy, metrics):
    (tiny_copy / "metrics.json").write_text(metrics_json(metrics()))
    with pytest.raises(
        DataError, match=r"metrics of a training run, found those of an evaluation.* --out .*evaluation"
    ):
        RunEvidence.read(tiny_copy)


def test_read_counts_only_evaluations_and_measurements_of_its_own_model(tiny_copy, metrics):
    def written(model):
        (tiny_copy / "away").mkdir(exist_ok=True)
        found = metrics(model=model, about={"data": "other"})
        (tiny_copy / "away" / "metrics.json").write_text(metrics_json(found))
        engines = EngineGap(photos=32, largest=0.0)
        (tiny_copy / "measured.json").write_text(RunMeasurements(model=model, engines=engines).model_dump_json())
        return RunEvidence.read(tiny_copy)

    own, other = model_id(tiny_copy / "bundle"), ModelId(digest="0" * 16)
    assert list(written(own).evaluations) == ["away"] and written(own).measured.engines is not None
    assert written(other).evaluations == {} and written(other).measured == RunMeasurements()


def test_read_takes_the_audit_whose_page_it_tells_to_look_at(tiny_copy):
    (tiny_copy / "audit.json").write_text(AUDIT.model_dump_json())
    assert RunEvidence.read(tiny_copy).audit is None


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"photos": "many"}, r"not an audit of hierpets: photos: expected a whole number, got 'many'; audit again"),
        ({"summary": {"leak": 1}}, r"not an audit of hierpets: summary: does not count unreadable; audit again"),
        ({"schema_version": 1}, r"expected schema_version 2, found 1; audit again"),
    ],
)
def test_read_refuses_a_damaged_audit_in_one_line(tiny_copy, change, problem):
    (tiny_copy / "audit").mkdir()
    file = tiny_copy / "audit" / "audit.json"
    file.write_text(AUDIT.model_dump_json())
    assert RunEvidence.read(tiny_copy).audit == AUDIT
    file.write_text(json.dumps(AUDIT.model_dump(mode="json") | change))
    with pytest.raises(DataError, match=rf"audit\.json: {problem}"):
        RunEvidence.read(tiny_copy)


def test_read_refuses_a_run_whose_bundle_is_another_model(tiny_copy):
    file = tiny_copy / "bundle" / "bundle.json"
    file.write_text(file.read_text() + "\n")  # as any change would
    with pytest.raises(ConfigError, match=r"metrics\.json: is of model \w+, and the bundle beside it is model"):
        RunEvidence.read(tiny_copy)


def test_read_finds_the_data_from_any_folder(tiny_copy, tmp_path, monkeypatch):
    """As of a run that was trained with relative paths in ``tmp_path``."""
    (tmp_path / "photos").mkdir()
    settings = yaml.safe_load((tiny_copy / "config.yaml").read_text())
    relative = {"data": "photos", "out": str(tiny_copy.relative_to(tmp_path))}
    (tiny_copy / "config.yaml").write_text(yaml.safe_dump(settings | relative))
    (tmp_path / "far" / "away").mkdir(parents=True)
    for here in (tmp_path, tmp_path / "far" / "away"):
        monkeypatch.chdir(here)
        found = RunEvidence.read(tiny_copy)
        assert found.config.data == str(tmp_path / "photos")
        assert replace(found, audit=changed(data="photos")).own_audit is not None
        assert replace(found, audit=changed(data="others")).own_audit is None


def test_checklist_command_measures_reads_and_fails_when_strict(tiny_copy, capsys):
    assert _run(["checklist", str(tiny_copy), "--measure"]) == 0
    measured = json.loads((tiny_copy / "measured.json").read_text())
    assert measured["engines"]["photos"] == 32
    assert np.isfinite(measured["engines"]["largest"])
    assert measured["model"]["digest"] == model_id(tiny_copy / "bundle").digest
    told = capsys.readouterr().out
    assert "torch and OpenVINO differ by" in told
    assert measured["model"]["digest"] in told
    assert all(question in told for question in QUESTIONS.values())
    worse = {"random_backbone": {"level": "breed", "photos": 9, "pretrained": 0.1, "random": 0.5}}
    (tiny_copy / "measured.json").write_text(json.dumps(worse | {"model": measured["model"]}))
    assert _run(["checklist", str(tiny_copy), "--strict", "--format", "json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["model"] == measured["model"]
    assert {i["question"]: i["status"] for i in said["items"]}[QUESTIONS["pretrained"]] == "fail"


def test_checklist_page_explains_every_question():
    page = (Path(__file__).parents[2] / "docs" / "checklist.md").read_text().lower()
    for question in QUESTIONS.values():
        assert f"## {question}" in page


def test_compare_engines_takes_no_rounding_for_other_preprocessing():
    """The released model computes in eight bits, where that was not asked for otherwise."""
    demo = read_index("demo")
    few = replace(demo, records=demo.records[::90])
    assert compare_engines(released_bundle(), few, load_registry()).largest < 0.001
