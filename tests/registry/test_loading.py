"""Finding, calling and failing softly."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from hierpets.errors import PluginError, RegistryError
from hierpets.plugin import Advice, Case, Labels
from hierpets.registry.loading import (
    bundled_registry,
    find_registry,
    load_registry,
    validate_registry,
)

LABELS = Labels(np.array([0, 0, 1]), np.array([0, -1, 1]), ("cat", "dog"), ("birman", "pug"))
CASE = Case({"cat": 1.0}, {("cat", None): 1.0}, "species", {})


def registry(folder: Path, code: str, *, kind: str = "sampler", extra: str = "", name: str = "mine") -> Path:
    (folder / "p.py").write_text(textwrap.dedent(code))
    path = folder / "registry.yaml"
    path.write_text(f"plugins:\n  - name: {name}\n    kind: {kind}\n    entry: p.py:f\n{extra}")
    return path


def plugin(folder: Path, code: str, *, kind: str = "sampler", extra: str = ""):
    return load_registry(registry(folder, code, kind=kind, extra=extra)).get(kind, "mine")


class TestFinding:
    def test_the_bundled_one_stands_last(self, monkeypatch):
        monkeypatch.delenv("HIERPETS_REGISTRY", raising=False)
        assert find_registry() == bundled_registry()

    def test_explicit_before_variable(self, tmp_path, monkeypatch):
        (tmp_path / "a.yaml").write_text("plugins: []\n")
        (tmp_path / "b.yaml").write_text("plugins: []\n")
        monkeypatch.setenv("HIERPETS_REGISTRY", str(tmp_path / "a.yaml"))
        assert find_registry() == tmp_path / "a.yaml"
        assert find_registry(tmp_path / "b.yaml") == tmp_path / "b.yaml"

    def test_a_missing_one_names_who_asked(self, tmp_path, monkeypatch):
        with pytest.raises(RegistryError, match=r"no such file \(from --registry"):
            find_registry(tmp_path / "none.yaml")
        monkeypatch.setenv("HIERPETS_REGISTRY", str(tmp_path))
        with pytest.raises(RegistryError, match=r"is a folder.*HIERPETS_REGISTRY"):
            find_registry()

    def test_never_the_current_directory(self, tmp_path, monkeypatch):
        registry(tmp_path, "def f(labels): ...")
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("HIERPETS_REGISTRY", raising=False)
        assert load_registry().path == bundled_registry()


class TestRegistry:
    def test_adds_to_the_builtin_plugins(self, tmp_path):
        found = load_registry(registry(tmp_path, "def f(labels): ..."))
        assert {p.source for p in found.plugins} == {"builtin", "user"}
        assert found.get("sampler", "shuffle").source == "builtin"

    def test_replaces_a_builtin_of_its_name(self, tmp_path):
        path = registry(tmp_path, "def f(labels): return [2.0] * len(labels)", name="shuffle")
        found = load_registry(path)
        assert found.get("sampler", "shuffle").call(LABELS).tolist() == [2, 2, 2]
        assert [(p.name, p.source) for p in found.overridden] == [("shuffle", "builtin")]
        assert [p.name for p in found.plugins].count("shuffle") == 1

    def test_stands_alone_without_builtins(self, tmp_path):
        found = load_registry(registry(tmp_path, "def f(labels): ...", extra="builtins: false\n"))
        assert [p.name for p in found.plugins] == ["mine"]

    def test_an_unknown_name_gets_the_choices(self):
        with pytest.raises(PluginError, match=r"unknown sampler 'shufle' \(did you mean 'shuffle'\?\).*breed_balanced"):
            load_registry().get("sampler", "shufle")
        with pytest.raises(PluginError, match="unknown kind 'samplr'"):
            load_registry().get("samplr", "shuffle")

    def test_a_wrong_one_stops_with_every_problem(self, tmp_path):
        (tmp_path / "registry.yaml").write_text("plugins:\n- {name: a, kind: x, entry: y}\n")
        with pytest.raises(RegistryError) as caught:
            load_registry(tmp_path / "registry.yaml")
        assert len(caught.value.problems) == 2

    def test_loading_a_registry_runs_no_plugin(self, tmp_path):
        load_registry(registry(tmp_path, "raise SystemExit('ran')\ndef f(labels): ..."))


class TestOptions:
    CODE = "def f(labels, beta: float = 0.5, count: int = 1): return [beta * count] * len(labels)"

    def test_registry_then_overrides_converted(self, tmp_path):
        mine = plugin(tmp_path, self.CODE, extra="    options: {beta: 2}\n")
        assert mine.call(LABELS).tolist() == [2, 2, 2]
        assert mine.call(LABELS, beta="0.25", count=2).tolist() == [0.5, 0.5, 0.5]
        assert mine.resolve(count="3") == {"beta": 2.0, "count": 3}
        assert mine.option_names == ("beta", "count")

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"bta": 1}, r"option bta: unknown option \(did you mean 'beta'\?\); known: beta, count"),
            ({"beta": "much"}, "option beta: expected a number, got 'much'"),
            ({"count": 0.5}, "option count: expected a whole number, got 0.5"),
        ],
    )
    def test_wrong_ones(self, tmp_path, options, words):
        with pytest.raises(PluginError, match=r"sampler 'mine' \(.*p.py:1\): " + words):
            plugin(tmp_path, self.CODE).call(LABELS, **options)

    def test_a_needed_one_left_out(self, tmp_path):
        mine = plugin(tmp_path, "def f(labels, power: float): return [power] * len(labels)")
        with pytest.raises(PluginError, match="option power: is missing"):
            mine.call(LABELS)
        assert mine.problems() == [], "it can still be given"
        assert mine.call(LABELS, power=3).tolist() == [3, 3, 3]

    def test_names_that_a_pydantic_model_keeps_for_itself(self, tmp_path):
        code = "def f(labels, copy=1, _x: int = 2, model_dump: int = 3): return [copy + _x + model_dump] * len(labels)"
        assert plugin(tmp_path, code).call(LABELS, _x=10).tolist() == [14, 14, 14]

    def test_postponed_annotations(self, tmp_path):
        code = "from __future__ import annotations\nfrom typing import Literal\n" + (
            "def f(labels, level: Literal['a', 'b'] = 'a'): return [1.0] * len(labels)"
        )
        with pytest.raises(PluginError, match="option level: expected one of a, b, got 'c'"):
            plugin(tmp_path, code).call(LABELS, level="c")

    def test_any_option_where_the_function_takes_any(self, tmp_path):
        code = "def f(labels, **rest): return [rest['x']] * len(labels)"
        assert plugin(tmp_path, code).call(LABELS, x=4).tolist() == [4, 4, 4]


class TestContracts:
    @pytest.mark.parametrize(
        ("value", "words"),
        [
            ("None", "expected an array of numbers"),
            ("['a', 'b', 'c']", "expected an array of numbers"),
            ("[True] * 3", "expected an array of numbers"),
            ("[[1], [1, 2]]", "expected an array of weights"),
            ("[1.0, 2.0]", r"one weight for each of 3 photos, shape \(3,\), got \(2,\)"),
            ("[1.0, -1.0, 0.0]", r"finite positive weights, got -1.0 for photo 1 \(2 such"),
            ("[1.0, float('nan'), 1.0]", "got nan for photo 1"),
        ],
    )
    def test_weights(self, tmp_path, value, words):
        with pytest.raises(
            PluginError, match=r"sampler 'mine' \(.*p.py:1\): expected.*" + words.removeprefix("expected ")
        ):
            plugin(tmp_path, f"def f(labels): return {value}").call(LABELS)

    @pytest.mark.parametrize(
        ("value", "words"),
        [
            ("None", "an iterable of Advice.*got None"),
            ("Advice('oat', 'why')", "an iterable of Advice.*got hierpets.plugin.Advice"),
            ("['oat']", "every item to be an Advice, got str"),
            ("[Advice('', 'why')]", "the id of a product, got ''"),
            ("[Advice('oat', '')]", "Advice.reason of 'oat' to be a sentence, got ''"),
            ("[Advice('oat', None, veto=True)]", "Advice.reason of 'oat' to be a sentence, got None"),
            ("[Advice('oat', 'why', veto='no')]", "Advice.veto of 'oat' to be True or False, got 'no'"),
            ("[Advice('oat', 'why', float('inf'))]", "Advice.score of 'oat' to be a finite number, got inf"),
        ],
    )
    def test_advice(self, tmp_path, value, words):
        code = f"from hierpets.plugin import Advice\ndef f(case): return {value}"
        with pytest.raises(PluginError, match=words):
            plugin(tmp_path, code, kind="shampoo_rule").call(CASE)

    def test_advice_from_a_generator(self, tmp_path):
        code = "from hierpets.plugin import Advice\ndef f(case):\n    yield Advice('oat', 'why', 1.0)"
        assert plugin(tmp_path, code, kind="shampoo_rule").call(CASE) == (Advice("oat", "why", 1.0),)

    @pytest.mark.parametrize(
        ("value", "words"),
        [
            ("7", "expected a Backbone, got int"),
            ("Backbone('net', 3, Preprocess())", "torch.nn.Module, got str"),
            ("Backbone(nn.Flatten(), 0, Preprocess())", "positive int, got 0"),
            ("Backbone(nn.Flatten(), 3, None)", "a Preprocess, got None"),
            (
                "Backbone(nn.Conv2d(3, 4, 1), 4, SMALL)",
                r"2 photos of 16 x 16 to torch.float32 \(2, 4\), got .*2, 4, 16, 16",
            ),
            ("Backbone(net(5), 4, SMALL)", r"got torch.float32 \(2, 5\)"),
            ("Backbone(net(4).double(), 4, SMALL)", r"got torch.float64 \(2, 4\)"),
            ("Backbone(nn.Linear(7, 4), 4, SMALL)", "RuntimeError"),
            ("Backbone(nn.Flatten(), 7, SMALL)", r"p.py:\d+\): expected .* \(2, 7\), got torch.float32 \(2, 768\)"),
            ("Backbone(Log(), 768, SMALL)", r"p.py:\d+\): expected finite features, got nan for a photo of noise"),
            ("Backbone(Contrast(), 768, SMALL)", r"p.py:\d+\): expected finite features, got nan for a black photo"),
            ("Backbone(net(4), 4, SMALL, 'head')", "a PretrainedHead or None, got str"),
            ("Backbone(net(4), 4, SMALL, PretrainedHead(nn.Linear(5, 9), {}))", "torch.nn.Linear of 1 to 4 inputs"),
            (
                "Backbone(net(4), 4, SMALL, PretrainedHead(nn.Linear(4, 9), {'dog': range(5, 10)}))",
                r"species_classes\['dog'\] to be class indices from 0 to 8, got range\(5, 10\)",
            ),
        ],
    )
    def test_backbones(self, tmp_path, value, words):
        code = f"""
            from torch import nn
            from hierpets.plugin import Backbone, Preprocess, PretrainedHead
            SMALL = Preprocess(size=16)
            class Log(nn.Module):
                def forward(self, photos): return (1 + photos).log().flatten(1)
            class Contrast(nn.Module):
                def forward(self, photos): return (photos / photos.std((1, 2, 3), keepdim=True)).flatten(1)
            def net(width): return nn.Sequential(nn.Flatten(), nn.Linear(768, width))
            def f(): return {value}
        """
        with pytest.raises(PluginError, match=words):
            plugin(tmp_path, code, kind="backbone").call()

    def test_a_backbone_is_tried_out_without_drawing_from_torchs_generator(self, tmp_path):
        import torch

        code = """
            from torch import nn
            from hierpets.plugin import Backbone, Preprocess
            def f(): return Backbone(nn.Flatten(), 768, Preprocess(size=16))
        """
        backbone = plugin(tmp_path, code, kind="backbone")
        torch.manual_seed(0)
        expected = torch.rand(1)
        torch.manual_seed(0)
        backbone.call()
        assert torch.rand(1) == expected

    def test_a_backbone_without_its_weights(self, tmp_path):
        code = "def f(pretrained: bool = True, width: int = 1): raise ValueError(f'{pretrained} {width}')"
        with pytest.raises(PluginError, match="False 5"):
            plugin(tmp_path, code, kind="backbone").call_without_weights(width=5)
        with pytest.raises(PluginError, match="once"):
            plugin(tmp_path, "def f(): raise ValueError('once')", kind="backbone").call_without_weights()


class TestFailingSoftly:
    def test_an_exception_inside(self, tmp_path):
        mine = plugin(tmp_path, "def f(labels):\n    x = 1\n    return x / 0\n")
        with pytest.raises(PluginError, match=r"p.py:3\): ZeroDivisionError: division by zero"):
            mine.call(LABELS)

    def test_an_exception_inside_a_generator(self, tmp_path):
        mine = plugin(tmp_path, "def f(case):\n    yield 1 / 0\n", kind="shampoo_rule")
        with pytest.raises(PluginError, match=r"p.py:2\): ZeroDivisionError"):
            mine.call(CASE)

    def test_what_a_plugin_says_on_purpose_is_left_as_it_is(self, tmp_path):
        code = "from hierpets.plugin import PluginError\ndef f(labels): raise PluginError('feed it more photos')"
        with pytest.raises(PluginError, match=r"p.py:2\): feed it more photos$"):
            plugin(tmp_path, code).call(LABELS)

    def test_one_that_wants_to_leave(self, tmp_path):
        with pytest.raises(PluginError, match="SystemExit: 4"):
            plugin(tmp_path, "import sys\ndef f(labels): sys.exit(4)").call(LABELS)

    def test_ctrl_c_is_left_alone(self, tmp_path):
        with pytest.raises(KeyboardInterrupt):
            plugin(tmp_path, "def f(labels): raise KeyboardInterrupt").call(LABELS)

    @pytest.mark.parametrize(
        ("code", "words"),
        [
            ("x = 1\ndef f(labels:\n", r"p.py:2\): SyntaxError"),
            (
                "x = 1\nimport no_such_package.at_all\ndef f(labels): ...",
                r"p.py:2\): ModuleNotFoundError.*install the package",
            ),
            ("import beside\ndef f(labels): ...", "cannot import its neighbors"),
            ("def f(labels): ...\ndel f", "expected a function 'f'.*got None"),
            ("def f(labels): ...\nf = 3", "expected a function 'f'.*got 3"),
            ("from __future__ import annotations\ndef f(labels, x: Nowhere = 1): ...", "cannot be called as .*Nowhere"),
        ],
    )
    def test_one_that_cannot_be_imported_is_an_error_only_when_used(self, tmp_path, code, words):
        (tmp_path / "beside.py").write_text("")
        mine = plugin(tmp_path, code)
        with pytest.raises(PluginError, match=words):
            mine.call(LABELS)
        ((location, message),) = mine.problems()
        assert location == ()
        assert str(tmp_path) in message


class TestImporting:
    def test_the_folder_of_the_registry_counts_not_the_current_one(self, tmp_path, monkeypatch):
        here, there = tmp_path / "here", tmp_path / "there"
        here.mkdir(), there.mkdir()
        (here / "p.py").write_text("def f(labels): return [9.0] * len(labels)")
        path = registry(there, "def f(labels): return [1.0] * len(labels)")
        monkeypatch.chdir(here)
        assert load_registry(path).get("sampler", "mine").call(LABELS).tolist() == [1, 1, 1]

    def test_a_relative_registry_stays_where_it_was(self, tmp_path, monkeypatch):
        registry(tmp_path, "def f(labels): return [1.0] * len(labels)")
        monkeypatch.chdir(tmp_path)
        mine = load_registry("registry.yaml").get("sampler", "mine")
        monkeypatch.chdir("/")
        assert mine.call(LABELS).tolist() == [1, 1, 1]

    def test_an_edited_file_is_read_again(self, tmp_path):
        for value in (1, 2):
            mine = plugin(tmp_path, f"def f(labels): return [{value}.0] * len(labels)")
            assert mine.call(LABELS)[0] == value

    def test_nothing_is_left_beside_a_users_file_or_on_the_path(self, tmp_path):
        before = list(sys.path)
        plugin(tmp_path, "def f(labels): return [1.0] * len(labels)").call(LABELS)
        assert sorted(p.name for p in tmp_path.iterdir()) == ["p.py", "registry.yaml"]
        assert sys.path == before

    def test_a_file_is_imported_once(self, tmp_path):
        path = registry(tmp_path, "def f(labels): ...\ng = f", extra="  - {name: g, kind: sampler, entry: 'p.py:g'}\n")
        found = load_registry(path)
        assert found.get("sampler", "mine").load() is found.get("sampler", "g").load()

    def test_two_files_of_one_name_are_two_modules(self, tmp_path):
        functions = []
        for folder in (tmp_path / "a", tmp_path / "b"):
            folder.mkdir()
            functions.append(plugin(folder, "def f(labels): ...").load())
        assert functions[0].__module__ != functions[1].__module__


class TestValidating:
    def test_sources_only_unless_asked(self, tmp_path):
        path = registry(
            tmp_path, "from pathlib import Path\nPath(__file__).with_name('ran').touch()\ndef f(labels): ..."
        )
        assert validate_registry(path) == ()
        assert not (tmp_path / "ran").exists()
        assert validate_registry(path, imports=True) == ()
        assert (tmp_path / "ran").exists()

    def test_a_file_with_a_syntax_error_needs_no_import(self, tmp_path):
        path = registry(tmp_path, "def f(labels:\n")
        (problem,) = validate_registry(path)
        assert problem.startswith(f"{path}:4: plugins[0].entry: ")

    def test_imports_and_types_of_options_beside_every_other_mistake(self, tmp_path):
        path = registry(
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


def test_the_registry_imports_no_torch():
    code = "import sys; from hierpets.registry.loading import load_registry as l; [p.load() for p in l().plugins]"
    heavy = "[m for m in ('torch', 'timm', 'cv2', 'sklearn', 'albumentations', 'matplotlib') if m in sys.modules]"
    done = subprocess.run([sys.executable, "-c", f"{code}; print({heavy})"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_only_registry_importing_runs_code_found_by_path():
    package = bundled_registry().parent / "hierpets"
    words = ("spec_from_file_location", "exec_module", "SourceFileLoader", "runpy", "exec(", "eval(")
    users = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if any(word in path.read_text().replace(".eval(", "") for word in words)
    }
    assert users == {"registry/importing.py"}
