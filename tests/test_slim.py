"""Predicting and serving need requirements/predict.txt alone; whatever needs more says in one line what to install."""

import json
import re
import subprocess
import urllib.request

import pytest
from helpers.slim import canonical, command, hidden_modules, kept_distributions, owners, run
from packaging.requirements import Requirement

from hierpets.errors import ConfigError
from hierpets.libraries import EXTRAS, WHOLE, needed_for
from tools.pages.predict import read_project


def test_what_is_hidden_here_is_what_a_slim_installation_lacks():
    hidden = set(hidden_modules())
    assert {"torch", "timm", "albumentations", "torchvision", "sklearn", "scipy", "matplotlib"} <= hidden
    assert not {"numpy", "cv2", "openvino", "fastapi", "pydantic", "yaml"} & hidden


def test_predicts():
    done = run("predict", "--format", "jsonl", "demo:dog/pug/1")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["level"] is not None
    assert record["recommendation"]["error"] is None


@pytest.mark.parametrize("arguments", [["info"], ["--version"], ["catalog", "check"], ["plugins", "list"]])
def test_describes(arguments):
    done = run(*arguments)
    assert done.returncode == 0, done.stderr


def test_serves(tmp_path):
    process = subprocess.Popen(
        command("serve", "--port", "0"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        url = re.search(r"http://[\d.:]+", process.stdout.readline())[0]
        with urllib.request.urlopen(f"{url}/v1/model", timeout=20) as answer:
            capabilities = json.load(answer)["capabilities"]
        assert capabilities == {"explain": False, "feedback": False, "regions": True, "recommend": True}
        bmp = _gray_bmp(64)
        request = urllib.request.Request(f"{url}/v1/predict", data=bmp, headers={"content-type": "image/bmp"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert json.load(answer)[0]["error"] is None
    finally:
        process.terminate()
        process.communicate(timeout=30)


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["train", "--data", "demo", "--out", "OUT"], "train"),
        (["evaluate", "--model", "hierpets/released", "--data", "demo", "--out", "OUT"], "evaluate"),
        (["explain", "--out", "OUT", "demo:dog/pug/1"], "explain"),
        (["predict", "--engine", "torch", "demo:dog/pug/1"], "the engine torch"),
        (["predict", "--device", "cuda", "demo:dog/pug/1"], "device 'cuda'"),
    ],
)
def test_what_needs_more_says_what_to_install(arguments, what, tmp_path):
    done = run(*[str(tmp_path / "out") if word == "OUT" else word for word in arguments])
    assert done.returncode == 1
    assert re.fullmatch(rf"error: {what} needs \w+, which is not installed: pip install hierpets\n", done.stderr)
    assert not (tmp_path / "out").exists()


def test_whatever_the_slim_set_leaves_out_is_known_to_be_missing():
    project = read_project()["project"]
    left_out = {canonical(Requirement(text).name) for text in project["dependencies"]} - kept_distributions()
    assert {"safetensors", "torch"} < left_out
    found = {owner for name in WHOLE for owner in owners()[name]}
    assert left_out <= found  # whatever is not there is told of in one line
    assert set(EXTRAS.values()) <= set(project["optional-dependencies"])


def test_another_missing_module_is_a_bug_and_stays_one():
    with pytest.raises(ModuleNotFoundError), needed_for("train"):
        raise ModuleNotFoundError("No module named 'hierpets.typo'", name="hierpets.typo")


def test_a_missing_submodule_counts_as_its_library():
    told = r"^train needs torch, which is not installed: pip install hierpets$"
    with pytest.raises(ConfigError, match=told), needed_for("train"):
        raise ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn")


def _gray_bmp(side):
    import cv2
    import numpy as np

    return cv2.imencode(".bmp", np.full((side, side, 3), 128, np.uint8))[1].tobytes()
