import pytest

from hierpets.config import TrainConfig, parse_levels, read_config
from hierpets.errors import ConfigError


@pytest.mark.parametrize("text", ["species,breed", "species, breed", "breed,species"])
def test_levels_forgive_spaces_and_order(text):
    assert parse_levels(text) == "species,breed"


@pytest.mark.parametrize("text", ["breed", "", "species,bread", "genus"])
def test_other_levels_are_refused_with_the_choices(text):
    with pytest.raises(ConfigError, match="choose species or species,breed"):
        parse_levels(text)


def test_overrides_beat_the_file_and_the_file_beats_defaults(tmp_path):
    (tmp_path / "c.yaml").write_text("seed: 3\nhead: {kind: logistic}\nfinetune: {epochs: 2}\n")
    config = read_config(tmp_path / "c.yaml", {"seed": 4, "backbone": None})
    assert (config.seed, config.head.kind, config.finetune.epochs) == (4, "logistic", 2)
    assert config.backbone == TrainConfig().backbone


def test_every_problem_is_told_at_once_with_a_suggestion(tmp_path):
    (tmp_path / "c.yaml").write_text("sead: 3\nval_fraction: 1.5\nfinetune: {epoch: 2}\n")
    with pytest.raises(ConfigError) as caught:
        read_config(tmp_path / "c.yaml", {})
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert any("sead: unknown setting (did you mean 'seed'?)" in line for line in lines)
    assert any("finetune.epoch: unknown setting (did you mean 'epochs'?)" in line for line in lines)
    assert any("val_fraction" in line and "1.5" in line for line in lines)
    assert all(line.startswith(str(tmp_path / "c.yaml")) for line in lines)


@pytest.mark.parametrize(("text", "message"), [("a: [", "not YAML"), ("- 1", "expected keys and values, got list")])
def test_a_file_that_is_no_mapping_is_refused(tmp_path, text, message):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_config(tmp_path / "c.yaml", {})


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_config(tmp_path / "none.yaml", {})


def test_assignments_reach_any_setting_and_keep_its_neighbors(tmp_path):
    (tmp_path / "c.yaml").write_text("finetune: {epochs: 2, batch_size: 8}\n")
    config = read_config(tmp_path / "c.yaml", {}, ["finetune.epochs=5", "backbone_options.model=resnet18", "alpha=0.1"])
    assert (config.finetune.epochs, config.finetune.batch_size, config.alpha) == (5, 8, 0.1)
    assert config.backbone_options == {"model": "resnet18"}


@pytest.mark.parametrize("text", ["epochs", "=3", "a=[1"])
def test_an_assignment_that_is_none_is_refused(text):
    with pytest.raises(ConfigError, match="--set"):
        read_config(None, {}, [text])
