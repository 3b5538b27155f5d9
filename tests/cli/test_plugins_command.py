"""``hierpets plugins`` as a user meets it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from hierpets.cli import main


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HIERPETS_REGISTRY", raising=False)

    def call(*args: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exit_:
            main(["plugins", *args])
        out, err = capsys.readouterr()
        return exit_.value.code or 0, out, err

    return call


@pytest.fixture
def broken(tmp_path):
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "bad.py").write_text("import no_such_package\ndef f(labels): ...\n")
    (tmp_path / "plugins" / "good.py").write_text("def shuffle(labels, seed: int = 0): ...\n")
    path = tmp_path / "registry.yaml"
    path.write_text(
        "plugins:\n"
        "  - {name: bad, kind: sampler, entry: 'plugins/bad.py:f'}\n"
        "  - {name: shuffle, kind: sampler, entry: 'plugins/good.py:shuffle', options: {seed: 3}}\n"
    )
    return path


def test_list_as_json(run, broken):
    code, out, _ = run("list", "--json", "--registry", str(broken))
    rows = {(row["name"], row["source"]): row for row in json.loads(out)}
    assert code == 0
    assert rows["bad", "user"]["status"] == "broken"
    assert "ModuleNotFoundError" in rows["bad", "user"]["error"]
    assert rows["shuffle", "user"] | {"description": "", "file": ""} == {
        "kind": "sampler",
        "name": "shuffle",
        "source": "user",
        "entry": "plugins/good.py:shuffle",
        "file": "",
        "options": {"seed": 3},
        "accepts": ["seed"],
        "description": "",
        "status": "ok",
        "error": None,
    }
    assert rows["shuffle", "builtin"]["status"] == "overridden"
    assert rows["efficientnet_lite0", "builtin"]["accepts"] == ["pretrained", "size", "crop"]


def test_list_as_a_table(run, broken):
    code, out, _ = run("list", "--registry", str(broken))
    assert code == 0
    assert "efficientnet_lite2" in out
    assert "broken: sampler 'bad'" in out.replace("\n", "")
    assert "seed=3" in out


def test_a_broken_plugin_is_red_on_a_terminal(run, broken, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    lines = run("list", "--registry", str(broken))[1].splitlines()
    assert all("\x1b[31m" in line for line in lines if "bad.py" in line)
    assert not any("\x1b[31m" in line for line in lines if "efficientnet_lite0" in line)


def test_validate_reports_all_at_once(run, tmp_path):
    (tmp_path / "r.yaml").write_text("plugin: []\nplugins:\n- {name: a, kind: x, entry: y}\n")
    code, out, err = run("validate", "--registry", "r.yaml")
    assert (code, out) == (1, "")
    assert [line.split(":")[2] for line in err.splitlines()] == ["1", "3", "3"]
    assert err.startswith("error: r.yaml:1: plugin: unknown key (did you mean 'plugins'?)")


def test_validate_imports_only_when_asked(run, broken):
    assert run("validate", "--registry", str(broken))[0] == 0
    code, _, err = run("validate", "--imports", "--registry", str(broken))
    assert code == 1
    assert "registry.yaml:2: plugins[0].entry:" in err


def test_validate_looks_at_the_registry_in_this_folder(run, broken):
    code, _, err = run("validate", "--imports")
    assert code == 1
    assert "registry.yaml:2: plugins[0].entry:" in err


def test_validate_finds_an_option_of_a_rule_that_nobody_gives(run, tmp_path):
    (tmp_path / "rule.py").write_text("def rule(case, much):\n    return []\n")
    (tmp_path / "registry.yaml").write_text("plugins:\n  - {name: a, kind: shampoo_rule, entry: 'rule.py:rule'}\n")
    code, _, err = run("validate", "--imports")
    assert code == 1
    assert "much" in err and "is missing" in err


def test_validate_passes_the_builtin_plugins(run):
    assert run("validate", "--imports")[0] == 0


@pytest.mark.parametrize("kind", ["backbone", "sampler", "shampoo_rule", "reader", "tracker"])
def test_new(run, tmp_path, kind):
    assert run("new", kind, "mine")[0] == 0
    assert run("validate", "--imports", "--registry", "registry.yaml")[0] == 0
    code, _, err = run("new", kind, "mine")
    assert code == 1
    assert "already exists" in err


def test_new_says_which_plugin_it_replaces(run):
    assert run("new", "sampler", "mine")[1].count("\n") == 2
    code, out, _ = run("new", "sampler", "shuffle")
    assert code == 0
    assert out.splitlines()[1] == "it replaces the sampler 'shuffle' (builtin)"
    assert "replaces" not in run("new", "sampler", "other")[1]


def test_new_with_an_unknown_kind_names_the_choices(run):
    code, _, err = run("new", "samplr", "mine")
    assert code == 2
    assert "'backbone', 'sampler', 'shampoo_rule'" in err


def test_the_variable_counts(run, broken, monkeypatch):
    monkeypatch.setenv("HIERPETS_REGISTRY", str(broken))
    assert "bad" in run("list")[1]


@pytest.mark.parametrize("command", [[], ["list"], ["validate"], ["new"]])
def test_help_imports_nothing_heavy(command):
    code = (
        "import sys\nfrom hierpets.cli import main\n"
        f"try: main({['plugins', *command, '--help']!r})\nexcept SystemExit: pass\n"
        "print([m for m in ('torch', 'timm', 'cv2', 'sklearn', 'rich', 'albumentations') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.rstrip().endswith("[]")
