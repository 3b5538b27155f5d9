"""Everything wrong with a registry.yaml, at once, with lines; and nothing of a plugin is run."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.systems import needs_links

from hierpets.errors import RegistryError
from hierpets.registry.examine import examine, read_registry_file

CODE = """
from pathlib import Path
Path(__file__).with_name("ran").touch()

def weigh(labels, beta: float = 0.5, *, level="breed"):
    return [1.0] * len(labels)

def nothing():
    return []

def anything(*args, **options):
    return []

if True:
    def inner(labels): ...

alias = weigh

@staticmethod
def decorated(labels): ...
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "s.py").write_text(CODE)
    (tmp_path / "outside.py").write_text(CODE)
    return tmp_path


def problems(folder: Path, text: str) -> list[str]:
    registry = folder / "registry.yaml"
    registry.write_text(text)
    found = [problem.removeprefix(f"{folder}/") for problem in examine(registry).report()]
    assert not (folder / "plugins" / "ran").exists(), "a plugin's code was run"
    return found


def one(folder: Path, entry: str = "plugins/s.py:weigh", **keys: str) -> list[str]:
    lines = [f"    {key}: {value}" for key, value in ({"kind": "sampler", "entry": entry} | keys).items()]
    return problems(folder, "\n".join(["plugins:", "  - name: a", *lines, ""]))


def test_read_registry_file_reads_a_valid_one(folder):
    (folder / "registry.yaml").write_text(
        "builtins: false\nplugins:\n"
        "  - name: a\n    kind: sampler\n    entry: plugins/s.py:weigh\n    options: {beta: 1}\n"
        "    description: words\n"
    )
    manifest = read_registry_file(folder / "registry.yaml")
    assert not manifest.builtins
    assert manifest.plugins[0].options == {"beta": 1}


def test_examine_finds_all_mistakes_in_the_order_of_lines(folder):
    found = problems(
        folder,
        "plugin: []\n"
        "plugins:\n"
        "  - name: a\n"
        "    kind: samplr\n"
        "    entry: plugins/s.py:wiegh\n"
        "  - name: b\n"
        "    kind: sampler\n"
        "    entry: ../outside.py:weigh\n"
        "    option: {}\n"
        "  - name: c\n"
        "    kind: sampler\n"
        "    entry: plugins/s.py:weigh\n"
        "    options:\n"
        "      beta: 1\n"
        "      bta: 1\n"
        "  - name: c\n"
        "    kind: sampler\n"
        "    entry: plugins/t.py:weigh\n"
        "  - kind: sampler\n"
        "    entry: 7\n"
        "  - text\n"
        "builtins: perhaps\n",
    )
    start = [problem.split(": ")[0] + ": " + problem.split(": ")[1] for problem in found]
    assert start == [
        "registry.yaml:1: plugin",
        "registry.yaml:4: plugins[0].kind",
        "registry.yaml:5: plugins[0].entry",
        "registry.yaml:8: plugins[1].entry",
        "registry.yaml:9: plugins[1].option",
        "registry.yaml:15: plugins[2].options.bta",
        "registry.yaml:16: plugins[3].name",
        "registry.yaml:18: plugins[3].entry",
        "registry.yaml:19: plugins[4].name",
        "registry.yaml:20: plugins[4].entry",
        "registry.yaml:21: plugins[5]",
        "registry.yaml:22: builtins",
    ]
    for index, suggestion in {
        0: "plugins",
        1: "sampler",
        2: "weigh",
        4: "options",
        5: "beta",
        7: "plugins/s.py",
    }.items():
        assert f"(did you mean {suggestion!r}?)" in found[index]
    assert "on lines 10 and 16" in found[6]


def test_read_registry_file_raises_with_all_of_them(folder):
    (folder / "registry.yaml").write_text("plugins:\n  - {name: a, kind: x, entry: y}\nz: 1\n")
    with pytest.raises(RegistryError) as caught:
        read_registry_file(folder / "registry.yaml")
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize(
    "entry", ["plugins/s.py", "'plugins/s.py:'", "s:weigh", "'plugins/s.py:1x'", "plugins.s.weigh"]
)
def test_examine_refuses_a_malformed_entry(folder, entry):
    (problem,) = one(folder, entry)
    assert problem.startswith("registry.yaml:4: plugins[0].entry: expected 'path/to/file.py:function'")


@pytest.mark.parametrize(
    "entry",
    ["../outside.py:f", "plugins/../../x.py:f", "/etc/x.py:f", "'plugins\\..\\x.py:f'", "plugins/link.py:weigh"],
)
@needs_links
def test_examine_refuses_an_entry_outside_of_the_folder(folder, tmp_path_factory, entry):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "x.py"
    elsewhere.write_text(CODE)
    (folder / "plugins" / "link.py").symlink_to(elsewhere)
    (problem,) = one(folder, entry)
    assert "beside registry.yaml" in problem or "points outside the folder" in problem


@pytest.mark.parametrize("function", ["weigh", "anything", "inner", "alias", "decorated"])
def test_examine_finds_functions_however_they_are_made(folder, function):
    assert one(folder, f"plugins/s.py:{function}") == []


def test_examine_finds_a_function_with_too_few_arguments(folder):
    (problem,) = one(folder, "plugins/s.py:nothing")
    assert "called as nothing(labels, ...)" in problem


def test_examine_takes_leading_arguments_for_no_options(folder):
    (problem,) = one(folder, options="{labels: 1}")
    assert "plugins[0].options.labels: unknown option; known: beta, level" in problem


def test_examine_takes_any_option_of_a_function_that_takes_any(folder):
    assert one(folder, "plugins/s.py:anything", options="{whatever: 1}") == []


def test_examine_takes_a_name_once_for_each_kind(folder):
    text = "plugins:\n" + "".join(
        f"  - {{name: a, kind: {kind}, entry: 'plugins/s.py:anything'}}\n" for kind in ("sampler", "shampoo_rule")
    )
    assert problems(folder, text) == []


@pytest.mark.parametrize("text", ["", "# nothing\n"])
def test_examine_refuses_an_empty_file(folder, text):
    assert problems(folder, text) == [
        "registry.yaml:1: the file is empty; expected 'plugins:' and a list, or 'plugins: []'"
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("plugins:\n", "plugins: expected a list, such as [a, b], got nothing"),
        ("plugins: {a: 1}\n", "expected a list"),
        ("- a\n", "expected keys and values"),
        ("builtins: true\n", "plugins: is missing from the file"),
        ("plugins:\n- {name: a b, kind: sampler, entry: 'plugins/s.py:weigh'}\n", "expected letters, digits"),
        ("plugins: [\n", "not valid YAML"),
        ("plugins:\n- {name: a, name: b}\n", "plugins[0].name: given twice"),
    ],
)
def test_examine_refuses_the_wrong_shape(folder, text, words):
    found = problems(folder, text)
    assert words in found[0]


def test_examine_blames_an_unreadable_file_on_its_plugin_alone(folder):
    (folder / "plugins" / "broken.py").write_text("def f(:\n")
    (folder / "registry.yaml").write_text("plugins:\n- {name: a, kind: sampler, entry: 'plugins/broken.py:f'}\n")
    examination = examine(folder / "registry.yaml")
    assert examination.problems == ()
    assert "broken.py: line 1" in examination.unreadable[0]


@pytest.mark.parametrize("source", [b"\xef\xbb\xbf" + CODE.encode(), b"# coding: latin-1\n# \xe9" + CODE.encode()])
def test_examine_reads_a_file_in_its_own_encoding(folder, source):
    (folder / "plugins" / "s.py").write_bytes(source)
    assert one(folder) == []
    assert not examine(folder / "registry.yaml").unreadable


def test_examine_says_that_a_file_in_another_encoding_is_unreadable(folder):
    (folder / "plugins" / "s.py").write_bytes(CODE.encode("utf-16"))
    one(folder)
    (unreadable,) = examine(folder / "registry.yaml").unreadable.values()
    assert "line None" not in unreadable


def test_examine_refuses_what_is_not_text(folder):
    (folder / "registry.yaml").write_bytes(b"\xff\xfe\x00")
    assert "cannot be read" in examine(folder / "registry.yaml").report()[0]
