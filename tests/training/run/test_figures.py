"""Learning curves, the first batch and TensorBoard: what a run shows of itself."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from helpers.fakes import tiny_registry

from hierpets.data.transforms import denormalize, normalize
from hierpets.errors import ConfigError, PluginError
from hierpets.plugin import Preprocess
from hierpets.registry.loading import load_registry
from hierpets.training.recipe import train
from hierpets.training.run.figures import draw_batch, draw_curves
from hierpets.training.run.folder import BATCH_FILE, CURVES_FILE, Run
from hierpets.training.run.trackers import EventWriter, PluginTrackers, broadcast, find_tracker


def decoded(png):
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)


@pytest.mark.parametrize(
    "history",
    [
        [],
        [{"epoch": 0, "breed": 0.5, "species": 0.9, "nll": 1.0}],
        [{"epoch": e, "loss": 1 / e, "breed": None, "species": 0.9, "nll": 1.0} for e in (1, 2, 3)],
    ],
    ids=["none", "start", "no breeds"],
)
def test_draw_curves_draws_whatever_is_known(history):
    assert decoded(draw_curves(history)).shape[1] > 800


def test_draw_curves_tells_a_falling_curve_from_a_rising_one():
    falls, rises = ([{"epoch": e, "loss": loss} for e, loss in enumerate(y)] for y in ([3, 2, 1], [1, 2, 3]))
    assert not np.array_equal(decoded(draw_curves(falls)), decoded(draw_curves(rises)))


def test_denormalize_is_the_inverse_of_normalize():
    preprocess = Preprocess(size=32)
    photo = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    np.testing.assert_array_equal(denormalize(preprocess, normalize(preprocess, photo)), photo)


def test_draw_batch_draws_photo_by_photo():
    preprocess = Preprocess(size=32)
    inputs = np.stack([normalize(preprocess, np.full((32, 32, 3), v, np.uint8)) for v in (0, 120, 255)])
    sheet = decoded(draw_batch(inputs, ["cat/$x$", "dog/pug", "rabbit"], preprocess))
    grays = {int(v) for v in sheet[sheet.shape[0] // 2, :, 0]}
    assert {0, 120, 255} <= grays


def test_train_saves_the_figures_of_a_fine_tuning_and_keeps_no_checkpoint(tiny_run, tmp_path):
    registry = tiny_run.parent / "registry.yaml"
    train(backbone="tiny", registry=registry, out=tmp_path, recipe="finetune", finetune={"epochs": 1, "workers": 0})
    assert decoded((tmp_path / CURVES_FILE).read_bytes()) is not None
    assert decoded((tmp_path / BATCH_FILE).read_bytes()) is not None
    assert not (tmp_path / "checkpoint.pt").exists()


def test_run_draws_nothing_where_it_is_silent(tmp_path):
    run = Run(tmp_path, silent=True)
    run.save_artifact("never.png", lambda: pytest.fail("drawn for nobody"))
    assert not (tmp_path / "never.png").exists()


def test_tracker_writes_the_curves_of_a_run(tmp_path):
    pytest.importorskip("tensorboard", reason="the extra `track` is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tracker = find_tracker(tmp_path)
    heard = []
    tell = broadcast(tracker, None, heard.append)
    tell({"event": "data", "seconds": 0.1, "source": "demo", "train": 8})
    tell({"event": "progress", "task": "finetune", "done": 1, "total": 2})
    for epoch, loss in ((1, 0.5), (2, 0.25)):
        tell(
            {"event": "epoch", "seconds": 1.0, "epoch": epoch, "loss": loss, "breed": None, "species": 0.9, "nll": 0.4}
        )
    tell({"event": "metrics", "seconds": 2.0, "on": "validation", "species": 0.99, "breed": None})
    tracker.close()
    assert len(heard) == 5
    written = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(point.step, point.value) for point in written.Scalars("loss/training")] == [(1, 0.5), (2, 0.25)]
    assert "accuracy/breed" not in written.Tags()["scalars"]
    assert written.Scalars("final/validation/species accuracy")[0].value == pytest.approx(0.99)


def test_tracker_writes_nothing_without_an_event(tmp_path):
    EventWriter(tmp_path / "tensorboard").close()
    assert not (tmp_path / "tensorboard").exists()


def plugin_trackers(tmp_path, code):
    (tmp_path / "t.py").write_text(code)
    (tmp_path / "registry.yaml").write_text("plugins:\n  - {name: mine, kind: tracker, entry: 't.py:mine'}\n")
    plugin = load_registry(tmp_path / "registry.yaml").get("tracker", "mine")
    return PluginTrackers([plugin], tmp_path)


HEARS = "def mine(run):\n    return lambda e: open(run + '/heard', 'a').write(e['event'] + ' ')\n"
FAILS = "def mine(run):\n    def hear(event):\n        raise OSError('the server is gone')\n    return hear\n"


def test_a_tracker_plugin_hears_every_event_and_the_end_of_a_run_that_fails(tmp_path):
    with pytest.raises(KeyError), plugin_trackers(tmp_path, HEARS) as trackers:
        trackers({"event": "data"})
        raise KeyError
    assert (tmp_path / "heard").read_text() == "data end "


def test_a_tracker_plugin_that_fails_costs_one_warning(tmp_path, caplog):
    with plugin_trackers(tmp_path, FAILS) as trackers:
        for _ in range(3):
            trackers({"event": "epoch"})
    assert [record.getMessage() for record in caplog.records] == [
        f"tracker 'mine' ({tmp_path / 't.py'}:3): OSError: the server is gone; it gets no more events of this training"
    ]


def tracked(folder: Path, code: str) -> dict[str, Any]:
    """The settings of a training in a folder with a tracker of this code."""
    tiny_registry(folder)
    (folder / "t.py").write_text(code)
    with (folder / "registry.yaml").open("a") as registry:
        registry.write("  - {name: mine, kind: tracker, entry: 't.py:mine'}\n")
    where = {"registry": folder / "registry.yaml", "out": folder / "run"}
    return where | {"backbone": "tiny", "recipe": "heads", "levels": "species", "trackers": ["mine"]}


def test_train_tells_its_trackers(tmp_path):
    train("demo", **tracked(tmp_path, HEARS))
    logged = [json.loads(line)["event"] for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert (tmp_path / "run" / "heard").read_text().split() == [*logged, "end"]


OPENS = """
def mine(run):
    table = open(run + "/heard", "w")
    return lambda event: print(event["event"], file=table, flush=True)
"""


def test_a_tracker_opens_a_file_of_the_run_and_none_of_a_run_that_is_refused(tmp_path):
    settings = tracked(tmp_path, OPENS)
    train("demo", **settings)
    heard = (tmp_path / "run" / "heard").read_text()
    assert heard.splitlines()[-1] == "end"
    with pytest.raises(ConfigError, match="already holds a run"):
        train("demo", **settings)
    assert (tmp_path / "run" / "heard").read_text() == heard


def test_train_is_resumed_without_its_trackers(tmp_path):
    def stop(_event):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train("demo", listener=stop, **tracked(tmp_path, HEARS))
    train(out=tmp_path / "run", resume=True, trackers=())
    assert (tmp_path / "run" / "heard").read_text().split() == ["end"]


def test_train_refuses_an_unknown_tracker_before_the_work(tmp_path):
    with pytest.raises(PluginError, match="unknown tracker 'mlfow'"):
        train("demo", out=tmp_path / "run", trackers=["mlfow"], recipe="heads")
    assert not (tmp_path / "run").exists()


def test_train_logs_from_data_to_bundle(tiny_run):
    events = [json.loads(line)["event"] for line in (tiny_run / "log.jsonl").read_text().splitlines()]
    assert events[0] == "data"
    assert events[-1] == "bundle"
