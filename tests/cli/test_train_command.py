"""``hierpets train``: options from the settings, and what it says."""

import os

import pytest
import yaml
from click.testing import CliRunner
from helpers.fakes import tiny_registry

from hierpets.cli.develop.train import command
from hierpets.config import TrainConfig
from hierpets.errors import ConfigError
from hierpets.training.recipe import train


def words(text: str) -> str:
    return " ".join(text.split())


def test_train_help_says_what_the_settings_say():
    shown = words(CliRunner().invoke(command, ["--help"], terminal_width=200).output)
    for name in ("levels", "data", "val_fraction", "seed", "recipe"):
        field = TrainConfig.model_fields[name]
        assert words(field.description)[1:] in shown
        assert f"[default: {field.default}]" in shown


def test_train_command_resumes_with_the_settings_of_the_run(tmp_path, capsys):
    tiny_registry(tmp_path)
    rows = [f"demo:{leaf}/{i},{leaf.replace('/', ',')}" for leaf in ("cat/siamese", "dog/pug") for i in range(5)]
    (tmp_path / "photos.csv").write_text("\n".join(["path,species,breed", *rows]))
    first = {"data": str(tmp_path / "photos.csv"), "backbone": "tiny", "registry": tmp_path / "registry.yaml"}
    train(out=tmp_path / "run", recipe="heads", seed=3, **first)
    before = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    result = CliRunner().invoke(command, ["--resume", "--out", str(tmp_path / "run")])
    assert result.exit_code == 0, result.output
    assert "no --data" not in result.output
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text()) == before


def test_train_command_takes_its_progress_down_on_errors(tmp_path, monkeypatch):
    closed = []
    monkeypatch.setattr("hierpets.cli.progress.ProgressDisplay.close", lambda self: closed.append(True))
    (tmp_path / "run").write_text("a file")
    arguments = ["--data", "demo", "--recipe", "heads", "--out", str(tmp_path / "run")]
    result = CliRunner().invoke(command, arguments)
    assert isinstance(result.exception, ConfigError)
    assert closed


def test_train_command_interrupted_says_how_to_go_on(monkeypatch):
    def stop(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr("hierpets.training.recipe.train", stop)
    done = CliRunner().invoke(command, ["--data", "demo"], standalone_mode=False)
    assert done.return_value == 130
    assert done.output == "interrupted; rerun with --resume to continue\n"


@pytest.mark.parametrize("begun", [True, False])
def test_train_command_interrupted_over_an_old_run_says_whether_it_was_replaced(tmp_path, monkeypatch, begun):
    settings = tmp_path / "config.yaml"
    settings.write_text("seed: 0")
    os.utime(settings, (0, 0))

    def stop(**_):
        if begun:
            settings.write_text("seed: 0")
        raise KeyboardInterrupt

    monkeypatch.setattr("hierpets.training.recipe.train", stop)
    arguments = ["--data", "demo", "--out", str(tmp_path), "--overwrite"]
    done = CliRunner().invoke(command, arguments, standalone_mode=False)
    assert done.return_value == 130
    assert done.output.rstrip().endswith("rerun with --resume to continue" if begun else "rerun with --overwrite")


@pytest.mark.parametrize(
    ("photos", "animals", "said"),
    [(2, 1, "2 photos show one animal, as far as can be told, and are"), (9, 3, "9 photos show 3 animals, as far as")],
)
def test_train_command_says_how_many_animals_are_held_out_together(monkeypatch, photos, animals, said):
    def fake(*, listener, **_):
        listener({"event": "individuals", "photos": photos, "individuals": animals})

    monkeypatch.setattr("hierpets.training.recipe.train", fake)
    assert said in CliRunner().invoke(command, ["--data", "demo"]).output


@pytest.mark.parametrize(("candidates", "said"), [(1, ""), (12, "comparing 12 candidates; --recipe heads takes one")])
def test_train_command_says_that_it_compares_where_there_is_something_to_compare(monkeypatch, candidates, said):
    def fake(*, listener, **_):
        listener({"event": "comparing", "candidates": candidates})

    monkeypatch.setattr("hierpets.training.recipe.train", fake)
    output = CliRunner().invoke(command, ["--data", "demo"]).output
    assert output.startswith(said) and bool(output) == bool(said)


@pytest.mark.parametrize("won", [True, False])
def test_train_command_says_whether_fine_tuning_helped_and_by_which_photos(tmp_path, monkeypatch, won):
    def fake(*, listener, **_):
        listener({"event": "skipped", "why": "estimated 5.4 min exceeds finetune_minutes=5"})
        listener({"event": "stalled", "epoch": 4, "patience": 3})
        listener({"event": "finetuned", "won": won, "best": 0.9, "start": 0.8, "alpha": 0.5, "photos": 42})

    monkeypatch.setattr("hierpets.training.recipe.train", fake)
    output = CliRunner().invoke(command, ["--data", "demo"]).output
    assert "fine-tuning skipped: estimated 5.4 min exceeds finetune_minutes=5" in output
    assert "stopped after epoch 4: none of the last 3 epochs was better" in output
    numbers = "balanced accuracy 90.0% for 80.0%, network alone, on"
    helped = f"fine-tuning helped: {numbers} the 42 validation photos that it was chosen by: a little too good"
    kept = f"fine-tuning: {numbers} 42 validation photos, not more than a standard error: the heads are kept"
    assert (helped in output, kept in output) == (won, not won)
