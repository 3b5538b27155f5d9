"""Requests for a name that someone else pointed at this machine are refused."""

import pytest
from helpers.color_server import LocalClient

from hierpets.errors import ConfigError
from hierpets.serve.app import create_app
from hierpets.serve.limits.hosts import is_allowed
from hierpets.serve.settings import ServeSettings, make_settings


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("LOCALHOST:8000", True),
        ("127.0.0.1:8000", True),
        ("[::1]:8000", True),
        ("192.168.1.7", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("localhost:80@evil.example", False),
        ("evil.example:8000", False),
        ("", False),
    ],
)
def test_is_allowed_takes_addresses_and_the_names_given(host, expected):
    assert is_allowed(host, {"localhost"}) == expected
    assert is_allowed(host, {"*"})


@pytest.mark.parametrize(
    "name", ["https://pets.example", "pets.example:443", "*.pets.example", "pets.example/", "[::1]", ""]
)
def test_allowed_host_that_no_request_can_ask_for_is_refused(name):
    with pytest.raises(ConfigError, match=r"serve: allowed_host: expected a name without scheme and port.*got "):
        make_settings({"allowed_host": (name,)})


@pytest.mark.parametrize("name", ["*", "pets.example", "my_nas", "10.0.0.1", "::1", "fe80::1%eth0", "bücher.example"])
def test_allowed_host_takes_names_and_addresses_to_listen_on(name):
    assert make_settings({"allowed_host": (name,)}).allowed_host == (name,)


@pytest.mark.parametrize("path", ["/", "/v1/model", "/metrics", "/healthz", "/static/app.js"])
def test_host_guard_refuses_every_route_to_another_name(client, path):
    response = client.get(path, headers={"host": "evil.example"})
    assert response.status_code == 421
    assert response.json()["type"] == "/docs#unknown-host"
    assert response.headers["x-content-type-options"] == "nosniff"


def test_host_guard_answers_to_a_name_that_is_allowed(predictor):
    with LocalClient(create_app(predictor, ServeSettings(allowed_host=("Pets.example",)))) as client:
        assert client.get("/healthz", headers={"host": "pets.example:8000"}).status_code == 200
        assert client.get("/healthz").status_code == 421
