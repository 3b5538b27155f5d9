"""Requests drawn from the server's own description, right ones and wrong ones: no 5xx, and each answer as described."""

from __future__ import annotations

import pytest
import schemathesis
from helpers.color_server import make_predictor, plain, serving
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from hierpets.serve.settings import ServeSettings

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
UPLOADS = ["/v1/predict", "/v1/explain", "/v1/feedback"]
PATHS = [*UPLOADS, "/v1/model", "/healthz", "/readyz", "/metrics"]


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    own = ServeSettings(feedback=tmp_path_factory.mktemp("feedback"), allowed_host=("*",))
    with serving(make_predictor(), own, explainer=lambda photo, options: plain("siamese")) as (url, _):
        yield schemathesis.openapi.from_url(f"{url}/openapi.json")


def test_every_route_of_the_api_is_tried(api):
    assert {result.ok().path for result in api.get_all_operations()} == set(PATHS)


@pytest.mark.parametrize(
    ("path", "mode"),
    [*((path, GenerationMode.POSITIVE) for path in PATHS), *((path, GenerationMode.NEGATIVE) for path in UPLOADS)],
)
def test_server_answers_as_its_openapi_says(api, path, mode):
    (operation,) = (result.ok() for result in api.get_all_operations() if result.ok().path == path)

    @settings(max_examples=15, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case):
        case.call_and_validate(checks=CHECKS)

    ask()
