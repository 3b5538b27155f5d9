"""A bundle of synthetic pets, and one that was grown from it, with a backbone that tells such pets apart."""

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.demo_photos import draw_photos

from hierpets.growing.grow import grow
from hierpets.growing.result import GrowResult
from hierpets.training.recipe import train

OLD = {"cat/siamese": 30, "cat/tuxedo": 30, "dog/pug": 30, "dog/dalmatian": 30}
NEW = {"cat/ginger": 24, "dog/husky": 10, "rabbit/-": 12}


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Callable[[Path], Path]:
    """Trains a bundle on all photos of a folder."""

    def run(data: Path) -> Path:
        out = tmp_path_factory.mktemp("trained") / "run"
        settings = {"recipe": "heads", "backbone": "efficientnet_lite0", "val_fraction": 0.0, "folds": 3}
        return train(data, out=out, backbone_options={"size": 128}, **settings).bundle

    return run


@pytest.fixture(scope="session")
def old_photos(tmp_path_factory) -> Path:
    return draw_photos(tmp_path_factory.mktemp("old"), OLD)


@pytest.fixture(scope="session")
def new_photos(tmp_path_factory) -> Path:
    return draw_photos(tmp_path_factory.mktemp("new"), NEW, first=100)


@pytest.fixture(scope="session")
def bundle(trained, old_photos) -> Path:
    """Two breeds of cats and two of dogs."""
    return trained(old_photos)


@pytest.fixture(scope="session")
def joint_bundle(trained, tmp_path_factory) -> Path:
    """The same and the new ones, trained at once."""
    folder = draw_photos(tmp_path_factory.mktemp("all"), OLD)
    return trained(draw_photos(folder, NEW, first=100))


@pytest.fixture(scope="session")
def grown(bundle, new_photos, old_photos, tmp_path_factory) -> GrowResult:
    """Two new breeds, and a new species without breeds."""
    out = tmp_path_factory.mktemp("grown") / "bundle"
    return grow(bundle, new_photos, out=out, check=old_photos)
