"""Features from a local Ray: the bundle of one machine, bit for bit, whatever is killed on the way."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from helpers.fakes import tiny_registry

from hierpets.bundle.seen import SeenPhotos
from hierpets.cache import SqliteStore
from hierpets.cli import main
from hierpets.cluster import map_on_workers
from hierpets.config import BackboneChoice, TrainConfig
from hierpets.data.content import content_key
from hierpets.data.labeled.index import read_index
from hierpets.errors import ConfigError, DataError
from hierpets.registry.loading import load_registry
from hierpets.training.features.cluster import BATCH
from hierpets.training.features.digests import PhotoDigests
from hierpets.training.features.extractor import FeatureExtractor, flip, plain
from hierpets.training.features.prepared import prepare_backbone
from hierpets.training.recipe import train

pytest.importorskip("ray")
PHOTOS = len(read_index("demo"))


@pytest.fixture(scope="module")
def registry(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("registry")
    tiny_registry(folder)
    return folder / "registry.yaml"


@pytest.fixture(scope="module")
def settings(registry) -> dict[str, object]:
    return {"recipe": "heads", "backbone": "tiny", "registry": registry}


@pytest.fixture(scope="module")
def local(settings, tmp_path_factory) -> dict[str, bytes]:
    """The bundle of one machine."""
    return contents(train("demo", out=tmp_path_factory.mktemp("local") / "run", **settings).bundle)


def ray_data():
    return pytest.importorskip("ray.data")


def contents(bundle: Path) -> dict[str, bytes]:
    return {str(p.relative_to(bundle)): p.read_bytes() for p in sorted(bundle.rglob("*")) if p.is_file()}


def stored(run: Path) -> int:
    """Features that the driver has kept."""
    with suppress(sqlite3.Error), sqlite3.connect(run / "features" / "features.sqlite") as database:
        return database.execute("SELECT count(*) FROM feature").fetchone()[0]
    return 0


def workers() -> list[int]:
    """The processes of workers that compute features, on this machine."""
    found = []
    for process in Path("/proc").iterdir():
        with suppress(OSError):
            if process.name.isdecimal() and b"ray::MapBatches" in (process / "cmdline").read_bytes():
                found.append(int(process.name))
    return found


def test_the_bundle_is_that_of_one_machine(ray_here, settings, tmp_path):
    lines = ["path,species,breed"]
    lines += [f"demo:dog/{breed}/{n},dog,{breed}" for breed in ("pug", "beagle") for n in range(8)]
    (tmp_path / "pets.csv").write_text("\n".join(lines))
    given = settings | {"data": str(tmp_path / "pets.csv"), "val_fraction": 0.0}
    near = train(out=tmp_path / "near", **given)
    far = train(out=tmp_path / "far", cluster="local", **given)
    assert contents(far.bundle) == contents(near.bundle)
    assert len(SeenPhotos.read(far.bundle)) == 16
    assert not (far.run / "features").exists(), "what the bundle replaces is cleared away"


def test_photos_are_corrupted_in_one_job_as_they_are_here(ray_here, registry, tmp_path, monkeypatch):
    monkeypatch.setenv("HIERPETS_CACHE", str(tmp_path / "cache"))
    plugins = load_registry(registry)
    config = TrainConfig(cluster="local", out=tmp_path / "run")
    backbone, _, far = prepare_backbone(BackboneChoice(name="tiny"), config, registry=plugins, device="cpu")
    paths, views = ["demo:dog/pug/1", "demo:dog/pug/1", "demo:cat/birman/2"], [plain, flip, flip]
    near = FeatureExtractor(backbone).features_of_views(paths, views, task="here")
    jobs, from_items = [], ray_data().from_items
    monkeypatch.setattr(ray_data(), "from_items", lambda *given, **more: jobs.append(1) or from_items(*given, **more))
    found = far.features_of_views(paths, views, task="there")
    np.testing.assert_allclose(found, near, rtol=1e-5, atol=1e-6)
    assert len(jobs) == 1
    with closing(PhotoDigests(tmp_path / "run" / "features")) as digests:
        assert digests.get(paths) == [content_key(path) for path in paths]
        with pytest.raises(DataError, match=r"digests\.sqlite: expected a digest of other\.jpg, found none"):
            digests.get(["other.jpg"])


def test_a_process_keeps_the_worker_of_the_last_key_for_the_next_job(ray_here):
    class Named:  # in here: workers do not find the modules of tests
        """A worker that says which it is, what it was made of, and what it is given."""

        def __init__(self, made_of: str):
            self.number, self.made_of = uuid4().hex, made_of

        def __call__(self, batch, word: str):
            rows = [{"pid": os.getpid(), "number": self.number, "made_of": self.made_of, "word": word}]
            return pytest.importorskip("pyarrow").Table.from_pylist(rows)

    def job(key: str, word: str) -> list[dict[str, object]]:
        dataset = ray_data().from_items([{"row": n} for n in range(8)], override_num_blocks=8)
        found = map_on_workers(
            dataset, Named, (f"of {key}",), key=key, device="cpu", batch_size=1, given={"word": word}
        ).take_all()
        assert {(row["made_of"], row["word"]) for row in found} == {(f"of {key}", word)}
        return found

    found = [*job("a", "once"), *job("a", "again")]
    assert len({row["number"] for row in found}) == len({row["pid"] for row in found})
    job("b", "other")
    job("a", "back")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="system: reads /proc")
def test_a_killed_worker_changes_no_bit(ray_here, settings, local, tmp_path):
    killed: list[int] = []

    def kill_one(task: str, done: int, total: int | None) -> None:
        if done and not killed:
            killed.extend(workers()[:1])
            for pid in killed:
                os.kill(pid, signal.SIGKILL)

    result = train("demo", out=tmp_path / "run", cluster="local", progress=kill_one, **settings)
    assert killed, "a worker was killed while it worked"
    assert contents(result.bundle) == local


@pytest.mark.slow
def test_a_full_disk_keeps_what_is_finished(ray_here, settings, local, tmp_path, monkeypatch):
    whole, room = SqliteStore._store, 3 * BATCH

    def fill(self, statement, rows):
        if stored(tmp_path / "run") >= room:
            raise sqlite3.OperationalError("database or disk is full")
        whole(self, statement, rows)

    monkeypatch.setattr(SqliteStore, "_store", fill)
    with pytest.raises(DataError) as caught:
        train("demo", out=tmp_path / "run", cluster="local", **settings)
    said = str(caught.value)
    assert said.startswith(f"{tmp_path / 'run' / 'features'}{os.sep}")
    assert ".sqlite: cannot be written: database or disk is full; " in said
    assert said.endswith("then continue with resume")
    assert stored(tmp_path / "run") >= room
    monkeypatch.undo()
    first: list[int] = []
    result = train(
        out=tmp_path / "run", resume=True, cluster="local", progress=lambda _task, done, _total: first.append(done)
    )
    assert first[0] >= room, "nothing is computed again"
    assert contents(result.bundle) == local


def test_a_photo_that_cannot_be_read_is_named_in_one_line(ray_here, registry, tmp_path, capsys):
    lines = ["path,species,breed", *(f"demo:dog/pug/{n},dog,pug" for n in range(4)), "broken.jpg,cat,birman"]
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    (tmp_path / "pets.csv").write_text("\n".join(lines))
    given = ["--data", str(tmp_path / "pets.csv"), "--registry", str(registry), "--out", str(tmp_path / "run")]
    with pytest.raises(SystemExit) as caught:
        main(["train", "--cluster", "local", "--recipe", "heads", "--backbone", "tiny", "--strict", *given])
    err = capsys.readouterr().err
    assert caught.value.code == 1
    (line,) = [line for line in err.splitlines() if "broken.jpg" in line]
    assert line.startswith(f"error: {tmp_path / 'broken.jpg'}: ")
    assert "1 of 5 photos cannot be read; remove them, or train without --strict to skip them" in err


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="system: kills with SIGKILL")
def test_a_killed_driver_continues_where_it_was(settings, local, tmp_path):
    run = tmp_path / "run"
    given = ["--recipe", "heads", "--backbone", "tiny", "--registry", str(settings["registry"])]
    command = [sys.executable, "-m", "hierpets", "train", "--data", "demo", "--cluster", "local", *given]
    driver = subprocess.Popen([*command, "--out", str(run)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: stored(run) >= BATCH or driver.poll() is not None)
    driver.kill()
    driver.wait()
    kept = stored(run)
    assert kept >= BATCH
    done: list[int] = []
    result = train(out=run, resume=True, cluster="local", progress=lambda _task, n, _total: done.append(n))
    assert done[0] >= min(kept, PHOTOS // 2)
    assert contents(result.bundle) == local


def wait_until(holds: Callable[[], bool], seconds: float = 200) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_without_ray_the_extra_is_named(settings, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"^--cluster needs ray, .* pip install 'hierpets\[cluster\]'$"):
        train("demo", out=tmp_path / "run", cluster="local", **settings)


def test_the_cluster_is_no_part_of_what_must_stay_the_same():
    from hierpets.training.finetuning.checkpoint import describe_settings

    assert describe_settings(TrainConfig(cluster="local")) == describe_settings(TrainConfig())
