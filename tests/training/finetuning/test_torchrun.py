"""``torchrun -m hierpets train``: two processes, one run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.fakes import tiny_registry

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.slow
def test_two_processes_train_one_bundle(tmp_path):
    tiny_registry(tmp_path)
    settings = ["--recipe", "finetune", "--backbone", "tiny", "--registry", str(tmp_path / "registry.yaml")]
    settings += ["--out", str(tmp_path / "run"), "--set", "finetune.epochs=1", "--set", "finetune.workers=0"]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "hierpets", "train"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, "--levels", "species,breed", *settings], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "run" / "bundle" / "bundle.json").is_file()
    events = [json.loads(line)["event"] for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert events.count("data") == events.count("bundle") == 1
