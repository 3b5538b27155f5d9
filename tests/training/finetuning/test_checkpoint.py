"""A run that is killed and resumed ends where one that was left alone ends, to the bit."""

import multiprocessing
import random
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.tuning import squares, tune, tune_alone

from hierpets.data.records import PhotoIndex
from hierpets.errors import ConfigError
from hierpets.training.finetuning import learner


def start(folder: Path, settings: dict, *, resume: bool = False) -> multiprocessing.Process:
    """Forked from a process that has imported what is slow to import."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "torch.optim.swa_utils", "torch.distributed", "albumentations"])
    process = context.Process(target=tune_alone, args=(folder, settings), kwargs={"resume": resume})
    process.start()
    return process


class Killed(Exception):
    """What a test throws to leave training at a step, as a kill would, without a process of its own."""


def kill_at(step: int):
    def progress(_task: str, done: int, _total: int | None, /) -> None:
        if done == step:
            raise Killed

    return progress


def equal(a: dict, b: dict) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.slow
def test_finetune_killed_by_the_system_ends_in_the_same_weights(tmp_path):
    settings = {"epochs": 4, "checkpoint_minutes": 0.0}
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    process = start(alone, settings)
    process.join(120)
    assert process.exitcode == 0

    moments = random.Random(0)
    log, kills = killed / "run" / "log.jsonl", 0
    for _ in range(3):
        process = start(killed, settings, resume=True)
        before = log.stat().st_size if log.exists() else 0
        # Once training runs, strike at a random moment of it.
        while process.is_alive() and (not log.exists() or log.stat().st_size == before):
            time.sleep(0.002)
        time.sleep(moments.uniform(0, 0.15))
        process.kill()
        process.join(60)
        kills += process.exitcode == -signal.SIGKILL
    assert kills
    process = start(killed, settings, resume=True)
    process.join(120)
    assert process.exitcode == 0
    assert equal(torch.load(alone / "final.pt"), torch.load(killed / "final.pt"))


@pytest.mark.parametrize("step", [3, *(pytest.param(step, marks=pytest.mark.slow) for step in (1, 4, 7))])
@pytest.mark.parametrize(
    "minutes",
    [pytest.param(0.0, id="every step"), pytest.param(10.0, id="every epoch", marks=pytest.mark.slow)],
)
def test_finetune_resumed_after_any_step_changes_nothing(tmp_path, step, minutes):
    settings = {"epochs": 3, "checkpoint_minutes": minutes}
    alone = tune(tmp_path / "alone", settings=settings)
    with pytest.raises(Killed):
        tune(tmp_path / "killed", settings=settings, progress=kill_at(step))
    events = []
    resumed = tune(tmp_path / "killed", settings=settings, resume=True, listener=events.append)
    assert alone.won
    assert equal(alone.network.state_dict(), resumed.network.state_dict())
    assert alone.history == resumed.history
    assert any(event["event"] == "resumed" for event in events) == (step > (1 if minutes == 0 else 4))


@pytest.mark.parametrize(("begun", "resumed"), [(torch.float32, torch.float16), (torch.float16, torch.float32)])
def test_finetune_resumed_on_a_device_of_another_number_format(tmp_path, monkeypatch, begun, resumed):
    settings, steps = {"epochs": 3, "checkpoint_minutes": 0.0, "precision": "auto"}, []
    monkeypatch.setattr(learner, "forward_dtype", lambda device, precision: begun)
    with pytest.raises(Killed):
        tune(tmp_path, settings=settings, progress=kill_at(3))
    monkeypatch.setattr(learner, "forward_dtype", lambda device, precision: resumed)
    result = tune(tmp_path, settings=settings, resume=True, progress=lambda _, done, __: steps.append(done))
    assert steps[0] == 2
    assert len(result.history) == 4


def test_finetune_resumed_at_its_end_trains_no_more(tmp_path):
    first = tune(tmp_path)
    events, steps = [], []
    again = tune(tmp_path, resume=True, listener=events.append, progress=lambda *step: steps.append(step))
    assert first.won
    assert equal(first.network.state_dict(), again.network.state_dict())
    assert not steps
    assert not [event for event in events if event["event"] == "epoch"]


def test_finetune_resumed_without_a_checkpoint_starts(tmp_path):
    assert len(tune(tmp_path, resume=True).history) == 3


def test_run_clear_forgets_the_old_checkpoint(tmp_path):
    tune(tmp_path)
    with pytest.raises(Killed):
        tune(tmp_path, progress=kill_at(1))
    assert not (tmp_path / "run" / "checkpoint.pt").exists()


def test_checkpoint_restores_random_numbers_after_training(tmp_path):
    tune(tmp_path / "alone", settings={"checkpoint_minutes": 0.0})
    expected = torch.rand(3)
    with pytest.raises(Killed):
        tune(tmp_path / "killed", settings={"checkpoint_minutes": 0.0}, progress=kill_at(5))
    tune(tmp_path / "killed", settings={"checkpoint_minutes": 0.0}, resume=True)
    torch.testing.assert_close(torch.rand(3), expected, rtol=0, atol=0)
    tune(tmp_path / "killed", settings={"checkpoint_minutes": 0.0}, resume=True)
    torch.testing.assert_close(torch.rand(3), expected, rtol=0, atol=0)


def test_check_same_names_every_difference(tmp_path):
    tune(tmp_path)
    with pytest.raises(ConfigError) as caught:
        tune(tmp_path, resume=True, seed=7, settings={"epochs": 5})
    message = str(caught.value)
    assert "seed was 0, is 7" in message
    assert "finetune.epochs was 2, is 5" in message
    assert "train anew with overwrite" in message
    assert message.count("was") == 2
    assert "\n" not in message


def test_check_same_ignores_what_does_not_change_the_result(tmp_path):
    tune(tmp_path)
    assert len(tune(tmp_path, resume=True, settings={"workers": 0, "checkpoint_minutes": 3.0}).history) == 3


def test_check_same_refuses_other_photos(tmp_path):
    photos = squares(tmp_path)
    tune(tmp_path, train=photos)
    relabeled = PhotoIndex(photos.taxonomy, (replace(photos.records[0], breed="siamese"), *photos.records[1:]))
    with pytest.raises(ConfigError, match="cannot resume: training photos have changed; undo this"):
        tune(tmp_path, train=relabeled, resume=True)


@pytest.mark.parametrize("damage", [lambda b: b[:1000], lambda b: b"", lambda b: b"nonsense"])
def test_read_checkpoint_names_a_damaged_file(tmp_path, damage):
    tune(tmp_path)
    path = tmp_path / "run" / "checkpoint.pt"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ConfigError, match=r"checkpoint\.pt: not a checkpoint"):
        tune(tmp_path, resume=True)


def test_write_checkpoint_holds_no_code_and_all_that_is_needed(tmp_path):
    tune(tmp_path)
    content = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    assert content["learner"].keys() == {"network", "average", "start", "optimizer", "scaler"}
    assert {"epoch", "step", "random", "history", "best", "settings"} <= content.keys()
    assert not list((tmp_path / "run").glob(".checkpoint*"))


def test_write_checkpoint_keeps_the_old_one_on_a_full_disk(tmp_path, monkeypatch):
    with pytest.raises(Killed):
        tune(tmp_path, settings={"checkpoint_minutes": 0.0}, progress=kill_at(2))
    path = tmp_path / "run" / "checkpoint.pt"
    old = path.read_bytes()

    def full(checkpoint, file):
        file.write(b"half a file")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space"):
        tune(tmp_path, settings={"checkpoint_minutes": 0.0}, resume=True)
    assert path.read_bytes() == old
    assert not list(path.parent.glob(".checkpoint*"))
