"""The plugins shown in docs/plugins.md, taken out of the page and used."""

from __future__ import annotations

import re
import shutil
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from helpers.distributions import install

from hierpets.config import TrainConfig
from hierpets.data.labeled.index import read_index
from hierpets.plugin import Case, Labels, Preprocess
from hierpets.plugin.kinds import KINDS
from hierpets.plugin.samples import sample_events
from hierpets.registry.loading import load_registry, validate_registry

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "plugins.md").read_text(encoding="utf-8")
SNIPPET = re.compile(
    r"^`(?P<file>plugins/\S+\.py)`\n\n```python\n(?P<code>.*?)```\n\n```yaml\n(?P<entry>.*?)```", re.M | re.S
)
SNIPPETS = {match["file"]: (match["code"], match["entry"]) for match in SNIPPET.finditer(PAGE)}


@pytest.fixture(scope="module")
def registry_file(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    for file, (code, _) in SNIPPETS.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(code)
    path = folder / "registry.yaml"
    path.write_text("plugins:\n" + "".join(entry for _, entry in SNIPPETS.values()))
    return path


@pytest.fixture(scope="module")
def registry(registry_file):
    return load_registry(registry_file)


def test_page_shows_one_of_each_kind_in_few_lines(registry_file, registry):
    assert sorted(p.kind for p in registry.plugins if p.source == "user") == sorted(KINDS)
    assert validate_registry(registry_file, imports=True) == ()
    for code, entry in SNIPPETS.values():
        assert len([line for line in code.splitlines() if line.strip()]) < 15
        assert entry.count("\n") == 3


def test_page_changes_an_option_of_a_built_in_reader_in_a_copy(tmp_path):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    (entry,) = re.findall(r"```yaml\n(  - name: table\n.*?)```", PAGE, re.S)
    copy = tmp_path / "plugins" / "readers" / "table.py"
    copy.parent.mkdir(parents=True)
    shutil.copy(load_registry().get("reader", "table").file, copy)
    (tmp_path / "registry.yaml").write_text("plugins:\n" + entry)
    pq.write_table(pa.table({"picture": [b"x"], "species": ["cat"]}), tmp_path / "a.parquet")
    index = read_index(tmp_path / "a.parquet", registry=tmp_path / "registry.yaml")
    assert index.paths == [f"{tmp_path / 'a.parquet'}:picture:0"]


def test_page_backbone(registry):
    torch = pytest.importorskip("torch")
    backbone = registry.get("backbone", "resnet").call_without_weights(depth="34")
    with torch.inference_mode():
        assert backbone.module(torch.zeros(2, 3, 64, 64)).shape == (2, backbone.feature_dim)


def test_page_sampler(registry):
    labels = Labels(np.array([0] * 5 + [1]), np.array([0, 0, 0, 0, -1, 1]), ("cat", "dog"), ("birman", "pug"))
    weights = registry.get("sampler", "root").call(labels)
    np.testing.assert_allclose(weights / weights[0], [1, 1, 1, 1, 2, 2])


def test_page_shampoo_rule(registry):
    rule = registry.get("shampoo_rule", "unsure")
    sure = Case({"cat": 1.0}, {("cat", "birman"): 0.9, ("cat", "siamese"): 0.1}, "breed", {})
    unsure = Case({"cat": 1.0}, {("cat", "birman"): 0.5, ("cat", "siamese"): 0.5}, "species", {})
    assert rule.call(sure) == ()
    assert [advice.product for advice in rule.call(unsure)] == ["gentle_everyday"]
    assert len(rule.call(sure, below=0.95)) == 1


def test_page_reader(registry, tmp_path):
    (tmp_path / "rex.jpg").write_bytes(b"")
    (tmp_path / "pets.kennel").write_text("rex.jpg\tpug\n")
    index = read_index(tmp_path / "pets.kennel", registry=registry)
    assert [tuple(record.label) for record in index.records] == [("dog", "pug")]


@pytest.fixture
def mlflow(monkeypatch):
    """A stand-in for MLflow: what it was told, in its order."""
    told: list[tuple[str, Any, Any]] = []
    client = types.ModuleType("mlflow")
    client.set_experiment = lambda name: told.append(("experiment", name, None))
    client.start_run = lambda run_name: told.append(("start", Path(run_name).is_dir(), None))
    client.log_metrics = lambda metrics, step=None: told.append(("metrics", metrics, step))
    client.end_run = lambda: told.append(("end", None, None))
    monkeypatch.setitem(sys.modules, "mlflow", client)
    return told


def test_page_tracker(registry, tmp_path, mlflow):
    track = registry.get("tracker", "mlflow").call(str(tmp_path))
    for event in sample_events()["a training that is fine-tuned"]:
        track(event)
    assert mlflow[0] == ("experiment", "hierpets", None)
    assert ("metrics", {"epoch/loss": 0.45, "epoch/species": 0.9, "epoch/breed": 0.8, "epoch/nll": 0.4}, 2) in mlflow
    assert mlflow[-1] == ("end", None, None)


def test_page_settings_of_a_run(registry):
    (text,) = re.findall(r"```yaml\n# train\.yaml.*?\n(.*?)```", PAGE, re.S)
    config = TrainConfig.model_validate(yaml.safe_load(text))
    registry.get("backbone", config.backbone).resolve(**config.backbone_options)
    registry.get("sampler", config.sampler).resolve(**config.sampler_options)


def test_page_shows_the_errors_as_they_are(registry_file, monkeypatch):
    monkeypatch.chdir(registry_file.parent)
    _, sampler, rule, *_ = (entry for _, entry in SNIPPETS.values())
    wrong = sampler.replace("kind: sampler", "kind: samplr") + rule + "    options: {bellow: 0.5}\n"
    Path("wrong.yaml").write_text(f"plugins:\n{wrong}")
    found = [problem.replace("wrong.yaml", "registry.yaml") for problem in validate_registry("wrong.yaml")]
    assert found == re.findall(r"^error: (.*)$", PAGE, re.M)


@pytest.fixture
def forget_the_package() -> Iterator[None]:
    """Other tests expect that nobody has imported a package of this name."""
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "alpaca_care"]:
        del sys.modules[name]


@pytest.mark.usefixtures("forget_the_package", "mlflow")
def test_page_package_is_found_and_its_tests_pass(registry_file, tmp_path, monkeypatch):
    (entry_point,) = re.findall(r'^alpaca-care = "(.*)"$', PAGE, re.M)
    files = {**{file: code for file, (code, _) in SNIPPETS.items()}, "registry.yaml": registry_file.read_text()}
    install(tmp_path, "alpaca-care", files, entry_point=entry_point)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("HIERPETS_REGISTRY", raising=False)
    assert load_registry().get("sampler", "root").source == "alpaca-care 1.2"

    (code,) = re.findall(r"```python\n(# tests/test_plugins\.py\n.*?)```", PAGE, re.S)
    tests: dict[str, Any] = {}
    exec(code, tests)
    found = [test for name, test in tests.items() if name.startswith("test_")]
    assert len(found) == len(KINDS)
    for test in found:
        test(tmp_path) if test.__code__.co_argcount else test()


def test_page_has_every_field_of_preprocess():
    assert [name for name in Preprocess.model_fields if f"`{name}`" not in PAGE] == []


def test_page_has_every_builtin_plugin():
    table = PAGE[PAGE.index("## Built-in plugins") :]
    missing = [p.name for p in load_registry().plugins if p.source == "builtin" and f"`{p.name}`" not in table]
    assert missing == []
