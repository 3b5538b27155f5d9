from __future__ import annotations

from pathlib import Path

import pytest

from hierpets.recommend.catalog import Catalog
from hierpets.recommend.check import listed_taxonomy
from hierpets.recommend.choose import Recommender
from hierpets.recommend.loading import load_catalog
from hierpets.registry.loading import load_registry
from hierpets.taxonomy import Taxonomy


@pytest.fixture(scope="session")
def care() -> Catalog:
    """The built-in knowledge."""
    return load_catalog()


@pytest.fixture(scope="session")
def pets(care: Catalog) -> Taxonomy:
    """All breeds of the built-in knowledge: 12 cats, 25 dogs."""
    return listed_taxonomy(care)


@pytest.fixture(scope="session")
def recommender() -> Recommender:
    """The built-in knowledge and rules."""
    return Recommender.load(load_registry())


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A user's registry.yaml with no plugins, and an empty folder for care files beside it."""
    registry = tmp_path / "registry.yaml"
    registry.write_text("plugins: []\n")
    (tmp_path / "plugins" / "shampoo").mkdir(parents=True)
    return registry
