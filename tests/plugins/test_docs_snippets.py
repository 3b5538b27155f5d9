"""The plugins shown in docs/plugins.md, taken out of the page and used."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from hierpets.config import TrainConfig
from hierpets.plugin import Case, Labels
from hierpets.plugin.kinds import KINDS
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


def test_one_of_each_kind_in_few_lines(registry_file, registry):
    assert sorted(p.kind for p in registry.plugins if p.source == "user") == sorted(KINDS)
    assert validate_registry(registry_file, imports=True) == ()
    for code, entry in SNIPPETS.values():
        assert len([line for line in code.splitlines() if line.strip()]) < 15
        assert entry.count("\n") == 3


def test_the_backbone(registry):
    torch = pytest.importorskip("torch")
    backbone = registry.get("backbone", "resnet").call_without_weights(depth="34")
    with torch.inference_mode():
        assert backbone.module(torch.zeros(2, 3, 64, 64)).shape == (2, backbone.feature_dim)


def test_the_sampler(registry):
    labels = Labels(np.array([0] * 5 + [1]), np.array([0, 0, 0, 0, -1, 1]), ("cat", "dog"), ("birman", "pug"))
    weights = registry.get("sampler", "root").call(labels)
    np.testing.assert_allclose(weights / weights[0], [1, 1, 1, 1, 2, 2])


def test_the_shampoo_rule(registry):
    rule = registry.get("shampoo_rule", "unsure")
    sure = Case({"cat": 1.0}, {("cat", "birman"): 0.9, ("cat", "siamese"): 0.1}, "breed", {})
    unsure = Case({"cat": 1.0}, {("cat", "birman"): 0.5, ("cat", "siamese"): 0.5}, "species", {})
    assert rule.call(sure) == ()
    assert [advice.product for advice in rule.call(unsure)] == ["gentle_everyday"]
    assert len(rule.call(sure, below=0.95)) == 1


def test_the_settings_of_a_run(registry):
    (text,) = re.findall(r"```yaml\n# train\.yaml.*?\n(.*?)```", PAGE, re.S)
    config = TrainConfig.model_validate(yaml.safe_load(text))
    registry.get("backbone", config.backbone).resolve(**config.backbone_options)
    registry.get("sampler", config.sampler).resolve(**config.sampler_options)


def test_the_errors_are_those_that_the_page_shows(registry_file, monkeypatch):
    monkeypatch.chdir(registry_file.parent)
    _, sampler, rule = (entry for _, entry in SNIPPETS.values())
    wrong = sampler.replace("kind: sampler", "kind: samplr") + rule + "    options: {bellow: 0.5}\n"
    Path("wrong.yaml").write_text(f"plugins:\n{wrong}")
    found = [problem.replace("wrong.yaml", "registry.yaml") for problem in validate_registry("wrong.yaml")]
    assert found == re.findall(r"^error: (.*)$", PAGE, re.M)


def test_every_builtin_plugin_is_on_the_page():
    registry = load_registry()
    table = PAGE[PAGE.index("## Built-in plugins") :]
    missing = [p.name for kind in ("backbone", "sampler") for p in registry.of_kind(kind) if f"`{p.name}`" not in table]
    assert missing == []
