import json
import re
import shutil
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
import yaml
from click.testing import CliRunner
from helpers.demo_photos import draw_photos
from helpers.fakes import tiny_registry
from helpers.systems import needs_odd_names
from safetensors.torch import load_file

import hierpets
from hierpets.bundle.identity import model_id
from hierpets.bundle.layout import WEIGHTS
from hierpets.bundle.manifest import read_manifest
from hierpets.cli.deploy.info import command as info
from hierpets.config import TrainConfig, change_config, read_config
from hierpets.data.demo import render
from hierpets.errors import ConfigError, DataError, HierpetsError, PluginError
from hierpets.registry.scaffold import create_plugin
from hierpets.thumbnails import encode_png
from hierpets.training import recipe
from hierpets.training.frozen.held_out.cross_validation import FoldHeads
from hierpets.training.recipe import train
from hierpets.training.run.folder import open_run


def settings(tmp_path: Path, **changes):
    tiny_registry(tmp_path)
    base = {"recipe": "heads", "backbone": "tiny", "registry": tmp_path / "registry.yaml", "out": tmp_path / "run"}
    return change_config(None, base | changes)


@pytest.fixture
def run(tiny_run, tmp_path) -> Path:
    """A run with the settings of ``settings(tmp_path)``, to be written in."""
    return shutil.copytree(tiny_run, tmp_path / "run")


def test_train_leaves_settings_log_metrics_and_bundle(tmp_path):
    events = []
    config = settings(tmp_path)
    result = train(config=config, listener=events.append)
    bundle = result.bundle
    run = tmp_path / "run"
    assert bundle == run / "bundle"
    assert read_config(run / "config.yaml", {}) == config
    logged = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [e["event"] for e in logged] == [e["event"] for e in events if e["event"] != "progress"]
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["cross_validation"]["species"]["n"] > metrics["validation"]["species"]["n"] > 0
    manifest = read_manifest(bundle)
    assert manifest.training["train"] == metrics["cross_validation"]["species"]["n"]
    assert manifest.backbone.name == "tiny"


def test_a_cluster_run_that_stops_over_its_features_keeps_its_settings(tmp_path, monkeypatch):
    def fail(*_args, **_settings):
        raise DataError("database or disk is full")

    monkeypatch.setattr(recipe, "look_at_photos", fail)
    monkeypatch.setattr(recipe, "connected", nullcontext)
    config = settings(tmp_path, cluster="local", seed=7)
    with pytest.raises(DataError, match="disk is full"):
        train(config=config)
    assert read_config(tmp_path / "run" / "config.yaml", {}) == config.absolute()


def test_train_auto_compares_candidates_and_says_what_it_chose(tmp_path):
    events = []
    auto = {
        "heads": [{"shrinkage": 0.2}, {"kind": "logistic", "c": 0.1}],
        "views": ["plain", "flip"],
        "finetune_minutes": 0,
    }
    train(config=settings(tmp_path, recipe="auto", auto=auto), listener=events.append)
    candidates = [e for e in events if e["event"] == "candidate"]
    (chosen,) = [e for e in events if e["event"] == "chosen"]
    assert {(c["view"], c["head"]) for c in candidates} == {
        (view, head) for view in ("plain", "flip") for head in ("LDA, shrinkage 0.2", "logistic, C 0.1")
    }
    manifest = read_manifest(tmp_path / "run" / "bundle")
    best = max((c["breed"] + c["stressed"]) / 2 for c in candidates)
    assert (chosen["breed"] + chosen["stressed"]) / 2 >= best - chosen["selection"]["error"] - 1e-4
    assert manifest.selection.compared == len(candidates) == 4
    assert manifest.selection.accuracy == pytest.approx(chosen["breed"], abs=1e-4)
    assert chosen["said"] == str(manifest.selection)
    assert chosen["head"] in manifest.training["summary"]
    (skipped,) = [e for e in events if e["event"] == "skipped"]
    assert "finetune_minutes is 0" in skipped["why"]


def test_train_auto_that_was_interrupted_judges_no_candidate_twice(tmp_path, monkeypatch):
    fitted, fit = [], FoldHeads.fit

    def spy(photos, parts, folds, fitter):
        fitted.append(fitter)
        return fit(photos, parts, folds, fitter)

    def stop_at_third(event):
        if event["event"] == "candidate" and event["number"] == 3:
            raise KeyboardInterrupt

    auto = {"heads": [{"shrinkage": 0.2}, {"shrinkage": 0.4}], "views": ["plain", "flip"], "finetune_minutes": 0}
    config = settings(tmp_path, recipe="auto", auto=auto)
    whole = train(config=config.model_copy(update={"out": tmp_path / "whole"}))
    monkeypatch.setattr(FoldHeads, "fit", spy)
    with pytest.raises(KeyboardInterrupt):
        train(config=config, listener=stop_at_third)
    assert len(fitted) == 3
    events = []
    resumed = train(config=config, resume=True, listener=events.append)
    judged = [event for event in events if event["event"] == "candidate"]
    assert [(event["number"], event["total"]) for event in judged] == [(n, 4) for n in (1, 2, 3, 4)]
    assert [fitter.spec.shrinkage for fitter in fitted[3:4]] == [0.4]
    assert len(fitted) == 4
    assert (resumed.bundle / "bundle.json").read_bytes() == (whole.bundle / "bundle.json").read_bytes()
    assert not list(config.out.glob("judgements*"))


def test_train_auto_finetunes_from_the_heads_and_keeps_what_wins(tmp_path):
    events = []
    auto = {"heads": [{"shrinkage": 0.4}], "views": ["plain"]}
    bundle = train(
        config=settings(tmp_path, recipe="auto", auto=auto, finetune={"epochs": 1, "workers": 0}),
        listener=events.append,
    ).bundle
    (told,) = [e for e in events if e["event"] == "finetuned"]
    assert told["best"] >= told["start"]
    assert ("fine-tuned" in read_manifest(bundle).training["summary"]) == told["won"]
    assert read_manifest(bundle).training["calibrated_on"] == ("validation" if told["won"] else "cross_validation")


def test_train_gives_the_same_bundle_for_the_same_seed(tiny_run, tmp_path):
    first, second = tiny_run / "bundle", train(config=settings(tmp_path)).bundle
    for name in ("weights.safetensors", "statistics.safetensors", "openvino/model.bin", "bundle.json"):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


def test_train_keeps_statistics_of_heads_that_can_be_fitted_to_them(tiny_run, tmp_path):
    lda = tiny_run / "bundle"
    logistic = train(config=settings(tmp_path, head={"kind": "logistic"})).bundle
    manifest = read_manifest(lda)
    assert set(manifest.statistics.photos) >= {str(leaf) for leaf in manifest.taxonomy.leaves}
    assert sum(manifest.statistics.photos.values()) == manifest.training["train"]
    assert read_manifest(logistic).statistics is None
    assert not (logistic / "statistics.safetensors").exists()


def test_train_of_species_alone_fits_no_breed_head(tmp_path):
    bundle = train(config=settings(tmp_path, levels="species")).bundle
    assert not read_manifest(bundle).taxonomy.has_breeds
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["validation"].get("breed") is None


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"backbone": "tinny"}, PluginError, "did you mean 'tiny'"),
        ({"sampler": "shufle"}, PluginError, "did you mean 'shuffle'"),
        ({"data": "/nowhere"}, DataError, "/nowhere"),
        ({"backbone_options": {"widht": 3}}, PluginError, "widht"),
        ({"sampler": "effective_number", "sampler_options": {"beta": 3}}, HierpetsError, "beta"),
    ],
)
def test_train_says_what_is_wrong_before_it_writes_anything(tmp_path, changes, error, message):
    with pytest.raises(error, match=re.escape(message)):
        train(config=settings(tmp_path, **changes))
    assert not (tmp_path / "run").exists()


def test_train_names_a_class_without_training_photos(tmp_path):
    rows = ["path,species,breed,split"]
    rows += [f"demo:cat/siamese/{i},cat,siamese,{'val' if i else 'train'}" for i in range(3)]
    rows += [f"demo:dog/pug/{i},dog,pug,val" for i in range(3)]
    (tmp_path / "photos.csv").write_text("\n".join(rows))
    with pytest.raises(DataError, match="dog/pug"):
        train(config=settings(tmp_path, data=str(tmp_path / "photos.csv")))


def test_train_hears_a_sampler_of_the_users_own(tmp_path):
    config = settings(tmp_path, sampler="lopsided", prior="data")
    registry = tmp_path / "registry.yaml"
    (tmp_path / "plugins" / "lopsided.py").write_text(
        "import numpy as np\n\ndef lopsided(labels):\n    return np.where(labels.leaf == 0, 50.0, 0.01)\n"
    )
    listed = yaml.safe_load(registry.read_text())
    listed["plugins"].append({"name": "lopsided", "kind": "sampler", "entry": "plugins/lopsided.py:lopsided"})
    registry.write_text(yaml.safe_dump(listed))
    head = {"head": {"kind": "logistic", "c": 1.0}}
    lopsided, balanced = (
        train(config=change_config(config, head | changes)).metrics["cross_validation"].breed
        for changes in ({"out": tmp_path / "a"}, {"out": tmp_path / "b", "sampler": "breed_balanced"})
    )
    # What weighs next to nothing is not learnt.
    assert lopsided.balanced_accuracy < balanced.balanced_accuracy


def test_train_warns_of_a_model_that_answers_nothing(tmp_path, caplog):
    result = train(config=settings(tmp_path, alpha=0.001))
    assert "photos of too few animals for a promise at alpha 0.001: all photos of cat, dog" in caplog.text
    described = CliRunner().invoke(info, [str(result.bundle)]).output
    assert described.count("answered as unknown") == 3


@pytest.mark.parametrize(
    ("labels", "levels", "naive"),
    [
        (["cat/siamese", "cat/tuxedo", "cat/ginger", "dog/pug", "dog/dalmatian"], "species,breed", None),
        (["cat/siamese", "dog/pug"], "species,breed", "cat and dog: "),
        (["cat/siamese", "cat/tuxedo", "cat/ginger", "rabbit/-"], "species,breed", None),
        (["cat/siamese", "dog/pug"], "species", None),
    ],
)
def test_train_warns_where_it_cannot_learn_what_other_breeds_look_like(tmp_path, caplog, labels, levels, naive):
    photos = draw_photos(tmp_path / "photos", dict.fromkeys(labels, 12))
    train(config=settings(tmp_path, data=str(photos), levels=levels))
    told = [line for line in caplog.messages if "breeds that are not listed may be named as one that is" in line]
    assert [line.startswith(naive) for line in told] == [True] * (naive is not None)


@pytest.mark.parametrize("levels", ["species,breed", "species"])
def test_train_warns_where_no_breed_of_pretraining_is_added(tmp_path, caplog, levels):
    photos = draw_photos(tmp_path / "photos", dict.fromkeys(["cat/siamese", "cat/tuxedo", "dog/pug"], 4))
    train(config=settings(tmp_path, data=str(photos), levels=levels, pretrained_breeds=True))
    assert sum("pretrained_breeds: no breed was added" in line for line in caplog.messages) == 1


def test_train_warns_of_a_class_that_nothing_can_be_held_out_of(tmp_path, caplog):
    photos = draw_photos(tmp_path / "photos", {"cat/siamese": 12, "dog/husky": 1, "dog/pug": 12, "rabbit/-": 1})
    train(config=settings(tmp_path, data=str(photos)))
    told = "one photo of dog/husky and rabbit: nothing that is measured says how well others are told"
    assert sum(told in line for line in caplog.messages) == 1


def test_train_warns_of_classes_that_may_be_misspelled(tmp_path, caplog):
    for label in ("cat/siamese", "dog/samoyd", "dogs/pug"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(4):
            photo = encode_png(render(f"demo:{'cat/siamese' if 'cat' in label else 'dog/pug'}/{number}"))
            (tmp_path / "photos" / label / f"{number}.png").write_bytes(photo)
    train(config=settings(tmp_path, data=str(tmp_path / "photos")))
    told = [line.partition(";")[0] for line in caplog.messages if "is almost" in line]
    assert told == ["class dogs is almost 'dog'", "class dog/samoyd is almost 'samoyed'"]


def test_train_measures_with_one_validation_photo_of_each_class(tmp_path):
    photos = draw_photos(tmp_path / "photos", dict.fromkeys(["cat/siamese", "cat/tuxedo", "dog/pug", "dog/husky"], 2))
    rows = ["path,species,breed,split"]
    for path in sorted(photos.rglob("*.*g")):
        split = "train" if path.stem == "0" else "val"
        rows.append(f"{path},{path.parts[-3]},{path.parts[-2]},{split}")
    (tmp_path / "photos.csv").write_text("\n".join(rows))
    result = train(config=settings(tmp_path, data=str(tmp_path / "photos.csv"), folds=2))
    assert result.metrics["validation"].species.n == 4


def test_train_takes_settings_as_words_and_returns_what_it_made(tmp_path):
    tiny_registry(tmp_path)
    words = {"backbone": "tiny", "registry": tmp_path / "registry.yaml", "out": tmp_path / "run", "version": "7"}
    result = hierpets.train("demo", recipe="heads", **{"finetune.epochs": 3}, **words)
    assert isinstance(result, hierpets.TrainResult)
    assert (result.run, result.bundle) == (tmp_path / "run", tmp_path / "run" / "bundle")
    assert set(result.metrics) == {"cross_validation", "validation"}
    assert len(repr(result)) < 400
    assert "species" in result._repr_html_()
    assert result.bundle.name in result._repr_html_()
    assert result.summary == read_manifest(result.bundle).training["summary"]
    assert read_manifest(result.bundle).version == "7"
    assert read_config(tmp_path / "run" / "config.yaml", {}).finetune.epochs == 3
    assert result.predictor(recommend=False).predict("demo:cat/siamese/900").decision is not None


def test_train_refuses_a_setting_that_does_not_exist(tmp_path):
    with pytest.raises(ConfigError, match=r"sead: unknown key \(did you mean 'seed'"):
        hierpets.train("demo", out=tmp_path / "run", sead=1)


def test_train_refuses_to_resume_and_overwrite_at_once(tmp_path):
    with pytest.raises(ConfigError, match="expected either resume or overwrite, got both"):
        train(out=tmp_path / "run", resume=True, overwrite=True)


def test_train_has_nothing_to_resume_where_no_run_was(tmp_path):
    with pytest.raises(ConfigError, match=r"run: nothing to resume: no config.yaml in it; give data to begin"):
        train(out=tmp_path / "run", resume=True)
    assert not (tmp_path / "run").exists()


def test_train_that_finds_nothing_to_resume_says_so_and_begins(tmp_path, caplog):
    train("demo", settings(tmp_path), resume=True)
    told = f"{tmp_path / 'run'}: nothing to resume: no config.yaml in it; a new run begins there"
    assert told in caplog.messages
    caplog.clear()
    (tmp_path / "run" / "metrics.json").unlink()
    train(out=tmp_path / "run", resume=True)
    assert not [line for line in caplog.messages if "nothing to resume" in line]


def test_train_refuses_a_run_among_the_photos(tmp_path):
    draw_photos(tmp_path / "pets", {"cat/siamese": 2, "dog/pug": 2})
    for out in (tmp_path / "pets", tmp_path / "pets" / "run"):
        with pytest.raises(ConfigError, match=r"^[^-].*: lies in the folder of photos"):
            train(tmp_path / "pets", out=out, recipe="heads")
    assert sorted(path.name for path in (tmp_path / "pets").iterdir()) == ["cat", "dog"]


def test_train_refuses_one_photo_of_each_class_before_it_begins(tmp_path):
    draw_photos(tmp_path / "pets", {"cat/siamese": 1, "dog/pug": 1})
    with pytest.raises(DataError, match="one photo of each class: none can be held out"):
        train(tmp_path / "pets", out=tmp_path / "run", recipe="heads")
    assert not (tmp_path / "run").exists()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_train_refuses_a_run_that_is_there_and_changes_nothing(run, tmp_path):
    before = contents(run)
    with pytest.raises(ConfigError, match="already holds a run; give overwrite to replace it, resume"):
        train(config=settings(tmp_path))
    assert contents(run) == before


def test_train_overwrites_everything_that_belongs_to_the_old_model(run, tmp_path):
    of_the_model = {"elsewhere", "measured.json", "checkpoint.pt", "learning_curves.png"}
    for name in ("elsewhere/metrics.json", "audit/audit.json", "notes.txt", *of_the_model - {"elsewhere"}):
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).write_text("old")
    lines = len((run / "log.jsonl").read_text().splitlines())
    train(config=settings(tmp_path), overwrite=True)
    left = {path.name for path in run.iterdir()}
    assert not left & of_the_model
    assert {"audit", "notes.txt", "bundle", "config.yaml"} <= left
    assert len((run / "log.jsonl").read_text().splitlines()) == lines


def test_train_resumed_with_other_settings_is_refused_and_changes_nothing(tmp_path):
    config = settings(tmp_path, recipe="finetune", finetune={"epochs": 1, "workers": 0})
    train(config=config)
    before, tasks = contents(tmp_path / "run"), []
    for changes in ({"finetune.learning_rate": 0.01}, {"seed": 9}):
        with pytest.raises(ConfigError, match=r"cannot resume: .* was .*, is "):
            train(config=change_config(config, changes), resume=True, progress=lambda task, *_: tasks.append(task))
    assert contents(tmp_path / "run") == before
    assert not tasks, "refused only after features were computed"


def test_train_resumes_with_the_settings_of_the_run(tmp_path):
    config = settings(tmp_path, seed=5)
    with open_run(config.out) as begun:
        begun.begin(config)
    result = train(out=config.out, resume=True)
    assert read_config(result.run / "config.yaml", {}) == config
    assert read_manifest(result.bundle).training["seed"] == 5


def test_train_that_is_interrupted_over_its_first_look_at_photos_is_resumed(tmp_path, monkeypatch):
    def interrupt(*_args, **_settings):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(recipe, "look_at_photos", interrupt)
        train(config=settings(tmp_path, seed=7))
    result = train(resume=True, out=tmp_path / "run")
    assert read_manifest(result.bundle).training["seed"] == 7


def test_train_resumed_when_it_is_complete_changes_nothing_even_without_its_photos(tmp_path, caplog):
    draw_photos(tmp_path / "pets", {"cat/siamese": 4, "dog/pug": 4})
    config = settings(tmp_path, data=str(tmp_path / "pets"))
    first = train(config=config)
    (tmp_path / "pets").rename(tmp_path / "moved")
    before, events = contents(tmp_path / "run"), []
    again = train(out=tmp_path / "run", resume=True, listener=events.append)
    assert contents(tmp_path / "run") == before and not events
    assert again == first
    assert f"{tmp_path / 'run'}: the run is complete, nothing to resume; give overwrite" in caplog.text
    with pytest.raises(ConfigError, match="cannot resume: seed was 0, is 1; undo this, or train anew with overwrite"):
        train(out=tmp_path / "run", resume=True, seed=1)


def test_train_resumed_when_it_is_complete_refuses_other_data(tmp_path, monkeypatch):
    draw_photos(tmp_path / "pets", {"cat/siamese": 4, "dog/pug": 4})
    monkeypatch.chdir(tmp_path)
    first = train("pets", config=settings(tmp_path))
    for same in ("pets", tmp_path / "pets", "../" + tmp_path.name + "/pets/"):
        assert train(same, out=tmp_path / "run", resume=True) == first
    (tmp_path / "pets").rename("moved")
    assert train("pets", out=tmp_path / "run", resume=True) == first
    for other in ("moved", "gone", "demo", "s3://bucket/pets"):
        with pytest.raises(ConfigError, match=r"run: is complete, trained on .*pets, not .*; give overwrite"):
            train(other, out=tmp_path / "run", resume=True)


@pytest.mark.parametrize("missing", ["log.jsonl", "metrics.json", "bundle/bundle.json"])
def test_train_resumed_goes_on_where_anything_of_the_end_is_missing(run, missing):
    events = []
    (run / missing).unlink()
    train(out=run, resume=True, listener=events.append)
    assert events[-1]["event"] == "bundle" and (run / missing).is_file()


def test_train_resumed_after_a_full_disk_leaves_no_half_of_a_line_in_the_log(run):
    log = run / "log.jsonl"
    log.write_bytes(log.read_bytes()[:-20])
    train(out=run, resume=True)
    events = [json.loads(line)["event"] for line in log.read_text().splitlines()]
    assert events.count("bundle") == 1 and events[-1] == "bundle"


def test_train_writes_settings_that_hold_from_another_folder(tmp_path, monkeypatch):
    rows = ["path,species,breed"]
    rows += [f"demo:{leaf}/{i},{leaf.replace('/', ',')}" for leaf in ("cat/siamese", "dog/pug") for i in range(4)]
    (tmp_path / "photos.csv").write_text("\n".join(rows))
    tiny_registry(tmp_path)
    monkeypatch.chdir(tmp_path)
    train("photos.csv", backbone="tiny", recipe="heads", registry="registry.yaml", out="run")
    monkeypatch.chdir("/")
    assert read_config(tmp_path / "run" / "config.yaml", {}).data == str(tmp_path / "photos.csv")


def test_change_config_of_nothing_is_the_defaults():
    assert change_config(None, {}) == TrainConfig()


@pytest.fixture
def damaged_photos(tmp_path) -> Path:
    """A folder of four classes of which three photos cannot be read, two of them equal."""
    folder = tmp_path / "photos"
    for species, breed in [("cat", "siamese"), ("cat", "bengal"), ("dog", "pug"), ("dog", "beagle")]:
        (folder / species / breed).mkdir(parents=True)
        for number in range(8):
            look = "cat/siamese" if species == "cat" else "dog/dalmatian"
            (folder / species / breed / f"{number}.png").write_bytes(encode_png(render(f"demo:{look}/{number}")))
    for name in ("cat/bengal/1.png", "cat/bengal/2.png"):
        (folder / name).write_bytes(b"\x89PNG\r\n\x1a\n")
    (folder / "dog/pug/3.png").write_bytes(b"")
    return folder


def test_train_skips_unreadable_photos_and_names_them_all(tmp_path, damaged_photos, caplog):
    result = train(config=settings(tmp_path, data=str(damaged_photos)))
    assert "3 of 32 photos cannot be read and are skipped" in caplog.text
    logged = [json.loads(line) for line in (result.run / "log.jsonl").read_text().splitlines()]
    (skipped,) = [line for line in logged if line["event"] == "skipped_photos"]
    for name in ("cat/bengal/1.png: damaged PNG", "cat/bengal/2.png: damaged PNG", "dog/pug/3.png: the file is empty"):
        assert name in caplog.text
        assert sum(name in line for line in skipped["photos"]) == 1
    manifest = read_manifest(result.bundle)
    assert manifest.training["train"] + manifest.training["val"] == 29


@needs_odd_names
def test_train_shows_control_characters_in_names_as_text(tmp_path, damaged_photos, caplog):
    (damaged_photos / "dog/pug/red\x1b[31m\n.png").write_bytes(b"")
    train(config=settings(tmp_path, data=str(damaged_photos)))
    assert "dog/pug/red\\x1b[31m\\n.png: the file is empty" in caplog.text


@pytest.mark.parametrize(("copies", "counted"), [([], None), ([1], ""), ([1, 2], ", the first of 2 such photos")])
def test_train_warns_in_one_line_of_identical_files_with_two_labels(tmp_path, caplog, copies, counted):
    photos = tmp_path / "photos"
    for label in ("cat/siamese", "dog/pug"):
        (photos / label).mkdir(parents=True)
        for number in range(4):
            (photos / label / f"{number}.png").write_bytes(encode_png(render(f"demo:{label}/{number}")))
        shutil.copy(photos / label / "0.png", photos / label / "same.png")  # is no contradiction
    for number in copies:
        shutil.copy(photos / f"cat/siamese/{number}.png", photos / f"dog/pug/copy-{number}.png")
    for name in ("cat/siamese", "dog/pug"):
        (photos / name / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\n")  # which is skipped anyway
    train(config=settings(tmp_path, data=str(photos)))
    told = [record.getMessage() for record in caplog.records if "identical files" in record.getMessage()]
    if counted is None:
        assert not told
        return
    (line,) = told
    first, second = map(Path, re.match(r"(\S+) and (\S+) are identical files", line).groups())
    assert first.read_bytes() == second.read_bytes()
    labels = " and ".join(path.parent.relative_to(photos).as_posix() for path in (first, second))
    assert line.endswith(f", labeled {labels}{counted}; remove the wrong one (hierpets audit finds all)")


def test_train_with_strict_refuses_unreadable_photos_and_leaves_the_old_run(tmp_path, damaged_photos):
    config = settings(tmp_path, data=str(damaged_photos))
    bundle = train(config=config).bundle
    before = (bundle / "bundle.json").read_bytes()
    with pytest.raises(
        DataError, match="3 of 32 photos cannot be read; remove them, or train without --strict"
    ) as told:
        train(config=change_config(config, {"strict": True}), overwrite=True)
    assert str(told.value).count(str(damaged_photos)) == 3
    assert (bundle / "bundle.json").read_bytes() == before


def test_train_refuses_a_class_of_unreadable_photos_alone(tmp_path, damaged_photos):
    for photo in (damaged_photos / "dog/beagle").iterdir():
        photo.write_bytes(b"no photo")
    with pytest.raises(DataError, match="1 class has no training photo: dog/beagle"):
        train(config=settings(tmp_path, data=str(damaged_photos)))
    train(config=settings(tmp_path, data="demo"))  # nothing of what was refused is in the way


def test_a_backbone_without_given_weights_is_the_same_network_wherever_it_is_built(tmp_path):
    registry = tmp_path / "registry.yaml"
    create_plugin("backbone", "fresh", registry)
    data = draw_photos(tmp_path / "photos", {"cat/siamese": 8, "dog/pug": 8})
    plan = {"recipe": "heads", "data": data, "val_fraction": 0.0, "folds": 2}
    config = {**plan, "backbone": "fresh", "backbone_options": {"width": 8}, "registry": registry}
    first = train(**config, out=tmp_path / "first").bundle
    torch.rand(5)
    again, other = (train(**config, out=tmp_path / f"seed{seed}", seed=seed).bundle for seed in (0, 1))
    assert model_id(first) == model_id(again)
    drawn, others = (load_file(bundle / WEIGHTS) for bundle in (first, other))
    assert not all(torch.equal(drawn[name], others[name]) for name in drawn if name.startswith("backbone"))


def test_train_writes_down_the_registry_that_the_environment_names(tmp_path, monkeypatch):
    config = settings(tmp_path)
    monkeypatch.setenv("HIERPETS_REGISTRY", str(config.registry))
    run = train(config=change_config(config, {"registry": None})).run
    monkeypatch.delenv("HIERPETS_REGISTRY")
    assert read_config(run / "config.yaml", {}).registry == config.registry
    train(config=read_config(run / "config.yaml", {}), overwrite=True)
