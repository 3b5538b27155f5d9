"""Finding registries, and what counts where several name the same plugin."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest
from helpers.plugins import load_plugin, write_registry

from hierpets.errors import CatalogError, ConfigError, PluginError, RegistryError
from hierpets.plugin import Case, Labels
from hierpets.registry.loading import (
    bundled_registry,
    find_registry,
    load_registry,
    validate_registry,
)

LABELS = Labels(np.array([0, 0, 1]), np.array([0, -1, 1]), ("cat", "dog"), ("birman", "pug"))
CASE = Case({"cat": 1.0}, {("cat", None): 1.0}, "species", {})


class TestFinding:
    def test_find_registry_takes_the_bundled_one_last(self, monkeypatch):
        monkeypatch.delenv("HIERPETS_REGISTRY", raising=False)
        assert find_registry() == bundled_registry()

    def test_find_registry_takes_an_empty_variable_for_none_and_refuses_an_empty_argument(self, monkeypatch):
        monkeypatch.setenv("HIERPETS_REGISTRY", "")
        assert find_registry() == bundled_registry()
        with pytest.raises(ConfigError, match="registry: expected a path, got ''"):
            find_registry("")

    def test_find_registry_prefers_the_argument_to_the_variable(self, tmp_path, monkeypatch):
        (tmp_path / "a.yaml").write_text("plugins: []\n")
        (tmp_path / "b.yaml").write_text("plugins: []\n")
        monkeypatch.setenv("HIERPETS_REGISTRY", str(tmp_path / "a.yaml"))
        assert find_registry() == tmp_path / "a.yaml"
        assert find_registry(tmp_path / "b.yaml") == tmp_path / "b.yaml"

    def test_find_registry_names_who_asked_for_a_missing_one(self, tmp_path, monkeypatch):
        with pytest.raises(RegistryError, match=r"none\.yaml: no such file$"):
            find_registry(tmp_path / "none.yaml")
        monkeypatch.setenv("HIERPETS_REGISTRY", str(tmp_path))
        with pytest.raises(RegistryError, match=r"is a folder.*HIERPETS_REGISTRY"):
            find_registry()

    def test_find_registry_takes_the_home_of_no_user_for_a_name(self):
        with pytest.raises(RegistryError, match=r"~nosuchuser/registry\.yaml: no such file"):
            find_registry("~nosuchuser/registry.yaml")

    def test_find_registry_ignores_the_current_directory(self, tmp_path, monkeypatch):
        write_registry(tmp_path, "def f(labels): ...")
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("HIERPETS_REGISTRY", raising=False)
        assert load_registry().path == bundled_registry()


class TestRegistry:
    def test_load_registry_adds_to_the_builtin_plugins(self, tmp_path):
        found = load_registry(write_registry(tmp_path, "def f(labels): ..."))
        assert {p.source for p in found.plugins} == {"builtin", "user"}
        assert found.get("sampler", "shuffle").source == "builtin"

    def test_load_registry_replaces_a_builtin_of_its_name(self, tmp_path):
        path = write_registry(tmp_path, "def f(labels): return [2.0] * len(labels)", name="shuffle")
        found = load_registry(path)
        assert found.get("sampler", "shuffle").call(LABELS).tolist() == [2, 2, 2]
        assert [(p.name, p.source) for p in found.overridden] == [("shuffle", "builtin")]
        assert [p.name for p in found.plugins].count("shuffle") == 1

    def test_load_registry_stands_alone_without_builtins(self, tmp_path):
        found = load_registry(write_registry(tmp_path, "def f(labels): ...", extra="builtins: false\n"))
        assert [p.name for p in found.plugins] == ["mine"]

    def test_registry_get_names_the_choices(self):
        with pytest.raises(PluginError, match=r"unknown sampler 'shufle' \(did you mean 'shuffle'\?\).*breed_balanced"):
            load_registry().get("sampler", "shufle")
        with pytest.raises(PluginError, match="unknown kind 'samplr'"):
            load_registry().get("samplr", "shuffle")

    def test_load_registry_raises_every_problem(self, tmp_path):
        (tmp_path / "registry.yaml").write_text("plugins:\n- {name: a, kind: x, entry: y}\n")
        with pytest.raises(RegistryError) as caught:
            load_registry(tmp_path / "registry.yaml")
        assert len(caught.value.problems) == 2

    def test_a_wrong_field_of_pydantic_is_one_line(self, tmp_path):
        code = "from hierpets.plugin import Preprocess\n\n\ndef f():\n    return Preprocess(size=32, crop=3)\n"
        with pytest.raises(PluginError, match=r"ValidationError: crop: expected at most 1, got 3") as caught:
            load_plugin(tmp_path, code, kind="backbone").call()
        assert "\n" not in str(caught.value)
        assert "http" not in str(caught.value)

    def test_load_registry_runs_no_plugin(self, tmp_path):
        load_registry(write_registry(tmp_path, "raise SystemExit('ran')\ndef f(labels): ..."))


class TestValidating:
    def test_validate_registry_reads_sources_only_unless_asked(self, tmp_path):
        path = write_registry(
            tmp_path, "from pathlib import Path\nPath(__file__).with_name('ran').touch()\ndef f(labels): ..."
        )
        assert validate_registry(path) == ()
        assert not (tmp_path / "ran").exists()
        assert validate_registry(path, imports=True) == ()
        assert (tmp_path / "ran").exists()

    def test_validate_registry_finds_a_syntax_error_without_importing(self, tmp_path):
        path = write_registry(tmp_path, "def f(labels:\n")
        (problem,) = validate_registry(path)
        assert problem.startswith(f"{path}:4: plugins[0].entry: ")

    def test_validate_registry_finds_wrong_options_beside_every_other_mistake(self, tmp_path):
        path = write_registry(
            tmp_path,
            "from __future__ import annotations\ndef f(labels, beta: float = 1): ...\ndef g(labels, x: Nowhere): ...",
            extra="    options:\n      beta: much\n"
            "  - {name: g, kind: sampler, entry: 'p.py:g'}\n"
            "  - {name: h, kind: sampler, entry: 'p.py:h'}\n",
        )
        found = [p.removeprefix(f"{path}:") for p in validate_registry(path, imports=True)]
        assert found[0].startswith("6: plugins[0].options.beta: expected a number, got 'much'")
        assert found[1].startswith("7: plugins[1].entry: ")
        assert "Nowhere" in found[1]
        assert found[2].startswith("8: plugins[2].entry: p.py has no function 'h'")
        assert len(found) == 3


def test_load_registry_imports_no_torch():
    code = "import sys; from hierpets.registry.loading import load_registry as l; [p.load() for p in l().plugins]"
    heavy = "[m for m in ('torch', 'timm', 'cv2', 'sklearn', 'albumentations', 'matplotlib') if m in sys.modules]"
    done = subprocess.run([sys.executable, "-c", f"{code}; print({heavy})"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_only_registry_importing_runs_code_found_by_path():
    package = bundled_registry().parent / "hierpets"
    words = ("spec_from_file_location", "exec_module", "SourceFileLoader", "run_path", "exec(", "eval(")
    users = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if any(word in path.read_text().replace(".eval(", "") for word in words)
    }
    assert users == {"registry/importing.py"}


@pytest.mark.parametrize("kind", [RegistryError, CatalogError])
@pytest.mark.parametrize("copied", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))], ids=["copy", "pickle"])
def test_a_copied_error_has_the_same_problems(kind, copied):
    again = copied(kind(["one: a", "two: b"]))
    assert type(again) is kind
    assert (again.problems, str(again)) == (("one: a", "two: b"), "one: a\ntwo: b")
