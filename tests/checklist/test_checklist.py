"""Each item of the checklist, from a run that passes to one that fails, and what `--measure` computes."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hierpets.checklist import RunEvidence, judge_run
from hierpets.checklist.measure import compare_random
from hierpets.cli import COMMANDS, _run
from hierpets.config import read_config
from hierpets.errors import ConfigError
from hierpets.registry.loading import load_registry
from hierpets.training.splits import prepare_index

QUESTIONS = {
    "counted": "counted the classes at each level?",
    "duplicates": "looked for duplicates and leaks?",
    "labels": "looked for wrong labels?",
    "baseline": "better than always the commonest class?",
    "pretrained": "do pretrained weights help on this data?",
    "recall": "recall of every class?",
    "calibrated": "calibrated?",
    "thresholds": "thresholds fitted on photos that the model did not see?",
    "preprocessing": "the same preprocessing in training and serving?",
    "elsewhere": "tested on photos from elsewhere?",
}
AUDIT = {
    "data": "demo",
    "photos": 200,
    "levels": {"species": {"counts": {"cat": 120, "dog": 80}, "imbalance_ratio": 1.5}},
    "sampler": {"name": "species_balanced", "reason": ""},
    "summary": {"leak": 0, "duplicate": 0, "label_conflict": 0, "label_error": 0},
}


@pytest.fixture
def run(tiny_run):
    return RunEvidence.read(tiny_run)


def level(**changes):
    sound = {
        "accuracy": 0.97,
        "balanced_accuracy": 0.96,
        "majority_class": {"label": "dog", "accuracy": 0.6},
        "intervals": {"accuracy": [0.95, 0.99]},
        "ece": 0.02,
        "per_class": {"cat": {"recall": 0.96, "support": 50}, "rare": {"recall": 0.0, "support": 2}},
    }
    return {**sound, **changes}


def item(run, name):
    (found,) = [i for i in judge_run(run) if i.question == QUESTIONS[name]]
    return found


def of(run, name, **validation):
    metrics = {"n": 100, "species": level(), "breed": None, **validation}
    return item(replace(run, metrics={"validation": metrics}), name)


def audited(run, **summary):
    return replace(run, audit={**AUDIT, "summary": {**AUDIT["summary"], **summary}})


def test_every_question_is_asked_and_every_open_one_names_a_command(run):
    items = judge_run(run)
    assert [i.question for i in items] == list(QUESTIONS.values())
    for found in items:
        assert found.number
        if found.status == "not done":
            assert found.settle.split()[0] == "hierpets"
            assert found.settle.split()[1] in COMMANDS


def test_nothing_passes_by_silence(run):
    fresh = replace(run, audit=None, evaluations={}, measured={})
    for name in ("counted", "duplicates", "labels", "pretrained", "elsewhere"):
        assert item(fresh, name).status == "not done", name


@pytest.mark.parametrize(("sampler", "status"), [("shuffle", "warn"), ("species_balanced", "pass")])
def test_uneven_classes_want_a_sampler(run, sampler, status):
    found = item(replace(run, audit=AUDIT, settings={**run.settings, "sampler": sampler}), "counted")
    assert found.status == status
    assert "80 to 120 photos" in found.number


@pytest.mark.parametrize(
    ("summary", "status"),
    [({}, "pass"), ({"duplicate": 3}, "warn"), ({"label_conflict": 1}, "warn"), ({"leak": 1}, "fail")],
)
def test_duplicates_warn_and_leaks_fail(run, summary, status):
    assert item(audited(run, **summary), "duplicates").status == status


def test_an_audit_of_other_data_does_not_count(run):
    assert item(replace(run, audit={**AUDIT, "data": "elsewhere"}), "duplicates").status == "not done"


def test_doubted_labels_are_told_as_a_share(run):
    found = item(audited(run, label_error=4), "labels")
    assert found.status == "warn"
    assert "4 of 200" in found.number
    assert "2.0%" in found.number


def test_the_lower_end_of_the_interval_must_beat_the_commonest_class(run):
    assert of(run, "baseline").status == "pass"
    close = level(accuracy=0.62, intervals={"accuracy": [0.55, 0.7]})
    assert of(run, "baseline", species=close).status == "fail"


@pytest.mark.parametrize(("with_", "status"), [(0.9, "pass"), (0.52, "warn"), (0.4, "fail")])
def test_pretraining_must_bring_something(run, with_, status):
    measured = {"random_backbone": {"level": "breed", "photos": 9, "pretrained": with_, "random": 0.5}}
    assert item(replace(run, measured=measured), "pretrained").status == status


@pytest.mark.parametrize(("recall", "status"), [(0.96, "pass"), (0.93, "warn"), (0.7, "fail")])
def test_the_lowest_species_is_named_and_a_class_of_two_is_not(run, recall, status):
    per_class = {"cat": {"recall": recall, "support": 50}, "rabbit": {"recall": 0.0, "support": 2}}
    found = of(run, "recall", species=level(per_class=per_class))
    assert found.status == status
    assert f"cat {recall:.1%} of 50" in found.number


@pytest.mark.parametrize(("ece", "status"), [(0.05, "pass"), (0.08, "warn"), (0.2, "fail")])
def test_calibration_is_judged_by_the_worst_level(run, ece, status):
    assert of(run, "calibrated", breed=level(ece=ece)).status == status


def test_thresholds_rest_on_photos_held_out(run):
    assert item(run, "thresholds").status == "pass"
    on = run.manifest.training["calibrated_on"]
    assert item(replace(run, metrics={on: run.metrics[on]}), "thresholds").status == "warn"
    empty = run.manifest.model_copy(update={"policy": type(run.manifest.policy)()})
    assert item(replace(run, manifest=empty), "thresholds").status == "fail"


@pytest.mark.parametrize(("largest", "status"), [(None, "warn"), (0.001, "pass"), (0.03, "warn"), (0.2, "fail")])
def test_answers_must_not_depend_on_the_engine(run, largest, status):
    measured = {} if largest is None else {"engines": {"photos": 32, "largest": largest}}
    assert item(replace(run, measured=measured), "preprocessing").status == status


def test_a_graph_of_another_size_fails(run):
    assert "32 px" in item(run, "preprocessing").number
    assert item(replace(run, graph="1,3,224,224"), "preprocessing").status == "fail"


@pytest.mark.parametrize(("there", "status"), [(0.94, "pass"), (0.88, "warn"), (0.5, "fail")])
def test_a_drop_on_other_photos_is_told(run, there, status):
    other = {"n": 80, "about": {"data": "other"}, "breed": None, "species": level(balanced_accuracy=there)}
    own = {"n": 80, "about": {"data": run.data}, "breed": None, "species": level()}
    found = of(replace(run, evaluations={"away": other, "evaluation": own}), "elsewhere")
    assert found.status == status
    assert "away: " in found.number
    assert "evaluation: " not in found.number


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no run here"):
        RunEvidence.read(tmp_path)


def test_both_sets_of_features_are_judged_alike_and_again_the_same(tiny_run):
    config = read_config(tiny_run / "config.yaml", {})
    registry = load_registry(tiny_run.parent / "registry.yaml")
    given = (config, RunEvidence.read(tiny_run).manifest, prepare_index(config), registry)
    found = compare_random(*given)
    assert found["level"] == "breed"
    assert found["photos"] == len(prepare_index(config).subset("train"))
    assert 0 < found["random"] < 1
    assert 0 < found["pretrained"] < 1
    assert found["random"] != found["pretrained"]
    assert compare_random(*given) == found  # random weights are drawn from the seed


def test_the_command_measures_reads_and_fails_when_strict(tiny_run, tmp_path, capsys):
    copy = tmp_path / "run"
    shutil.copytree(tiny_run, copy)
    assert _run(["checklist", str(copy), "--measure"]) == 0
    measured = json.loads((copy / "measured.json").read_text())
    assert measured["engines"]["photos"] == 32
    assert np.isfinite(measured["engines"]["largest"])
    told = capsys.readouterr().out
    assert "torch and OpenVINO differ by" in told
    assert all(question in told for question in QUESTIONS.values())
    worse = {"random_backbone": {"level": "breed", "photos": 9, "pretrained": 0.1, "random": 0.5}}
    (copy / "measured.json").write_text(json.dumps(worse))
    assert _run(["checklist", str(copy), "--strict", "--format", "json"]) == 1
    items = json.loads(capsys.readouterr().out)
    assert {i["question"]: i["status"] for i in items}[QUESTIONS["pretrained"]] == "fail"


def test_the_page_explains_every_question():
    page = (Path(__file__).parents[2] / "docs" / "checklist.md").read_text().lower()
    for question in QUESTIONS.values():
        assert f"## {question}" in page
