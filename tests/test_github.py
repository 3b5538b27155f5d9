"""The files that GitHub and its users read: workflows, templates, citation; each checked by a tool made for it."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import yaml

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
PINNED = re.compile(r"uses: (\./\.github/workflows/\w+\.yml\b.*|[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+)$")


def tool(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command of this environment, in the project."""
    command = Path(sysconfig.get_path("scripts")) / name
    return subprocess.run(
        [str(command), *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, check=False, encoding="utf-8"
    )


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_workflows_are_safe_says_zizmor():
    done = tool("zizmor", "--offline", "--no-progress", "--color", "never", "--persona", "pedantic", ".github")
    assert done.returncode == 0, done.stdout + done.stderr


def test_zizmor_finds_what_is_dangerous(tmp_path):
    right = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    wrong = tmp_path / "ci.yml"
    wrong.write_text(right.replace("pull_request:", "pull_request_target:"), encoding="utf-8")
    assert "dangerous-triggers" in tool("zizmor", "--offline", "--no-progress", "--color", "never", wrong).stdout


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_and_little_is_permitted(workflow):
    text = workflow.read_text(encoding="utf-8")
    uses = [line.strip().removeprefix("- ") for line in text.splitlines() if "uses:" in line]
    assert uses
    assert [line for line in uses if not PINNED.match(line)] == []
    content = yaml.safe_load(text)
    assert content["permissions"] == {"contents": "read"}
    if "pull_request" in (content.get("on") or content[True]):  # YAML 1.1 takes the key `on` for true
        assert "secrets." not in text


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("vendor.citation-file-format", ["CITATION.cff"]),
        ("vendor.dependabot", [".github/dependabot.yml"]),
        ("vendor.github-workflows", WORKFLOWS),
        ("vendor.github-issue-config", [".github/ISSUE_TEMPLATE/config.yml"]),
        ("vendor.github-issue-forms", [form for form in FORMS if form.stem != "config"]),
    ],
)
def test_file_fits_its_schema(schema, files):
    done = tool("check-jsonschema", "--builtin-schema", schema, "--default-filetype", "yaml", *files)
    assert done.returncode == 0, done.stdout + done.stderr


def test_citation_names_the_last_release():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    (version, date), *_ = re.findall(r"^## \[(\d[\d.]*)\] - (\S+)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)
    assert (citation["version"], str(citation["date-released"])) == (version, date)
    assert citation["repository-code"] == project()["urls"]["Repository"]


def test_python_versions_of_the_tests_are_those_of_the_metadata():
    ci = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    tested = ci["jobs"]["tests"]["strategy"]["matrix"]["python"]
    assert tested == re.findall(r"Python :: (3\.\d+)", "\n".join(project()["classifiers"]))
    assert project()["requires-python"] == f">={tested[0]}"


def test_commands_of_the_pre_commit_hooks_are_those_of_make_test():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    (local,) = (repo for repo in hooks["repos"] if repo["repo"] == "local")
    for hook in local["hooks"]:
        assert hook["entry"].removeprefix(".venv/bin/").replace(" --force-exclude", "") in makefile


def test_help_says_where_the_documentation_is():
    assert project()["urls"]["Documentation"] in tool("hierpets", "--help").stdout
