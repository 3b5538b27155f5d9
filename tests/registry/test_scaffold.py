"""A new plugin works as it is written, and leaves the rest of registry.yaml alone."""

from __future__ import annotations

import numpy as np
import pytest
import yaml

from hierpets.errors import ConfigError, RegistryError
from hierpets.plugin import Case, Labels, SourcePhoto
from hierpets.plugin.kinds import KINDS
from hierpets.plugin.samples import sample_events
from hierpets.registry.loading import load_registry, validate_registry
from hierpets.registry.scaffold import create_plugin

FIRST = "plugins:\n  - name: a\n    kind: sampler\n    entry: s.py:f\n"


@pytest.fixture
def registry(tmp_path):
    return tmp_path / "registry.yaml"


@pytest.mark.parametrize("kind", KINDS)
def test_create_plugin_writes_a_valid_and_short_one(registry, kind):
    file = create_plugin(kind, "mine", registry)
    assert validate_registry(registry, imports=True) == ()
    assert len([line for line in file.read_text().splitlines() if line.strip()]) <= 15
    assert registry.read_text().count("\n") == 4, "plugins: and three lines"


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("sampler", "np"),
        ("sampler", "photos"),
        ("sampler", "labels"),
        ("backbone", "nn"),
        ("reader", "line"),
        ("tracker", "track"),
    ],
)
def test_create_plugin_refuses_a_name_that_the_file_uses_itself(registry, kind, name):
    with pytest.raises(
        ConfigError, match=f"^{name!r} is a name that the file of a new {kind} uses; choose another name$"
    ):
        create_plugin(kind, name, registry)
    assert not list(registry.parent.iterdir())


def test_create_plugin_backbone_gives_features(registry):
    torch = pytest.importorskip("torch")
    create_plugin("backbone", "mine", registry)
    backbone = load_registry(registry).get("backbone", "mine").call(width=4)
    assert backbone.module(torch.zeros(2, 3, 32, 32)).shape == (2, backbone.feature_dim)


def test_create_plugin_sampler_draws_rare_species_more_often(registry):
    create_plugin("sampler", "mine", registry)
    labels = Labels(np.array([0, 0, 0, 0, 1]), np.array([0, 0, 0, 0, 1]), ("cat", "dog"), ("a", "b"))
    weights = load_registry(registry).get("sampler", "mine").call(labels)
    assert weights[4] == pytest.approx(2 * weights[0])


def test_create_plugin_rule_advises_by_coat(registry):
    create_plugin("shampoo_rule", "mine", registry)
    rule = load_registry(registry).get("shampoo_rule", "mine")
    case = Case({"dog": 1.0}, {("dog", "a"): 1.0}, "breed", {"long_silky": 0.8, "curly": 0.2})
    assert [advice.score for advice in rule.call(case)] == [0.8]
    assert rule.call(case, coat="curly") == ()


def test_create_plugin_reader_reads_a_list(registry, tmp_path):
    create_plugin("reader", "mine", registry)
    (tmp_path / "a.pets").write_text("x.jpg\tdog\tpug\n")
    reader = load_registry(registry).get("reader", "mine")
    assert list(reader.call(str(tmp_path / "a.pets"))) == [SourcePhoto(str(tmp_path / "x.jpg"), "dog", "pug")]
    assert list(reader.call(str(tmp_path))) == []


def test_create_plugin_tracker_writes_a_table(registry, tmp_path):
    create_plugin("tracker", "csv", registry)
    track = load_registry(registry).get("tracker", "csv").call(str(tmp_path))
    for _ in range(2):  # the second time it is another run in the same folder
        for event in sample_events()["a training that is fine-tuned"]:
            track(event)
    expected = "epoch,loss,species,breed\n0,,0.9,0.7\n1,0.9,0.9,\n2,0.45,0.9,0.8\n"
    assert (tmp_path / "epochs.csv").read_text() == expected


@pytest.mark.parametrize(
    "text",
    [
        "plugins: []\n",
        "plugins: []  # none yet\nbuiltins: false\n",
        "plugins:\n  []\n",
        "# mine\n\nplugins:\n- name: a\n  kind: sampler\n  entry: s.py:f\n",
        "plugins:\n    - name: a\n      kind: sampler\n      entry: s.py:f\n\n# the end\n",
        FIRST + "    options: {\n      x: 1,\n    }\nbuiltins: false",
        "plugins:\n  - {name: a, kind: sampler, entry: 's.py:f'}\nbuiltins: true\n",
        FIRST + "    description: |\n      two\n      lines\nbuiltins: true\n",
        "plugins:\n  - kind: sampler\n    entry: s.py:f\n    name:\n      a\n",
    ],
)
def test_create_plugin_leaves_the_rest_of_the_registry_as_it_is(registry, text):
    registry.with_name("s.py").write_text("def f(labels, x=1): ...\n")
    registry.write_text(text)
    create_plugin("sampler", "mine", registry)
    create_plugin("shampoo_rule", "other", registry)
    before, after = yaml.safe_load(text), yaml.safe_load(registry.read_text())
    assert after["plugins"][: len(before["plugins"])] == before["plugins"]
    assert [p["name"] for p in after["plugins"][-2:]] == ["mine", "other"]
    assert after.get("builtins") == before.get("builtins")
    assert [line for line in text.splitlines() if "#" in line and line not in registry.read_text()] in (
        [],
        ["plugins: []  # none yet"],
    )
    assert validate_registry(registry, imports=True) == ()


def test_create_plugin_leaves_a_list_in_brackets_to_the_user(registry):
    registry.with_name("s.py").write_text("def f(labels): ...\n")
    text = "plugins: [{name: a, kind: sampler, entry: 's.py:f'}]\n"
    registry.write_text(text)
    with pytest.raises(
        RegistryError, match=r"registry.yaml:1: plugins: add this one by hand: name: mine; kind: sampler"
    ):
        create_plugin("sampler", "mine", registry)
    assert registry.read_text() == text
    assert not registry.with_name("plugins").exists()


def test_create_plugin_refuses_a_registry_that_is_no_text(registry):
    registry.write_bytes(b"plugins: []  # \xff\n")
    with pytest.raises(RegistryError, match=r"cannot be read: .*decode byte"):
        create_plugin("sampler", "mine", registry)


def test_create_plugin_overwrites_nothing(registry):
    file = create_plugin("sampler", "mine", registry)
    before = registry.read_text()
    with pytest.raises(ConfigError, match="already exists"):
        create_plugin("sampler", "mine", registry)
    file.rename(registry.with_name("moved.py"))
    registry.write_text(before.replace("plugins/samplers/mine.py", "moved.py"))
    with pytest.raises(ConfigError, match="already lists a sampler 'mine'"):
        create_plugin("sampler", "mine", registry)
    assert not file.exists()


@pytest.mark.parametrize("name", ["", "Mine", "3x", "a-b", "a/b", "../x", "class", "a.b", "a\n"])
def test_create_plugin_refuses_a_name_that_is_no_function(registry, name):
    with pytest.raises(ConfigError, match="expected a function name"):
        create_plugin("sampler", name, registry)
    assert not registry.exists()


def test_create_plugin_does_not_touch_an_invalid_registry(registry):
    registry.write_text("plugins: 3\n")
    with pytest.raises(RegistryError, match="expected a list"):
        create_plugin("sampler", "mine", registry)
    assert registry.read_text() == "plugins: 3\n"
    assert not registry.with_name("plugins").exists()
