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
def catalog() -> Catalog:
    """The built-in catalog."""
    return load_catalog()


@pytest.fixture(scope="session")
def pets(catalog: Catalog) -> Taxonomy:
    """All breeds of the built-in catalog: 13 cats, 122 dogs."""
    return listed_taxonomy(catalog)


@pytest.fixture(scope="session")
def recommender() -> Recommender:
    """The built-in catalog and rules."""
    return Recommender.load(load_registry())


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A user's registry.yaml with no plugins, and an empty folder for files of a catalog beside it."""
    registry = tmp_path / "registry.yaml"
    registry.write_text("plugins: []\n")
    (tmp_path / "plugins" / "shampoo").mkdir(parents=True)
    return registry
