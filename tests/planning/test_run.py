"""The whole plan, with a tiny backbone on synthetic pets: numbers, words, files, command."""

from __future__ import annotations

import json
import shutil
from html import escape
from pathlib import Path

import numpy as np
import pytest
from helpers.fakes import tiny_registry
from PIL import Image

import hierpets
from hierpets.cli import main
from hierpets.config import AutoConfig, BackboneChoice, TrainConfig
from hierpets.data.photos import read_photo
from hierpets.errors import ConfigError, DataError, PluginError
from hierpets.planning import run
from hierpets.planning.figure import plan_figure
from hierpets.planning.photos import read_photos
from hierpets.planning.pretraining import compare_random
from hierpets.planning.result import Plan
from hierpets.planning.run import plan
from hierpets.registry.loading import load_registry
from hierpets.training.features import individuals

AUTO = AutoConfig(
    backbones=(BackboneChoice(name="tiny", options={"width": 4}), BackboneChoice(name="tiny")), finetune_minutes=0
)


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("registry")
    tiny_registry(folder)
    return TrainConfig(backbone="tiny", registry=folder / "registry.yaml", auto=AUTO, device="cpu")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """12 photos of each of four breeds, 3 of another, one without a breed, one broken."""
    root = tmp_path_factory.mktemp("photos")
    counts = {"cat/birman": 12, "cat/siamese": 12, "dog/pug": 12, "dog/husky": 12, "dog/beagle": 3}
    for breed, count in counts.items():
        (root / breed).mkdir(parents=True)
        for n in range(count):
            Image.fromarray(read_photo(f"demo:{breed}/{n}")).save(root / breed / f"{n}.png")
    Image.fromarray(read_photo("demo:dog/poodle/0")).save(root / "dog" / "somebody.png")
    (root / "dog/pug/broken.png").write_bytes(b"no picture")
    return root


@pytest.fixture(scope="module")
def planned(photos, config, tmp_path_factory):
    out, seen = tmp_path_factory.mktemp("planned") / "plan", []
    several = config.model_copy(update={"backbone": None})  # auto compares several where none is set
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hierpets.config.settings.DEFAULT_BACKBONE", "tiny")
        found = plan(photos, several, backbones=True, price=0.5, out=out, progress=lambda *step: seen.append(step))
    return found, out, seen


def test_plan_is_public():
    assert hierpets.plan is plan and hierpets.Plan is Plan


def test_plan_uses_the_photos_that_it_can_and_says_what_it_leaves_out(planned):
    found, _, _ = planned
    assert (found.level, found.photos, found.classes) == ("breed", 48, 4)
    assert found.left_out == (
        "1 photo left out: no breed is stated",
        "3 photos left out: fewer than 4 of dog/beagle",
        "1 photo left out: cannot be read",
    )
    assert {gain.label for gain in found.gains} == {"cat/birman", "cat/siamese", "dog/husky", "dog/pug"}
    assert [point.photos for point in found.curve] == [1, 2, 3, 5, 7, 10]


def test_plan_leaves_test_photos_alone_and_counts_all_others_for_the_costs(photos, tmp_path, monkeypatch):
    monkeypatch.setattr("hierpets.planning.photos.MAX_PHOTOS", 5)
    rows = [
        f"{path},{path.parts[-3]},{path.parts[-2]},{'test' if path.stem == '11' else 'train'}"
        for path in sorted(photos.glob("*/*/[0-9]*.png"))
        if path.parts[-2] != "beagle"
    ]
    (tmp_path / "split.csv").write_text("\n".join(["path,species,breed,split", *rows]) + "\n")
    found = read_photos(str(tmp_path / "split.csv"), load_registry())
    assert (len(found.index), found.trained) == (20, 44)
    assert found.left_out == ("4 photos left out: in split test", "24 photos left out: 5 of a class are enough")


def test_plan_of_a_training_that_learns_no_breeds_is_about_species(photos):
    found = read_photos(str(photos), load_registry(), breeds=False)
    assert sorted(found.index.taxonomy.tree.items()) == [("cat", ()), ("dog", ())]
    assert not found.left_out


def test_plan_costs_every_recipe_and_fine_tuning_the_most(planned):
    costs = {found.recipe: found for found in planned[0].recipes}
    assert set(costs) == {"heads", "auto", "finetune"}
    assert costs["heads"].minutes < costs["finetune"].minutes
    assert costs["heads"].minutes < 5
    for found in costs.values():
        assert found.cost == pytest.approx(found.minutes / 60 * 0.5)
        assert found.core_hours >= found.minutes / 60 * (1 - 1e-9)  # the same on one core, but for rounding


def test_plan_ranks_backbones_and_asks_for_pretraining(planned):
    found, _, _ = planned
    first, second = found.backbones
    assert {first.backbone, second.backbone} == {"tiny width=4", "tiny"}
    assert first.accuracy >= second.accuracy and first.difference == 0 >= second.difference
    assert second.interval[0] <= second.difference <= second.interval[1]
    assert sum(rank.advised for rank in found.backbones) == 1
    assert found.pretraining.level == "breed" and found.pretraining.photos == 48


def test_plan_of_a_backbone_that_is_set_neither_charges_for_others_nor_ranks_them(config, photos, monkeypatch):
    charged, counted = [], run.recipe_costs
    monkeypatch.setattr(run, "recipe_costs", lambda *given, **more: charged.append(given) or counted(*given, **more))
    small = BackboneChoice(name="tiny", options={"width": 2})
    found = plan(photos, config.model_copy(update={"recipe": "heads", "early": (small,)}), backbones=True)
    ((_, own, early, compared, _),) = charged
    assert [str(one.choice) for one in early] == ["tiny width=2"]
    assert compared == [own] and [rank.backbone for rank in found.backbones] == ["tiny"]


def test_plan_writes_json_and_a_figure(planned):
    found, out, _ = planned
    assert {path.name for path in out.iterdir()} == {"plan.json", "plan.png"}
    assert Plan.model_validate_json((out / "plan.json").read_text()) == found
    with Image.open(out / "plan.png") as image:
        assert min(image.size) > 400


def test_plan_reports_progress(planned):
    assert {"timing backbones", "learning curve"} <= {step[0] for step in planned[2]}
    assert ("timing backbones", 2, 2) in planned[2]  # the own one is among those that are compared
    assert ("learning curve", 25, 25) in planned[2]


def test_plan_in_words_says_what_counts(planned):
    found, _, _ = planned
    said = str(found)
    assert said.startswith("48 photos of 4 classes, linear heads on tiny\n! 1 photo left out")
    assert "To be promised today: mean breed recall" in said
    assert "all, mean 10" in said and "From " in said
    assert "the last 5 brought" in said and "Does pretraining help here?" in said
    assert " at the given price" in said
    assert all(len(line) <= 125 for line in said.splitlines())
    assert found._repr_html_() == f"<pre>{escape(said)}</pre>"


def test_plan_in_words_does_not_call_a_loss_a_rise(planned):
    found, _, _ = planned
    last = found.curve[-1].model_copy(update={"accuracy": found.curve[0].accuracy - 0.015})
    said = str(found.model_copy(update={"curve": (found.curve[0], last)}))
    assert "recall did not rise (-1.5 points).\nWhat as many photos again would bring, these cannot tell." in said
    assert "rose by" not in said and "bring less than that" not in said


@pytest.mark.parametrize(("mean", "less"), [(5.0, False), (9.6, False), (10.0, True)])
def test_plan_in_words_says_that_more_bring_less_only_where_the_curve_has_flattened(planned, mean, less):
    found, _, _ = planned
    last = found.curve[-1].model_copy(update={"accuracy": found.curve[0].accuracy + 0.1, "mean_photos": mean})
    said = str(found.model_copy(update={"curve": (found.curve[0], last)}))
    assert "recall rose by 10.0 points." in said
    assert ("usually bring less than that" in said) == less == ("these cannot tell" not in said)


def test_plan_in_words_names_no_class_that_cannot_gain(planned):
    found, _, _ = planned
    perfect = [gain.model_copy(update={"recall": 1.0, "gain": 0.0}) for gain in found.gains]
    wanting = perfect[0].model_copy(update={"recall": 0.7, "gain": 0.1})
    said = str(found.model_copy(update={"gains": (*perfect[1:], wanting)}))
    assert f"{wanting.label} " in said and not any(f"{other.label} " in said for other in perfect[1:])
    assert "Of 3 others, the last photos are not shown to have helped." in said
    assert "Where more photos help" not in str(found.model_copy(update={"gains": tuple(perfect)}))


def test_plan_in_words_ranks_no_classes_where_none_has_gained(planned):
    found, _, _ = planned
    without = [gain.model_copy(update={"recall": 0.7, "gain": 0.0}) for gain in found.gains]
    said = str(found.model_copy(update={"gains": tuple(without)}))
    assert "The last photos of no class are shown to have helped." in said
    assert "Where more photos help" not in said and f"{without[0].label} " not in said
    drawn = plan_figure(found.model_copy(update={"gains": tuple(without)}))
    assert drawn.alt.endswith("and the gains of 0 classes.") and "brought" not in drawn.svg


def test_no_number_of_the_figure_is_printed_over_the_next(planned):
    found, _, _ = planned
    means = (1.0, 2.0, 5.0, 15.0, 17.7)
    curve = tuple(found.curve[0].model_copy(update={"mean_photos": mean}) for mean in means)
    drawn = plan_figure(found.model_copy(update={"curve": curve, "gains": ()}))
    assert ">5</text>" in drawn.svg and ">17.7</text>" in drawn.svg and ">15</text>" not in drawn.svg


def test_plan_without_breeds_is_of_species(config, photos, tmp_path):
    flat = tmp_path / "flat.csv"
    rows = [f"{path},{path.parts[-3]},," for path in sorted(photos.glob("*/*/[0-9].png"))]
    flat.write_text("\n".join(["path,species,breed,split", *rows]) + "\n")
    found = plan(flat, config)
    assert found.level == "species" and found.classes == 2
    assert [gain.label for gain in found.gains if "/" in gain.label] == []
    assert found.backbones == () and found.pretraining is None
    assert "pretraining" not in str(found)


def test_plan_refuses_what_it_cannot_do_before_it_begins(config, photos, tmp_path):
    with pytest.raises(ConfigError, match="price: expected at least 0, got -1"):
        plan(photos, config, price=-1)
    with pytest.raises(ConfigError, match="already exists; give overwrite"):
        plan("nothing there", config, out=tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="file is a file, not a folder"):
        plan("nothing there", config, out=tmp_path / "file", overwrite=True)
    with pytest.raises(ConfigError, match=r"^[^-].*: lies in the folder of photos"):
        plan(photos, config, out=photos / "plan")
    with pytest.raises(DataError, match="fewer than two classes are left to plan with; 6 photos left out"):
        few = tmp_path / "few.csv"
        rows = [f"{path},{path.parts[-3]},{path.parts[-2]}," for path in photos.glob("*/birman/[0-2].png")]
        rows += [f"{path},{path.parts[-3]},{path.parts[-2]}," for path in photos.glob("*/pug/[0-2].png")]
        few.write_text("\n".join(["path,species,breed,split", *rows]) + "\n")
        plan(few, config)
    with pytest.raises(PluginError, match="timy"):
        plan(photos, config.model_copy(update={"backbone": "timy"}))


@pytest.mark.slow
def test_plan_refuses_what_training_refuses(config, tmp_path):
    for name in ("cat/birman", "dog/pug"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for n in range(5):
            Image.fromarray(read_photo(f"demo:{'cat/siamese' if name[0] == 'c' else 'dog/pug'}/{n}")).save(
                tmp_path / "pets" / name / f"{n}.png"
            )
    (tmp_path / "pets" / "rabbit").mkdir()
    with pytest.raises(DataError, match="1 class has no training photo: rabbit"):
        plan(tmp_path / "pets", config)
    with pytest.raises(DataError, match="only one class, dog/pug; expected at least two"):
        plan(_alone(tmp_path / "pets" / "dog", tmp_path / "alone" / "dog"), config)


def _alone(species, folder):
    shutil.copytree(species, folder)
    return folder.parent


def test_compare_random_is_a_question_of_weights_alone(config):
    from hierpets.bundle.manifest import BackboneSpec
    from hierpets.data.labeled.index import read_index

    registry = load_registry(config.registry)
    spec = BackboneSpec(name="tiny", options={"width": 4}, feature_dim=64)
    photos = read_index("demo", registry=registry)
    found = compare_random(spec, photos, config, registry, device="cpu")
    assert found.photos == len(photos) and 0 < found.random < 1 and found.random != found.pretrained
    again = compare_random(spec, photos, config, registry, device="cpu")
    assert again == found  # random weights are drawn from the seed


def test_compare_random_takes_the_features_that_training_left_in_the_cache(config, tmp_path, monkeypatch):
    from hierpets.data.labeled.index import read_index
    from hierpets.training.features.prepared import prepare_backbone

    monkeypatch.setenv("HIERPETS_CACHE", str(tmp_path))
    registry, photos = load_registry(config.registry), read_index("demo")
    prepared = prepare_backbone(config.backbone_choice, config, registry=registry, device="cpu")
    prepared.extractor.features(photos.paths)
    first_done: dict[str, int] = {}

    def progress(task: str, done: int, _total: int | None) -> None:
        first_done.setdefault(task, done)

    compare_random(prepared.spec, photos, config, registry, device="cpu", progress=progress)
    assert {done for task, done in first_done.items() if task != "random features"} == {len(photos)}
    assert first_done["random features"] == 0


def test_plan_keeps_the_animals_that_are_stated_and_finds_others_for_backbones_too(config, tmp_path, monkeypatch):
    """Two shots of each animal. Of cats the data says whose photos they are, of dogs nothing."""
    monkeypatch.setattr(individuals, "TOO_ALIKE", 0.3)  # the tiny network tells drawn animals hardly apart
    rows = ["path,species,breed,individual"]
    for label in ("cat/birman", "cat/siamese", "dog/pug", "dog/husky"):
        for animal in range(5):
            photo = read_photo(f"demo:{label}/{animal}")
            for shot, pixels in enumerate((photo, np.minimum(photo, 252) + 3)):
                file = tmp_path / f"{label.replace('/', '-')}-{animal}-{shot}.png"
                Image.fromarray(pixels).save(file)
                stated = f"{(animal + shot) % 5}" if label.startswith("cat") else ""  # not as likeness has it
                rows.append(f"{file},{label.replace('/', ',')},{stated}")
    (tmp_path / "photos.csv").write_text("\n".join(rows) + "\n")
    judged = []
    monkeypatch.setattr(run, "rank_backbones", lambda _, photos, *__, **___: judged.append(photos) or ())
    monkeypatch.setattr(run, "compare_random", lambda _, photos, *__, **___: judged.append(photos))
    plan(tmp_path / "photos.csv", config, backbones=True)
    assert len(judged) == 2
    for index in judged:
        groups = index.labels().groups
        together = [{Path(index.paths[row]).stem for row in np.flatnonzero(groups == one)} for one in np.unique(groups)]
        assert sorted(map(len, together)) == [2] * 20
        for shots in together:
            (label,) = {name.rsplit("-", 2)[0] for name in shots}
            first, second = sorted(int(name.split("-")[-2]) for name in shots)
            assert first == second if label.startswith("dog") else (second - first) in (1, 4)


def test_plan_command_prints_text_or_json(config, photos, tmp_path, capsys):
    settings = tmp_path / "settings.yaml"
    settings.write_text("auto: {backbones: [{name: tiny}], finetune_minutes: 0}\ndevice: cpu\n")
    given = ["plan", str(photos), "--backbone", "tiny", "--config", str(settings), "--registry", str(config.registry)]
    with pytest.raises(SystemExit) as done:
        main([*given, "--format", "json", "--out", str(tmp_path / "out")])
    assert done.value.code in (0, None)
    said = capsys.readouterr()
    assert json.loads(said.out)["photos"] == 48 and f"written to {tmp_path / 'out'}" in said.err
    with pytest.raises(SystemExit) as done:
        main([*given, "--out", str(tmp_path / "out")])
    assert done.value.code == 1 and "give overwrite" in capsys.readouterr().err
