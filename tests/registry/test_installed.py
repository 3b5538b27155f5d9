"""Plugins of installed packages: listed by their entry points, imported when used, and never in anybody's way."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.distributions import RAN, install, install_editable
from helpers.shampoo import mass

from hierpets.cli import cli
from hierpets.errors import PluginError
from hierpets.plugin import Labels
from hierpets.recommend.check import listed_taxonomy
from hierpets.recommend.choose import Recommender
from hierpets.registry.installed import read_installed
from hierpets.registry.loading import load_registry

LABELS = Labels(np.array([0, 0, 1]), np.array([0, -1, 1]), ("cat", "dog"), ("birman", "pug"))
SAMPLERS = "plugins:\n  - name: fair\n    kind: sampler\n    entry: samplers.py:fair\n    options: {weight: 3}\n"
CODE = RAN + "def fair(labels, weight: float = 1, *, seed: int = 0): return [weight] * len(labels)\n"
PACKAGE = {"registry.yaml": SAMPLERS, "samplers.py": CODE}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of installed packages."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delenv("HIERPETS_REGISTRY", raising=False)
    monkeypatch.chdir(tmp_path)
    return folder


def plugins_list() -> list[dict[str, object]]:
    result = CliRunner().invoke(cli, ["plugins", "list", "--json"])
    return json.loads(result.stdout)


def test_read_installed_lists_a_package_with_its_distribution(site):
    package = install(site, "alpaca-care", PACKAGE)
    (plugin,) = read_installed().plugins
    assert (plugin.kind, plugin.name, plugin.source) == ("sampler", "fair", "alpaca-care 1.2")
    assert plugin.file == package / "samplers.py"


def test_load_registry_uses_an_installed_plugin(site):
    install(site, "alpaca-care", PACKAGE)
    plugin = load_registry().get("sampler", "fair")
    assert plugin.call(LABELS).tolist() == [3, 3, 3]
    assert plugin.call(LABELS, weight=2).tolist() == [2, 2, 2]


def test_plugins_list_imports_nothing_of_an_installed_package(site):
    package = install(site, "alpaca-care", PACKAGE)
    row = next(row for row in plugins_list() if row["name"] == "fair")
    assert (row["source"], row["status"], row["accepts"]) == ("alpaca-care 1.2", "ok", ["weight", "seed"])
    assert list(package.glob("ran")) == []
    assert "alpaca_care" not in sys.modules
    load_registry().get("sampler", "fair").call(LABELS)
    assert (package / "ran").exists(), "the mark works"
    assert "alpaca_care" not in sys.modules, "the file of the plugin is imported, not the package around it"


def test_read_installed_finds_a_package_inside_a_package_without_importing_either(site):
    install(
        site, "alpaca-care", {f"pets/{name}": text for name, text in PACKAGE.items()}, entry_point="alpaca_care.pets"
    )
    assert [plugin.name for plugin in read_installed().plugins] == ["fair"]
    assert "alpaca_care" not in sys.modules


def test_read_installed_finds_an_editable_package(site, tmp_path, monkeypatch):
    source = tmp_path / "src"
    package = install_editable(site, source, "alpaca-care", PACKAGE)
    monkeypatch.syspath_prepend(source)
    (plugin,) = read_installed().plugins
    assert plugin.file == package / "samplers.py"
    assert not (package / "ran").exists()


def test_read_installed_prefers_the_files_of_the_distribution(site, tmp_path, monkeypatch):
    package = install(site, "alpaca-care", PACKAGE)
    install_editable(tmp_path / "elsewhere", tmp_path / "here", "alpaca-care", PACKAGE)
    monkeypatch.syspath_prepend(tmp_path / "here")
    assert [plugin.file for plugin in read_installed().plugins] == [package / "samplers.py"]


def test_load_registry_prefers_user_to_installed_to_builtin(site, tmp_path):
    shuffle = SAMPLERS.replace("name: fair", "name: shuffle")
    install(site, "alpaca-care", {**PACKAGE, "registry.yaml": shuffle})
    found = load_registry()
    assert found.get("sampler", "shuffle").source == "alpaca-care 1.2"
    assert [(plugin.name, plugin.source) for plugin in found.overridden] == [("shuffle", "builtin")]

    (tmp_path / "samplers.py").write_text("def fair(labels, weight: float = 1): ...")
    (tmp_path / "registry.yaml").write_text(shuffle)
    found = load_registry(tmp_path / "registry.yaml")
    assert found.get("sampler", "shuffle").source == "user"
    assert [plugin.source for plugin in found.overridden] == ["builtin", "alpaca-care 1.2"]


def test_load_registry_without_builtins_has_no_installed_plugins(site, tmp_path):
    install(site, "alpaca-care", PACKAGE)
    (tmp_path / "registry.yaml").write_text("builtins: false\nplugins: []\n")
    assert load_registry(tmp_path / "registry.yaml").plugins == ()


def test_load_registry_warns_of_a_plugin_in_two_packages(site, caplog):
    install(site, "alpaca-care", PACKAGE)
    install(site, "zebra-care", PACKAGE)
    with caplog.at_level(logging.WARNING):
        found = load_registry()
    assert found.get("sampler", "fair").source == "zebra-care 1.2"
    assert [plugin.source for plugin in found.overridden] == ["alpaca-care 1.2"]
    (record,) = caplog.records
    assert record.getMessage() == (
        "sampler 'fair' is in alpaca-care 1.2 and in zebra-care 1.2; "
        "the latter is used: uninstall one, or list the one to use in a registry.yaml"
    )


@pytest.mark.parametrize(
    ("files", "entry_point", "problem"),
    [
        ({"registry.yaml": "plugins:\n- {name: a, kind: samplr, entry: 'a.py:f', x: 1}\n"}, None, r"(and 2 more)"),
        ({"registry.yaml": "plugins: [\n"}, None, "registry.yaml:2: not valid YAML"),
        ({}, None, "no registry.yaml in the package 'broken_care'"),
        ({}, "no_such_package", "no registry.yaml in the package 'no_such_package'"),
        ({}, "broken_care:registry", "must be the name of a package, got 'broken_care:registry'"),
    ],
)
def test_load_registry_goes_on_without_a_broken_package(site, caplog, files, entry_point, problem):
    install(site, "broken-care", files, entry_point=entry_point)
    install(site, "alpaca-care", PACKAGE)
    with caplog.at_level(logging.WARNING):
        found = load_registry()
    assert found.get("sampler", "fair").source == "alpaca-care 1.2"
    assert found.get("sampler", "shuffle").source == "builtin"
    (package,) = found.broken
    assert package.source == "broken-care 1.2"
    assert problem in package.problem
    assert [record.getMessage() for record in caplog.records] == [
        f"broken-care 1.2: its plugins are left out: {package.problem}"
    ]


def test_plugins_list_shows_a_broken_package_as_a_row(site):
    install(site, "broken-care", {})
    row = next(row for row in plugins_list() if row["source"] == "broken-care 1.2")
    assert (row["kind"], row["name"], row["status"]) == (None, None, "broken")
    table = CliRunner().invoke(cli, ["plugins", "list"])
    assert table.exit_code == 0
    assert "broken: no registry.yaml in the package 'broken_care'" in " ".join(table.stdout.split())


def test_plugins_list_shows_a_file_with_a_syntax_error_as_broken(site):
    install(site, "broken-care", {**PACKAGE, "samplers.py": "def fair(:\n"})
    row = next(row for row in plugins_list() if row["name"] == "fair")
    assert row["status"] == "broken"
    assert "samplers.py): line 1" in str(row["error"])


def test_an_installed_plugin_that_fails_is_an_error_of_its_user_alone(site):
    install(
        site, "alpaca-care", {**PACKAGE, "samplers.py": "import no_such_package\ndef fair(labels, weight=1): ...\n"}
    )
    with pytest.raises(PluginError, match=r"samplers\.py:1\): ModuleNotFoundError"):
        load_registry().get("sampler", "fair").call(LABELS)


def test_recommender_uses_the_rules_of_installed_packages(site):
    advice = "Advice('flea_guard', 'Fleas are about.', score=2.0)"
    rule = f"from hierpets.plugin import Advice\ndef fleas(case): yield {advice}\n"
    listed = "plugins:\n  - {name: fleas, kind: shampoo_rule, entry: 'rules.py:fleas'}\n"
    install(site, "alpaca-care", {"registry.yaml": listed, "rules.py": rule})
    recommender = Recommender.load(load_registry())
    pets = listed_taxonomy(recommender.catalog)
    found = recommender.recommend(mass(pets, beagle=1.0), pets, "breed")
    assert found.product is not None
    assert (found.product.id, found.rule) == ("flea_guard", "fleas")
    assert CliRunner().invoke(cli, ["catalog", "check"], standalone_mode=False).return_value == 0


def test_only_what_a_registry_lists_counts(site):
    install(
        site, "alpaca-care", {**PACKAGE, "registry.yaml": "plugins: []\n", "plugins/shampoo/products.yaml": "brand: x"}
    )
    found = load_registry()
    assert {plugin.source for plugin in found.plugins} == {"builtin"}
    assert Recommender.load(found).catalog.brand == "Tidewhisker"
