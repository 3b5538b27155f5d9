import pytest

from hierpets.config import BackboneChoice, FinetuneConfig, HeadSpec, TrainConfig, change_config, read_config
from hierpets.errors import ConfigError


@pytest.mark.parametrize("text", ["species,breed", "species, breed", "breed,species"])
def test_levels_forgive_spaces_and_order(text):
    assert TrainConfig(levels=text).levels == "species,breed"


@pytest.mark.parametrize("text", ["breed", "", "species,bread", "genus"])
def test_levels_are_refused_with_the_choices(text):
    with pytest.raises(ConfigError, match="--levels: expected species or species,breed"):
        read_config(None, {"levels": text})


@pytest.mark.parametrize("model", [TrainConfig, FinetuneConfig, HeadSpec, BackboneChoice])
def test_every_setting_has_a_description(model):
    assert not [name for name, field in model.model_fields.items() if not field.description]


def test_read_config_puts_options_before_the_file_before_defaults(tmp_path):
    (tmp_path / "c.yaml").write_text("seed: 3\nrecipe: heads\nhead: {kind: logistic}\nfinetune: {epochs: 2}\n")
    config = read_config(tmp_path / "c.yaml", {"seed": 4, "backbone": None})
    assert (config.seed, config.head.kind, config.finetune.epochs) == (4, "logistic", 2)
    assert config.backbone == TrainConfig().backbone


def test_read_config_names_every_problem_with_its_line_and_a_suggestion(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("sead: 3\nval_fraction: 1.5\nfinetune:\n  workers: 1\n  epoch: 2\n")
    with pytest.raises(ConfigError) as caught:
        read_config(file, {})
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert any(line.startswith(f"{file}:1: sead: unknown key (did you mean 'seed'?)") for line in lines)
    assert any(line.startswith(f"{file}:5: finetune.epoch: unknown key (did you mean 'epochs'?)") for line in lines)
    assert f"{file}:2: val_fraction: expected less than 1, got 1.5" in lines


def test_read_config_refuses_a_key_given_twice(tmp_path):
    (tmp_path / "c.yaml").write_text("seed: 1\nalpha: 0.1\nseed: 2\n")
    with pytest.raises(ConfigError, match=r"c.yaml:3: seed: given twice, first on line 1"):
        read_config(tmp_path / "c.yaml", {})


def test_read_config_says_which_source_a_problem_comes_from(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("seed: -1\nhead: {kind: logistic}\n")
    with pytest.raises(ConfigError) as caught:
        read_config(file, {"val_fraction": 2}, ["head.kind=svm"])
    assert sorted(str(caught.value).splitlines()) == [
        "--set head.kind: expected one of lda, logistic, blend, got 'svm'",
        "--val-fraction: expected less than 1, got 2",
        f"{file}:1: seed: expected at least 0, got -1",
    ]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"backbone_options": {"size": 320}}, "backbone_options: recipe auto compares several backbones"),
        ({"head": {"kind": "logistic"}}, "head: recipe auto compares auto.heads"),
        ({"view": "flip"}, "view: recipe auto compares auto.views"),
        ({"auto.backbones": [{"name": "timm", "weights": "w"}]}, "auto.backbones: recipe auto compares backbones as"),
    ],
)
def test_settings_that_auto_would_ignore_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        change_config(None, settings)
    assert change_config(None, settings | {"recipe": "heads"})


@pytest.mark.parametrize("name", ["backbones", "views", "heads"])
def test_recipe_auto_has_something_to_compare(name):
    with pytest.raises(ConfigError, match=rf"auto\.{name}: expected a length of at least 1, got \[\]"):
        change_config(None, {f"auto.{name}": []})


def test_change_config_refuses_what_is_no_config():
    with pytest.raises(ConfigError, match="config: expected TrainConfig, got dict; single settings are given by name"):
        change_config({"seed": 1}, {})


def test_an_empty_out_is_not_the_folder_that_one_is_in():
    with pytest.raises(ConfigError, match=r"^out: expected a path, got ''$"):
        change_config(None, {"out": ""})


def test_a_single_tracker_stands_for_a_list_of_it():
    assert change_config(None, {"trackers": "mlflow"}).trackers == ("mlflow",)


def test_a_backbone_may_be_given_by_its_name_alone():
    assert change_config(None, {"early": "small", "recipe": "heads"}).early == (BackboneChoice(name="small"),)
    assert change_config(None, {"auto.backbones": ["one", {"name": "two"}]}).auto.backbones[0].name == "one"


def test_change_config_reaches_into_groups_and_keeps_their_other_settings():
    config = TrainConfig(seed=3, finetune=FinetuneConfig(epochs=2, batch_size=8))
    changed = change_config(config, {"finetune": {"epochs": 5}, "finetune.workers": 0, "alpha": 0.1})
    assert (changed.seed, changed.alpha) == (3, 0.1)
    assert changed.finetune == FinetuneConfig(epochs=5, batch_size=8, workers=0)


def test_change_config_refuses_an_unknown_setting_with_a_suggestion():
    with pytest.raises(ConfigError, match=r"^sead: unknown key \(did you mean 'seed'\?\)"):
        change_config(None, {"sead": 1})


def test_absolute_paths_hold_from_another_folder(tmp_path, monkeypatch):
    (tmp_path / "pets").mkdir()
    monkeypatch.chdir(tmp_path)
    config = TrainConfig(data="pets", out="run", registry="registry.yaml").absolute()
    assert (config.data, config.out, config.registry) == (
        str(tmp_path / "pets"),
        tmp_path / "run",
        tmp_path / "registry.yaml",
    )
    assert TrainConfig().absolute().data == "demo"


@pytest.mark.parametrize(
    ("text", "message"), [("a: [", "c.yaml:1: not valid YAML"), ("- 1", "expected keys and values, got list")]
)
def test_read_config_refuses_a_file_that_is_no_mapping(tmp_path, text, message):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_config(tmp_path / "c.yaml", {})


def test_read_config_refuses_a_missing_file(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_config(tmp_path / "none.yaml", {})


def test_read_config_assigns_any_setting_and_keeps_its_neighbors(tmp_path):
    (tmp_path / "c.yaml").write_text("finetune: {epochs: 2, batch_size: 8}\n")
    assignments = ["finetune.epochs=5", "backbone=timm", "backbone_options.model=resnet18", "alpha=0.1"]
    config = read_config(tmp_path / "c.yaml", {}, assignments)
    assert (config.finetune.epochs, config.finetune.batch_size, config.alpha) == (5, 8, 0.1)
    assert config.backbone_options == {"model": "resnet18"}


@pytest.mark.parametrize("text", ["epochs", "=3", "a=[1", "seed=2026-13-45", "seed=" + "[" * 3000])
def test_read_config_refuses_what_is_no_assignment(text):
    with pytest.raises(ConfigError, match="--set"):
        read_config(None, {}, [text])


def test_a_version_that_yaml_takes_for_a_number_is_told_to_be_quoted(tmp_path):
    (tmp_path / "c.yaml").write_text("version: 1.10\n")
    with pytest.raises(ConfigError, match=r"c.yaml:1: version: expected text, got 1.1; .* in quotes: version: \"1.0\""):
        read_config(tmp_path / "c.yaml", {})
    (tmp_path / "c.yaml").write_text('version: "1.10"\n')
    assert read_config(tmp_path / "c.yaml", {}).version == "1.10"
    assert read_config(None, {}, ['version="1.0"']).version == "1.0"
