"""The whole pipeline behind ``hierpets evaluate``: from a model and labeled photos to numbers, words and files."""

from __future__ import annotations

import json
import os
import shutil
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from helpers.systems import needs_byte_names, needs_odd_names
from PIL import Image

import hierpets
from hierpets.bundle.identity import model_id
from hierpets.bundle.layout import SEEN
from hierpets.cli import main
from hierpets.data.labeled.index import read_index
from hierpets.data.labeled.split import split_index
from hierpets.data.photos import read_bytes
from hierpets.errors import BundleError, ConfigError, DataError, HierpetsError
from hierpets.evaluation.metrics.reading import read_metrics
from hierpets.evaluation.metrics.schema import SeenMetrics
from hierpets.evaluation.records import read_records
from hierpets.evaluation.run import evaluate, read_labeled
from hierpets.hierarchy.policy import Policy
from hierpets.inference.loading import load
from hierpets.inference.predictor import Predictor


@pytest.fixture(scope="module")
def bundle(tiny_run):
    return tiny_run / "bundle"


@pytest.fixture(scope="module")
def registry(tiny_run):
    return tiny_run.parent / "registry.yaml"


@pytest.fixture(scope="module")
def predictor(bundle, registry):
    return load(bundle, registry=registry, recommend=False)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Four labeled photos in folders, one of which cannot be read."""
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for name in ("cat/birman/a.png", "cat/birman/b.png", "dog/pug/c.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (64, 64, 3), np.uint8)).save(root / name)
    (root / "dog/pug/broken.png").write_bytes(b"no picture")
    return root


@pytest.fixture(scope="module")
def ood(tmp_path_factory):
    root = tmp_path_factory.mktemp("ood")
    for name in ("car/1.png", "food/1.png", "food/2.png"):
        (root / name).parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((64, 64, 3), 90, np.uint8)).save(root / name)
    return root


@pytest.fixture(scope="module")
def evaluated(bundle, registry, photos, ood, tmp_path_factory):
    out = tmp_path_factory.mktemp("evaluated") / "evaluation"
    seen = []
    found = evaluate(
        bundle, photos, ood=ood, out=out, registry=registry, device="cpu", progress=lambda *step: seen.append(step)
    )
    return found, out, seen


def test_evaluate_is_public():
    assert hierpets.evaluate is evaluate
    assert {"Comparison", "Evaluation", "compare", "evaluate"} <= set(hierpets.__all__)


def test_evaluate_measures_and_writes_everything(evaluated, bundle):
    found, out, _ = evaluated
    assert {path.name for path in out.iterdir()} == {"metrics.json", "predictions.jsonl", "report.html", "figures"}
    assert found.report == out / "report.html"
    assert read_metrics(out / "metrics.json") == found.metrics
    assert found.metrics.n == len(found.predictions) == 3
    assert found.metrics.ood.n == len(found.ood) == 3 and set(found.metrics.ood.per_kind) == {"car", "food"}
    assert "Grad-CAM" in found.report.read_text()  # the tiny model errs on noise, and the page shows where it looked


def test_evaluate_judges_the_promise_that_the_bundle_makes(evaluated, predictor):
    assert evaluated[0].metrics.selective.alpha == predictor.manifest.policy.alpha == 0.05
    assert Policy(alpha=0.05).promised is None  # calibrated on no photos


def test_evaluate_names_the_model_and_the_photos(evaluated, bundle, photos, ood):
    found, out, _ = evaluated
    assert found.metrics.model == model_id(bundle)
    about = found.metrics.about
    assert (about["bundle"], about["data"], about["split"]) == (str(bundle), str(photos), "all")
    assert about["out-of-distribution photos"] == str(ood)
    assert found.metrics.model.digest in (out / "report.html").read_text()
    assert found.metrics.seen.n == 0 and not any("--split val" in caveat for caveat in found.headline.caveats)


def test_evaluate_writes_the_digests_of_the_photos(evaluated):
    _, out, _ = evaluated
    for record in read_records(out / "predictions.jsonl"):
        assert record.digest == sha256(Path(record.path).read_bytes()).hexdigest()[:16]


def test_evaluate_leaves_out_and_lists_photos_that_cannot_be_read(evaluated):
    found, _, _ = evaluated
    assert [p.path.endswith("broken.png") for p in found.unreadable] == [True]
    assert found.metrics.about["left out"] == "1 photo that cannot be read"


def test_evaluate_reports_progress(evaluated):
    _, _, seen = evaluated
    assert [step for step in seen if step[0] == "photos"] == [("photos", n, 4) for n in range(5)]
    assert ("out-of-distribution photos", 3, 3) in seen


def test_evaluation_repr_is_short_and_its_html_is_escaped(evaluated):
    found, _, _ = evaluated
    assert repr(found).startswith(f"<Evaluation of {found.metrics.model}: 3 photos, accuracy: species ")
    assert len(repr(found)) < 120
    assert found.headline.verdict in found._repr_html_() and "<li>" in found._repr_html_()


def test_evaluate_takes_a_loaded_predictor_and_writes_nothing_without_out(predictor, photos):
    found = evaluate(predictor, photos, split="all")
    assert found.metrics.n == 3 and found.report is None and found.ood is None
    with pytest.raises(ConfigError, match=r"device: pass it to hierpets\.load"):
        evaluate(predictor, photos, device="cpu")


@pytest.mark.usefixtures("no_figures")
def test_evaluate_refuses_an_existing_folder_before_it_predicts(predictor, photos, tmp_path):
    (tmp_path / "old").mkdir()
    with pytest.raises(ConfigError, match="already exists; give overwrite"):
        evaluate(predictor, "nothing there", out=tmp_path / "old")
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="file is a file, not a folder"):
        evaluate(predictor, "nothing there", out=tmp_path / "file", overwrite=True)
    evaluate(predictor, photos, out=tmp_path / "old", overwrite=True)
    assert (tmp_path / "old" / "report.html").is_file()


def test_evaluate_writes_no_report_among_the_photos(predictor, photos, tmp_path):
    (tmp_path / "ood").mkdir()
    for among, ood in ((photos, None), (tmp_path / "ood", tmp_path / "ood")):
        with pytest.raises(ConfigError, match=r"^[^-].*: lies in the folder of photos"):
            evaluate(predictor, photos, ood=ood, out=among / "evaluation")
        assert not (among / "evaluation").exists()


def test_evaluate_refuses_the_folder_of_a_training_run(predictor, tiny_run, photos):
    before = (tiny_run / "metrics.json").read_bytes()
    for overwrite in (False, True):
        with pytest.raises(ConfigError, match=r"is a training run.*use .*evaluation"):
            evaluate(predictor, photos, out=tiny_run, overwrite=overwrite)
    assert (tiny_run / "metrics.json").read_bytes() == before


def test_evaluate_names_a_few_unknown_labels_in_one_line(predictor, tmp_path, photos):
    for number in range(31):
        folder = tmp_path / "cat" / f"breed_{number:02}"
        folder.mkdir(parents=True)
        shutil.copy(photos / "cat/birman/a.png", folder / "a.png")
    with pytest.raises(DataError, match=r"unknown breed cat/breed_00.* and 28 more; remove these photos") as caught:
        evaluate(predictor, tmp_path)
    assert "\n" not in str(caught.value)


@pytest.fixture
def mixed(tmp_path):
    """Six photos of the training of the tiny model, and three that it held out."""
    table = tmp_path / "mixed.csv"
    index = split_index(read_index("demo"), seed=0)
    chosen = [*index.subset("train").records[:6], *index.subset("val").records[:3]]
    rows = [f"{r.path},{r.species},{r.breed or ''}," for r in chosen]
    table.write_text("\n".join(["path,species,breed,split", *rows]) + "\n")
    return table, [record.path for record in chosen]


def test_evaluate_leaves_out_photos_that_the_model_was_fitted_to(predictor, mixed):
    table, paths = mixed
    found = evaluate(predictor, table)
    assert list(found.predictions.paths) == paths[6:]
    assert found.metrics.seen == SeenMetrics(n=6, left_out=True)
    assert "Left out: 6 more photos, to which the model was fitted." in found.headline.caveats


def test_evaluate_keeps_photos_that_were_seen_where_it_is_asked_to(predictor, mixed):
    found = evaluate(predictor, mixed[0], keep_seen=True)
    assert len(found.predictions) == 9 and found.metrics.seen == SeenMetrics(n=6, left_out=False)
    assert "The model was fitted to 6 of the 9 photos: the numbers are too good." in found.headline.caveats


def test_evaluate_measures_no_model_on_its_training_photos_alone(predictor, mixed):
    table, _ = mixed
    table.write_text("\n".join(table.read_text().splitlines()[:7]) + "\n")
    with pytest.raises(DataError, match=r"fitted to every one of the 6 photos.* --split val.* --keep-seen"):
        evaluate(predictor, table)


def test_evaluate_of_a_bundle_that_does_not_say_what_it_saw(bundle, registry, mixed, tmp_path):
    shutil.copytree(bundle, tmp_path / "silent")
    (tmp_path / "silent" / SEEN).unlink()
    found = evaluate(tmp_path / "silent", mixed[0], registry=registry)
    assert len(found.predictions) == 9 and found.metrics.seen is None
    assert any("--split val" in caveat for caveat in found.headline.caveats)
    (tmp_path / "silent" / SEEN).write_bytes(b"12345")
    with pytest.raises(BundleError, match=r"seen\.bin: expected 8 bytes a photo, found 5"):
        evaluate(tmp_path / "silent", mixed[0], registry=registry)


def test_evaluate_sets_predictions_beside_labels(predictor):
    index = read_labeled("demo", predictor.manifest, bundle=predictor.bundle, split="val")
    done = []
    found = evaluate(predictor, "demo", split="val", progress=lambda *step: done.append(step))
    assert not found.unreadable
    assert list(found.predictions.paths) == index.paths
    assert done[-1] == ("photos", len(index), len(index))
    right = found.predictions.top_leaf == found.predictions.leaf_true
    assert right.mean() > 2 / len(predictor.manifest.taxonomy.leaves)  # far better than chance, tiny as it is


def test_ood_photos_are_refused_from_an_empty_folder_and_for_a_model_without_scores(predictor, tmp_path):
    with pytest.raises(DataError, match="no photos in this folder"):
        evaluate(predictor, "demo", ood=tmp_path)
    manifest = predictor.manifest.model_copy(update={"ood": None})
    with pytest.raises(ConfigError, match="no pet score"):
        evaluate(Predictor(manifest, predictor.engine, model=predictor.model), "demo", ood=tmp_path)


def test_ood_photos_are_of_the_kind_that_their_place_in_the_folder_names(predictor, photos, tmp_path, monkeypatch):
    places = ("1.png", "indoor/food/2.png", "outdoor/food/3.png", "car/4.png")
    for name in places:
        (tmp_path / "ood" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(photos / "cat/birman/a.png", tmp_path / "ood" / name)
    monkeypatch.chdir(tmp_path / "ood")
    for folder in (".", tmp_path / "ood", "../ood/"):
        found = evaluate(predictor, photos, ood=folder)
        assert set(found.metrics.ood.per_kind) == {"ood", "indoor/food", "outdoor/food", "car"}, folder
        assert all(one.n == 1 for one in found.metrics.ood.per_kind.values())


def test_read_labeled_takes_the_test_photos_where_the_data_names_some(predictor, photos, tmp_path):
    table = tmp_path / "photos.csv"
    rows = [f"{photos}/cat/birman/{name}.png,cat,birman,{split}" for name, split in (("a", "train"), ("b", "test"))]
    table.write_text("\n".join(["path,species,breed,split", *rows]) + "\n")
    assert [path[-5:] for path in read_labeled(table, predictor.manifest).paths] == ["b.png"]
    assert len(read_labeled(table, predictor.manifest, split="all")) == 2
    assert evaluate(predictor, table).metrics.about["split"] == "test"
    with pytest.raises(DataError, match="no photos in split 'test'; it names no splits"):
        read_labeled(photos, predictor.manifest, split="test")


@needs_odd_names
def test_evaluate_command_shows_control_characters_in_names_as_text(bundle, registry, photos, tmp_path, capsys):
    named = shutil.copytree(photos, tmp_path / "photos")
    (named / "dog/pug/broken.png").rename(named / "dog/pug/red\x1b[31m\n.png")
    given = ["--model", bundle, "--data", named, "--out", tmp_path / "e", "--registry", registry]
    with pytest.raises(SystemExit):
        main(["evaluate", *map(str, given)])
    assert "pug/red\\x1b[31m\\n.png: not an image" in capsys.readouterr().err


@pytest.mark.usefixtures("no_figures")
def test_evaluate_command_prints_the_headline_and_the_unreadable(bundle, registry, photos, ood, tmp_path, capsys):
    def run(*more):
        given = ["--model", bundle, "--data", photos, "--out", tmp_path / "e", "--registry", registry, "--ood", ood]
        with pytest.raises(SystemExit) as ended:
            main(["evaluate", *map(str, given), *more])
        return ended.value.code, capsys.readouterr()

    code, said = run()
    assert code == 3
    assert "skipped: " in said.err and "broken.png" in said.err
    assert "the species is correct for" in said.out
    assert "photos were measured" not in said.out and str(tmp_path / "e" / "report.html") in said.out
    assert json.loads((tmp_path / "e" / "metrics.json").read_text())["model"]["digest"] in said.out
    written = read_metrics(tmp_path / "e" / "metrics.json")
    assert written.ood.n == 3 and written.stress is None
    code, said = run()
    assert code == 1 and said.err.count("\n") == 1 and "give overwrite" in said.err
    assert run("--overwrite", "--stress")[0] == 3
    stress = read_metrics(tmp_path / "e" / "metrics.json").stress
    assert stress.n == 3 and {step.kind for step in stress.steps} >= {"smaller", "far away"}
    assert "Stress test" in (tmp_path / "e" / "report.html").read_text()


def test_read_labeled_takes_what_training_held_out_where_the_data_names_no_validation_photos(predictor, mixed):
    table, paths = mixed
    held_out = read_labeled(table, predictor.manifest, bundle=predictor.bundle, split="val")
    assert held_out.paths == paths[6:]
    with pytest.raises(DataError, match="does not say which photos it was fitted to"):
        read_labeled(table, predictor.manifest, split="val")
    table.write_text("\n".join(table.read_text().splitlines()[:7]) + "\n")
    with pytest.raises(DataError, match="fitted to all of its photos"):
        read_labeled(table, predictor.manifest, bundle=predictor.bundle, split="val")


def test_evaluate_takes_the_digest_of_what_training_held_out_once(predictor, mixed, monkeypatch):
    table, paths = mixed
    hashed = []
    monkeypatch.setattr("hierpets.data.content.read_bytes", lambda path: hashed.append(path) or read_bytes(path))
    found = evaluate(predictor, table, split="val")
    assert list(found.predictions.paths) == paths[6:]
    assert sorted(hashed) == sorted(paths)


@pytest.mark.usefixtures("no_figures")
def test_evaluate_keeps_what_it_measured_before_a_stress_test_that_is_interrupted(
    predictor, photos, tmp_path, monkeypatch
):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("hierpets.evaluation.run.measure_stress", interrupted)
    with pytest.raises(KeyboardInterrupt):
        evaluate(predictor, photos, stress=True, out=tmp_path / "e")
    assert {path.name for path in (tmp_path / "e").iterdir()} >= {"metrics.json", "predictions.jsonl", "report.html"}
    assert read_metrics(tmp_path / "e" / "metrics.json").stress is None


@needs_byte_names
def test_evaluate_ends_a_stress_test_in_which_the_model_fails(bundle, registry, photos, monkeypatch):
    fails = load(bundle, registry=registry)
    run_stages, asked = fails.cascade.run_stages, []

    def tired(squares):
        asked.append(squares)
        if len(asked) > 10:
            raise RuntimeError("out of breath")
        return run_stages(squares)

    monkeypatch.setattr(fails.cascade, "run_stages", tired)
    with pytest.raises(HierpetsError, match=r"\.png: unexpected RuntimeError"):
        evaluate(fails, photos, stress=True)


def test_evaluate_writes_names_that_are_no_text(predictor, tmp_path):
    for label in (b"cat/birman", b"dog/pug"):
        place = os.fsencode(tmp_path) + b"/photos/" + label
        os.makedirs(place)  # noqa: PTH103
        Image.new("RGB", (64, 64)).save(os.fsdecode(place + b"/caf\xe9.png"))
    evaluate(predictor, tmp_path / "photos", out=tmp_path / "e")
    records = [json.loads(line) for line in (tmp_path / "e" / "predictions.jsonl").read_text().splitlines()]
    assert [record["path"].rpartition("/")[2] for record in records] == ["caf\\udce9.png"] * 2
    assert "caf\\udce9.png" in (tmp_path / "e" / "report.html").read_text(encoding="utf-8")
