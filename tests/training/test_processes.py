"""Two processes of torchrun do what one does with the same batches."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tuning import tiny_network, tune

HERE = Path(__file__).resolve()
ENVIRONMENT = os.environ | {
    "PYTHONPATH": os.pathsep.join(map(str, (HERE.parents[2], HERE.parents[1], HERE.parent))),
    "OMP_NUM_THREADS": "1",
}
SCRIPT = str(HERE.with_name("tuning.py"))
LAUNCH = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]


def launch(folder: Path, settings: dict) -> tuple[dict, list[dict]]:
    """Weights and epochs of two processes that torchrun starts."""
    folder.mkdir()
    command = [sys.executable, *LAUNCH, SCRIPT, str(folder), json.dumps(settings), "--no-dropout"]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr
    log = [json.loads(line) for line in (folder / "run" / "log.jsonl").read_text().splitlines()]
    return torch.load(folder / "final.pt"), [event for event in log if event["event"] == "epoch"]


def test_two_processes_end_where_one_does(tmp_path):
    # Without dropout: each process draws its own.
    settings = {"epochs": 3, "mixup": 0.4, "distillation": 0.2, "batch_size": 10}
    one = tune(tmp_path / "one", settings=settings, network=tiny_network(dropout=0))
    weights, epochs = launch(tmp_path / "two", settings)
    assert [event["epoch"] for event in epochs] == [0, 1, 2, 3]  # told once, not once a process
    for ours, theirs in zip(one.history, epochs, strict=True):
        assert ours.get("loss", 0) == pytest.approx(theirs.get("loss", 0), rel=1e-4)
        assert ours["nll"] == pytest.approx(theirs["nll"], rel=1e-4)
    for name, tensor in one.network.state_dict().items():
        torch.testing.assert_close(tensor, weights[name], rtol=1e-3, atol=1e-4)
