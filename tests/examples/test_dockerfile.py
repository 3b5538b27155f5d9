"""No engine runs here: the Dockerfile and compose.yaml are read by parsers and linters instead."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from dockerfile_parse import DockerfileParser
from packaging.markers import default_environment
from packaging.requirements import Requirement

from hierpets.cli.deploy.serve import command

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "examples" / "Dockerfile"
COMPOSE = ROOT / "examples" / "compose.yaml"
KNOWN = {"CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "RUN", "STOPSIGNAL", "USER", "WORKDIR"}
PINNED = r"[a-z/]+:[\w.-]+@sha256:[0-9a-f]{64}"


@pytest.fixture(scope="module")
def instructions():
    parsed = DockerfileParser(path=str(DOCKERFILE)).structure
    return [(step["instruction"], step["value"]) for step in parsed if step["instruction"] != "COMMENT"]


@pytest.fixture(scope="module")
def services():
    return yaml.safe_load(COMPOSE.read_text())["services"]


def values(instructions, name):
    return [value for instruction, value in instructions if instruction == name]


def tool(name):
    found = shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))
    return found or pytest.skip(f"no {name} on this machine (pip install -e '.[dev]')")


def test_every_line_is_an_instruction(instructions):
    assert {instruction for instruction, _ in instructions} <= KNOWN
    assert instructions[0][0] == "FROM"


def test_images_are_pinned_by_digest_and_the_last_one_runs_as_nobody_in_particular(instructions):
    images = values(instructions, "FROM")
    assert all(re.fullmatch(PINNED + r"( AS \w+)?", image) for image in images)
    assert len({image.removesuffix(" AS build") for image in images}) == 1  # what was built fits what runs it
    assert int(*values(instructions, "USER")) > 0  # a number, so that a cluster can see that it is not root
    names = [instruction for instruction, _ in instructions]
    assert names.index("USER") < names.index("ENTRYPOINT")


def test_what_is_copied_exists_and_is_not_ignored(instructions):
    ignored = (ROOT / "examples" / "Dockerfile.dockerignore").read_text().splitlines()
    for value in values(instructions, "COPY"):
        *sources, _ = [word for word in value.split() if not word.startswith("--")]
        if "--from=" not in value:
            for source in sources:
                assert (ROOT / source).exists(), source
                assert f"!{source}" in ignored


def test_every_package_is_locked_with_hashes_and_at_a_version_that_fits(instructions):
    lock = (ROOT / "examples" / "requirements.lock").read_text()
    hashed = r"^([\w.-]+)==([\w.]+) \\\n    --hash=sha256:[0-9a-f]{64}(?: \\)?\n"
    pinned = dict(re.findall(hashed, lock, re.MULTILINE))
    assert len(pinned) == len(re.findall(r"^[\w.-]+==", lock, re.MULTILINE)) > 20
    assert "torch" not in pinned
    assert "--require-hashes" in " ".join(values(instructions, "RUN"))
    environment = default_environment() | {"python_version": "3.13", "python_full_version": "3.13.0"}
    lines = (ROOT / "requirements" / "predict.txt").read_text().splitlines()
    needs = [Requirement(line) for line in [*lines, "hatchling>=1.26"] if line and not line.startswith("#")]
    used = [need for need in needs if need.marker is None or need.marker.evaluate(environment)]
    assert len(used) > 15
    for need in used:
        assert need.specifier.contains(pinned[need.name.lower()]), need


def test_it_starts_the_server_with_options_that_the_command_has(instructions):
    (entry,), (default,) = values(instructions, "ENTRYPOINT"), values(instructions, "CMD")
    assert json.loads(entry) == ["hierpets", "serve"]  # no shell in between that would swallow SIGTERM
    context = command.make_context("serve", json.loads(default))
    assert context.params["host"] == "0.0.0.0"
    assert values(instructions, "EXPOSE") == [str(context.params["port"])]


def test_the_health_check_asks_a_route_that_there_is(instructions):
    (check,) = values(instructions, "HEALTHCHECK")
    code = json.loads(check.partition("CMD")[2])[2]
    compile(code, "healthcheck", "exec")
    assert ":8000/readyz" in code


def test_hadolint_finds_nothing():
    # DL3013 wants every version pinned here; the lock does that.
    done = subprocess.run(
        [tool("hadolint"), "--ignore", "DL3013", str(DOCKERFILE)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_compose_follows_the_compose_specification():
    done = subprocess.run(
        [tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(COMPOSE)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_every_service_is_locked_down(services):
    assert set(services) == {"caddy", "hierpets"}
    for service in services.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert re.fullmatch(PINNED, services["caddy"]["image"])


def test_only_the_proxy_is_reachable(services):
    networks = yaml.safe_load(COMPOSE.read_text())["networks"]
    assert "ports" not in services["hierpets"]
    assert [networks[name]["internal"] for name in services["hierpets"]["networks"]] == [True]
    context = command.make_context("serve", list(services["hierpets"]["command"]))
    assert context.params["allowed_host"] == (services["caddy"]["environment"]["HIERPETS_DOMAIN"],)


def test_the_proxy_passes_on_what_the_server_would_take(services):
    from hierpets.serve.settings import ServeSettings

    caddy = (ROOT / "examples" / "Caddyfile").read_text()
    assert f"reverse_proxy hierpets:{command.make_context('serve', []).params['port']}" in caddy
    assert int(re.search(r"max_size (\d+)MB", caddy)[1]) > ServeSettings().max_request_mb * 2**20 / 1e6
    assert int(re.search(r"response_header_timeout (\d+)s", caddy)[1]) > ServeSettings().predict_seconds
    for source in [volume.split(":")[0] for volume in services["caddy"]["volumes"] if volume.startswith(".")]:
        assert (COMPOSE.parent / source).is_file()
