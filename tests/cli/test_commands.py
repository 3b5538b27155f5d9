import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hierpets.cli import _Interrupt, main


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(list(arguments))
    return caught.value.code or 0


def test_a_mistyped_command_gets_a_suggestion(capsys):
    assert run("predcit", "x.jpg") == 2
    assert "did you mean 'predict'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (("train", "photos"), "Got unexpected extra argument (photos); give photos by --data"),
        (("bench", "bundle"), "Got unexpected extra argument (bundle); give photos by --data and a bundle by --model"),
        (("serve", "bundle"), "Got unexpected extra argument (bundle); give a bundle by --model"),
        (("plugins", "list", "more"), "Got unexpected extra argument (more)"),
        (("info", "--model", "bundle"), "No such option '--model'. BUNDLE goes without it."),
        (("plan", "--data", "photos"), "No such option '--data'. SOURCE goes without it."),
        (("train", "--recipee", "heads"), "No such option '--recipee'. Did you mean '--recipe'?"),
    ],
)
def test_photos_or_a_bundle_given_as_another_command_takes_them_get_advice(capsys, arguments, advice):
    assert run(*arguments) == 2
    assert capsys.readouterr().err.endswith(f"\nError: {advice}\n")


def test_unknown_levels_are_refused_with_the_choices(capsys):
    assert run("train", "--levels", "breed") == 1
    assert capsys.readouterr().err == "error: --levels: expected species or species,breed, got 'breed'\n"


@pytest.mark.parametrize("arguments", [("train", "--out", ""), ("predict", "--model", "", "a.jpg"), ("info", "")])
def test_an_empty_path_is_refused(tmp_path, monkeypatch, capsys, arguments):
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == 2
    assert "expected a path, got an empty text" in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]


def test_an_error_shows_control_characters_as_text(capsys):
    assert run("info", "bundle\x1b[31m") == 1
    assert capsys.readouterr().err.startswith("error: bundle\\x1b[31m")


def test_debug_shows_the_traceback(capsys):
    assert run("--debug", "train", "--levels", "breed") == 1
    assert "Traceback" in capsys.readouterr().err


def test_train_without_data_says_so_and_leaves_a_run(tmp_path, capsys):
    from helpers.fakes import tiny_registry

    tiny_registry(tmp_path)
    arguments = [
        "--recipe",
        "heads",
        "--backbone",
        "tiny",
        "--registry",
        str(tmp_path / "registry.yaml"),
        "--out",
        str(tmp_path / "run"),
    ]
    assert run("train", "--levels", "species,breed", *arguments) == 0
    err = capsys.readouterr().err
    assert "no --data: training on the demo set of synthetic images" in err
    assert run("train", "--data", "demo", *arguments, "--overwrite") == 0
    assert "no --data" not in capsys.readouterr().err
    assert "validation: species accuracy" in err
    assert (tmp_path / "run" / "bundle" / "bundle.json").is_file()


def test_evaluate_writes_metrics(tiny_run, tmp_path, capsys):
    assert run("evaluate", "--model", str(tiny_run / "bundle"), "--data", "demo", "--out", str(tmp_path / "e")) == 0
    metrics = json.loads((tmp_path / "e" / "metrics.json").read_text())
    assert metrics["species"]["n"] > 0
    assert metrics["hierarchy"]["full_path_accuracy"] > 0.2
    written = {path.name for path in (tmp_path / "e").iterdir()}
    assert written == {"metrics.json", "predictions.jsonl", "report.html", "figures"}
    assert "the species is correct for" in capsys.readouterr().out
    assert run("compare", str(tmp_path / "e"), str(tmp_path / "e")) == 0
    assert "no difference shown" in capsys.readouterr().out.replace("\n", " ")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="system: no /dev/full")
@pytest.mark.parametrize("command", ["info", "--help", "predict demo:cat/siamese/1 --format jsonl"])
def test_main_on_a_full_standard_output_is_one_line(command):
    with Path("/dev/full").open("w") as full:
        done = _started(command, stdout=full).communicate()[1]
    assert done == "error: cannot write the output: No space left on device\n"


@pytest.mark.skipif(os.name == "nt", reason="system: no shell that closes standard output")
@pytest.mark.parametrize("command", ["info", "--help", "predict demo:cat/siamese/1", "predict nofile.jpg --format csv"])
def test_main_with_standard_output_closed_is_one_line(command):
    done = subprocess.run(
        ["sh", "-c", '"$@" >&-', "sh", *_started_by(command)], stderr=subprocess.PIPE, text=True, timeout=60
    )
    assert done.stderr == "error: cannot write the output: standard output is closed\n"
    assert done.returncode == 1


@pytest.mark.parametrize("command", ["info", "predict demo:cat/siamese/1 --format jsonl"])
def test_main_on_a_closed_pipe_is_silent(command):
    process = _started(command, stdout=subprocess.PIPE)
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() == 1


def test_main_prints_letters_that_the_encoding_lacks(tmp_path, monkeypatch):
    """Of a name, to a pipe or a file on Windows."""
    (tmp_path / "犬").mkdir()
    (tmp_path / "犬" / "registry.yaml").write_text("plugins: []\n")
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), encoding="cp1252"))
    assert run("plugins", "list", "--registry", str(tmp_path / "犬" / "registry.yaml")) == 0
    sys.stdout.flush()
    assert rb"\u72ac" in sys.stdout.buffer.getvalue()


def _started_by(command):
    return [sys.executable, "-m", "hierpets", *command.split()]


def _started(command, **streams):
    return subprocess.Popen(_started_by(command), stderr=subprocess.PIPE, text=True, **streams)


def test_an_interrupt_is_heard_once_while_a_run_winds_down(monkeypatch):
    clock = iter([10.0, 10.5, 12.9, 13.1])
    monkeypatch.setattr("hierpets.cli.time.monotonic", lambda: next(clock))
    hear = _Interrupt()
    with pytest.raises(KeyboardInterrupt):
        hear(signal.SIGINT, None)
    for _ in range(2):
        hear(signal.SIGINT, None)
    with pytest.raises(KeyboardInterrupt):
        hear(signal.SIGINT, None)
