"""Commands that are killed again and again: what they leave can be gone on from, and nothing else is left.

``HIERPETS_KILLS`` says how many times each is killed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.fakes import tiny_registry

from hierpets.thumbnails import encode_png

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

KILLS = int(os.environ.get("HIERPETS_KILLS", "20"))
PHOTOS = 300


def start(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    environment = os.environ | {"HIERPETS_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "hierpets", *arguments]
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def finish(process: subprocess.Popen[bytes], text: bytes = b"") -> float:
    """How long it took."""
    begun = time.monotonic()
    _, told = process.communicate(text)
    assert process.returncode == 0, told.decode()
    return time.monotonic() - begun


def kill_often(
    folder: Path, seconds: float, *arguments: str, text: bytes = b"", check: Callable[[], None] = lambda: None
) -> int:
    """Kill a command at random moments of the ``seconds`` that it takes, and let it end; how many kills met it.

    Whenever it ends before it is killed, ``check`` looks at what it did.
    """
    met, rng = 0, np.random.default_rng(0)
    for moment in rng.permutation(np.linspace(0.05, 0.98, KILLS)) * seconds:
        process = start(folder, *arguments)
        try:
            _, told = process.communicate(text, timeout=float(moment))
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            met += 1
        else:
            assert process.returncode == 0, told.decode()
            check()
    finish(start(folder, *arguments), text)
    check()
    return met


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def hidden(folder: Path) -> list[Path]:
    return [path for path in folder.rglob(".*") if "cache" not in path.parts]


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_predict_killed_often_loses_and_repeats_nothing(tmp_path, suffix):
    (tmp_path / "photos").mkdir()
    for number in range(PHOTOS):
        pixels = np.random.default_rng(number).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        (tmp_path / "photos" / f"{number}.png").write_bytes(encode_png(pixels))
    seconds = finish(start(tmp_path, "predict", "photos", "--out", f"whole.{suffix}"))
    killed = tmp_path / f"killed.{suffix}"

    def check() -> None:
        assert records(killed) == records(tmp_path / f"whole.{suffix}")
        for file in tmp_path.glob("killed*"):
            file.unlink()

    met = kill_often(tmp_path, seconds, "predict", "photos", "--out", killed.name, "--resume", check=check)
    assert met > KILLS / 4
    assert {path.name for path in tmp_path.iterdir()} == {
        *("cache", "photos", f"whole.{suffix}", f"whole.{suffix}.run.json")
    }


def records(file: Path) -> object:
    if file.suffix != ".parquet":
        return file.read_bytes()
    import pyarrow.parquet as pq

    return pq.read_table(file).to_pylist()


@pytest.mark.parametrize("recipe", ["heads", "finetune"])
def test_train_killed_often_ends_in_the_same_bundle(tmp_path, recipe):
    tiny_registry(tmp_path)
    common = (
        "train",
        "--data",
        "demo",
        "--recipe",
        recipe,
        "--backbone",
        "tiny",
        "--registry",
        "registry.yaml",
        "--set",
    )
    common = (*common, "finetune.epochs=2", "--set", "finetune.checkpoint_minutes=0", "--set", "finetune.workers=0")
    finish(start(tmp_path, *common, "--out", "whole"))
    seconds = finish(start(tmp_path, *common, "--out", "again"))  # as long as those that find features in the cache

    def check() -> None:
        assert files(tmp_path / "killed/bundle") == files(tmp_path / "whole/bundle")
        assert not hidden(tmp_path)
        assert json.loads((tmp_path / "killed/metrics.json").read_text())
        shutil.rmtree(tmp_path / "killed")  # or the next one would find it complete

    met = kill_often(tmp_path, seconds, *common, "--out", "killed", "--resume", check=check)
    assert met > KILLS / 4


def test_audit_killed_often_finds_the_same(tmp_path):
    seconds = finish(start(tmp_path, "audit", "demo", "--out", "whole"))
    met = kill_often(tmp_path, seconds, "audit", "demo", "--out", "killed", "--overwrite")
    assert met > KILLS / 4
    assert files(tmp_path / "killed") == files(tmp_path / "whole")
    assert not hidden(tmp_path)
