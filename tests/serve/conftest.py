"""The app around a model that answers by color."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from helpers.color_server import LocalClient, encode, make_predictor
from starlette.testclient import TestClient

from hierpets.inference.predictor import Predictor
from hierpets.serve.app import create_app
from hierpets.serve.settings import ServeSettings


@pytest.fixture
def predictor() -> Predictor:
    return make_predictor()


@pytest.fixture
def client(predictor, tmp_path) -> Iterator[TestClient]:
    """The app in this process, with feedback and a stand-in for the explainer."""
    app = create_app(
        predictor, ServeSettings(feedback=tmp_path / "feedback"), explainer=lambda photo, options: encode(photo, ".png")
    )
    with LocalClient(app) as client:
        yield client
