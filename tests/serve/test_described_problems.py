"""Each problem that a route can answer with is in the server's own description, and no other."""

from __future__ import annotations

import anyio
import pytest
from helpers.color_server import LocalClient, make_predictor, plain

from hierpets.errors import PluginError
from hierpets.serve.app import create_app
from hierpets.serve.limits import hosts, uploads
from hierpets.serve.schemas import ProblemDetails
from hierpets.serve.settings import ServeSettings

JPEG = {"content-type": "image/jpeg"}
PHOTO = {"content": plain("siamese"), "headers": JPEG}
FEEDBACK = {
    "files": {"photo": ("cat.png", plain("siamese"))},
    "data": {"species": "cat", "breed": "siamese", "consent": "yes"},
}
UPLOADS = ["/v1/predict", "/v1/explain", "/v1/feedback"]
ROUTES = dict.fromkeys(UPLOADS, "post") | dict.fromkeys(["/v1/model", "/healthz", "/readyz", "/metrics"], "get")


def small(monkeypatch):
    return ServeSettings(max_photo_mb=1e-5)


def slow(monkeypatch):
    async def next_chunk(self):
        await anyio.sleep(5)

    monkeypatch.setattr(uploads.Body, "_next", next_chunk)
    return ServeSettings(upload_seconds=0.01)


def full_of_uploads(monkeypatch):
    monkeypatch.setattr(uploads.Account, "take", lambda account, count: False)
    return ServeSettings()


def failing(monkeypatch):
    def fail(host, allowed):
        raise RuntimeError("a bug")

    monkeypatch.setattr(hosts, "is_allowed", fail)
    return ServeSettings()


def without_room(monkeypatch):
    return ServeSettings(feedback_mb=1e-5)


def slow_to_explain(monkeypatch):
    def explain(photo, options):
        raise TimeoutError("no explanation within 60 s")

    monkeypatch.setitem(globals(), "no_map", explain)
    return ServeSettings()


def usual(monkeypatch):
    return ServeSettings()


EVERYWHERE = [(421, usual, {"headers": {"host": "elsewhere.example"}}), (500, failing, {})]
OF_AN_UPLOAD = [
    (400, usual, {"content": b"x", "headers": {"content-type": "multipart/form-data; boundary=b"}}),
    (408, slow, PHOTO),
    (413, small, PHOTO),
    (415, usual, {}),
    (422, usual, {"files": {"x": (None, "no file")}}),
    (429, full_of_uploads, PHOTO),
]
OF_ONE_ROUTE = [
    ("/v1/predict", 503, usual, PHOTO),
    ("/v1/explain", 501, usual, PHOTO),
    ("/v1/explain", 503, slow_to_explain, PHOTO),
    ("/v1/feedback", 403, usual, {**FEEDBACK, "headers": {"origin": "https://elsewhere.example"}}),
    ("/v1/feedback", 507, without_room, FEEDBACK),
    ("/readyz", 503, usual, {}),
]
CASES = [
    *((path, *case) for path in ROUTES for case in EVERYWHERE),
    *((path, *case) for path in UPLOADS for case in OF_AN_UPLOAD),
    *OF_ONE_ROUTE,
]


def no_map(photo, options):
    raise PluginError("this backbone has no map")


@pytest.fixture
def make_app(tmp_path):
    def make(settings):
        own = settings.model_copy(update={"feedback": tmp_path / "feedback"})
        return create_app(make_predictor(), own, explainer=no_map)

    return make


def described(app, path):
    return app.openapi()["paths"][path][ROUTES[path]]["responses"]


@pytest.mark.parametrize(("path", "status", "condition", "request_"), CASES)
def test_problem_of_a_route_is_described(make_app, monkeypatch, path, status, condition, request_):
    app = make_app(condition(monkeypatch))
    if status == 503:
        with LocalClient(app):
            pass  # its model has stopped afterwards
    answer = LocalClient(app).request(ROUTES[path], path, **request_)
    assert answer.status_code == status, answer.text
    ProblemDetails.model_validate(answer.json())
    content = described(app, path)[str(status)]["content"]
    assert content == {"application/problem+json": {"schema": ProblemDetails.model_json_schema()}}


@pytest.mark.parametrize("path", ROUTES)
def test_no_problem_is_described_that_a_route_never_has(make_app, path):
    problems = {status for status in map(int, described(make_app(ServeSettings()), path)) if status >= 400}
    assert problems == {case[1] for case in CASES if case[0] == path}
