"""Shared fixtures: where the real photos lie, and a skip that says why when they do not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# A deadline measures the machine, not the code: a busy one would fail a property that holds.
settings.register_profile("hierpets", deadline=None)
settings.load_profile("hierpets")

DATA = Path(os.environ.get("HIERPETS_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if DATA.is_dir():
        return
    skip = pytest.mark.skip(reason=f"real photos not found at {DATA}; set HIERPETS_DATA")
    for item in items:
        if item.get_closest_marker("data"):
            item.add_marker(skip)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Features and graphs that tests compute stay out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HIERPETS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real photos; use it only in tests marked ``data``."""
    return DATA


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder: a tiny backbone trained on the synthetic images, with its registry.yaml beside it."""
    from helpers.fakes import tiny_registry

    from hierpets.training.recipe import train

    folder = tmp_path_factory.mktemp("tiny")
    tiny_registry(folder)
    train(recipe="heads", backbone="tiny", registry=folder / "registry.yaml", out=folder / "run")
    return folder / "run"
