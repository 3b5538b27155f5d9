"""Shared fixtures; what is skipped, and why, is listed at the end of a run."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.browser import ADVICE, find_chromium, started_chromium
from hypothesis import settings

from hierpets.export.web.runtime import TARBALL
from hierpets.files import cache_dir

# A deadline measures the machine, not the code: a busy one would fail a property that holds.
settings.register_profile("hierpets", deadline=None)
settings.load_profile("hierpets")

DATA = Path(os.environ.get("HIERPETS_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
COMPLETE = "HIERPETS_COMPLETE"
"""With this variable a run fails when a test is skipped for anything but what a machine may lack."""
WEB_RUNTIME = cache_dir() / TARBALL  # the user's own, looked for before tests get a cache of theirs
MAY_LACK = ("gpu:", "network:", "data:", "hardware:", "system:")
CHROMIUM = pytest.StashKey[str | None]()
TOGETHER = {
    "inference/output/test_cluster.py": "ray",
    "training/features/test_cluster.py": "ray",
    "growing/": "growing",
}
"""Files that share what takes seconds to make."""
FIRST = ("ray", "growing", "serve/test_page.py", "export/web/test_page.py", "training/test_recipe.py")
"""What takes longest begins first, so that no worker waits for it at the end."""


def pytest_configure(config: pytest.Config) -> None:
    _take_one_core(config)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # so a shell starts what it runs in the background
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.stash[CHROMIUM] = find_chromium()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    missing = {
        "data": None if DATA.is_dir() else f"data: real photos not found at {DATA}; set HIERPETS_DATA",
        "browser": None if config.stash[CHROMIUM] else f"no Chromium found; {ADVICE}",
        "gpu": None if _has_gpu() else "gpu: torch finds no CUDA device",
        "network": None if os.environ.get("HIERPETS_NETWORK") else "network: set HIERPETS_NETWORK=1 to allow it",
    }
    for item in items:
        for marker, reason in missing.items():
            if reason and item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))
    places = {group: place for place, group in enumerate(FIRST)}
    items.sort(key=lambda item: places.get(_group(item.nodeid), len(FIRST)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Tests of a group run in one worker, one after the other: they share what their fixtures made."""
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _group(nodeid)

    config.option.loadscopereorder = False  # the order is that of FIRST
    return ByGroup(config, log)


def _take_one_core(config: pytest.Config) -> None:
    """Keep each of as many workers as there are cores on a core of its own, with all that it starts.

    Else each takes all cores for what computes on several threads, which then wait for those of the others: a tenth
    of the time.
    """
    worker: Any = getattr(config, "workerinput", None)
    if worker is None or not hasattr(os, "sched_setaffinity"):
        return
    own = sorted(os.sched_getaffinity(0))
    if worker["workercount"] == len(own):
        number = int(worker["workerid"].removeprefix("gw"))  # counts on where a worker has crashed and is replaced
        os.sched_setaffinity(0, {own[number % len(own)]})


def _group(nodeid: str) -> str:
    """The file of a test, or what it shares with other files."""
    file = nodeid.partition("::")[0].removeprefix("tests/")
    return next((group for start, group in TOGETHER.items() if file.startswith(start)), file)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    browser = sum(ADVICE in reason for reason in _skipped(terminalreporter))
    if browser:
        terminalreporter.write_line(f"{browser} tests of pages were skipped: {ADVICE}", yellow=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter: Any = session.config.pluginmanager.get_plugin("terminalreporter")
    if COMPLETE not in os.environ or reporter is None or hasattr(session.config, "workerinput"):
        return
    wrong = [reason for reason in _skipped(reporter) if not reason.startswith(MAY_LACK)]
    if wrong:
        reporter.write_line(f"{COMPLETE} is set, and tests were skipped: {'; '.join(sorted(set(wrong)))}", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _skipped(reporter: Any) -> list[str]:
    """Why each test was skipped."""
    return [str(report.longrepr[-1]).removeprefix("Skipped: ") for report in reporter.stats.get("skipped", [])]


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Features and graphs that tests compute stay out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HIERPETS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _draw_once() -> Iterator[None]:
    """A synthetic pet takes ten milliseconds to draw, and dozens of trainings look at the same ones."""
    from hierpets.data import demo

    drawn = lru_cache(maxsize=1000)(demo.render)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "render", lambda uri: drawn(uri).copy())
        yield


@pytest.fixture(scope="session", autouse=True)
def _compile_detector_once() -> Iterator[None]:
    """That takes a tenth of a second for each predictor that is not sure, which hundreds of tests load."""
    from hierpets.inference.detector.network import Detector

    compiling = Detector._requests.func
    compiled = lru_cache(lambda workers, threads: compiling(Detector(workers=workers, threads=threads)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Detector, "_requests", property(lambda self: compiled(self._workers, self._threads)))
        yield


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real photos; use it only in tests marked ``data``."""
    return DATA


@pytest.fixture(scope="session")
def chromium_path(pytestconfig: pytest.Config) -> str:
    executable = pytestconfig.stash[CHROMIUM]
    assert executable is not None
    return executable


@pytest.fixture(scope="session")
def chromium(chromium_path: str) -> Iterator[Any]:
    """A running Chromium; use it only in tests marked ``browser``."""
    with started_chromium(chromium_path) as browser:
        yield browser


@pytest.fixture(scope="session")
def onnxruntime_web() -> Path:
    """The tarball of ONNX Runtime Web, which an exported page brings."""
    if not WEB_RUNTIME.is_file():
        pytest.skip(f"no {TARBALL} in the cache; `make runtime` downloads it")
    return WEB_RUNTIME


@pytest.fixture(scope="session")
def ray_here() -> Iterator[None]:
    """Ray on this machine, with two cores, quiet."""
    ray = pytest.importorskip("ray")
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder: a tiny backbone trained on the synthetic pets, with its registry.yaml beside it."""
    from helpers.fakes import tiny_registry

    from hierpets.training.recipe import train

    folder = tmp_path_factory.mktemp("tiny")
    tiny_registry(folder)
    train(recipe="heads", backbone="tiny", registry=folder / "registry.yaml", out=folder / "run")
    return folder / "run"


@pytest.fixture(scope="session")
def registry(tiny_run: Path) -> Any:
    """That of the tiny run."""
    from hierpets.registry.loading import load_registry

    return load_registry(tiny_run.parent / "registry.yaml")


@pytest.fixture(scope="session")
def cascade(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A bundle of two tiny networks. Nobody changes it: whoever wants it otherwise copies it."""
    from helpers.cascades import make_cascade

    return make_cascade(tmp_path_factory.mktemp("cascade"))


@pytest.fixture(scope="session")
def pixels() -> np.ndarray:
    """uint8 [3, 32, 32, 3]: what the tiny backbone takes."""
    return np.random.default_rng(0).integers(0, 256, size=(3, 32, 32, 3), dtype=np.uint8)


@pytest.fixture
def no_figures(monkeypatch) -> dict[str, tuple[()]]:
    """Reports without figures, which take most of the time and have tests of their own; their empty sections."""
    from hierpets.evaluation.report import writing

    sections: dict[str, tuple[()]] = dict.fromkeys(("confusions", "breeds", "trust", "stress", "curves"), ())
    monkeypatch.setattr(writing, "figure_sections", lambda metrics: sections)
    return sections
