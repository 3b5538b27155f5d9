"""Two processes of torchrun do what one does with the same batches."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers.tuning import squares, tune_together

ROOT = Path(__file__).resolve().parents[2]
TORCHRUN = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
TUNING = ROOT / "tests" / "helpers" / "tuning.py"
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "tests"))), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The folders of one run in one process, and of the same in two."""
    one, two = (tmp_path_factory.mktemp(name) for name in ("one", "two"))
    settings = {"epochs": 3, "batch_size": 10}
    for folder in (one, two):
        squares(folder, seed=0)
        squares(folder, seed=1)
    tune_together(one, settings)
    command = [sys.executable, *TORCHRUN, str(TUNING), str(two), json.dumps(settings)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr
    return one, two


def events(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "run" / "log.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_finetune_ends_in_two_processes_where_one_ends(runs):
    one, two = (torch.load(folder / "final.pt") for folder in runs)
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, two[name], rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_finetune_logs_the_same_losses_in_two_processes(runs):
    one, two = ([event for event in events(run) if event["event"] == "epoch"] for run in runs)
    assert [event["epoch"] for event in two] == [0, 1, 2, 3]
    for ours, theirs in zip(one, two, strict=True):
        assert ours.get("loss", 0) == pytest.approx(theirs.get("loss", 0), rel=1e-4)
        assert ours["nll"] == pytest.approx(theirs["nll"], rel=1e-4)


@pytest.mark.slow
def test_finetune_writes_and_logs_in_one_process_alone(runs):
    one, two = runs
    assert [event["event"] for event in events(one)] == [event["event"] for event in events(two)]
    assert {path.name for path in (one / "run").iterdir()} == {path.name for path in (two / "run").iterdir()}
