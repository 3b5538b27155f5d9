"""Calling a plugin: its options, the contract of its kind, and every way in which it can fail."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.plugins import load_plugin

from hierpets.errors import DataError, PluginError
from hierpets.plugin import Advice, Case, Labels

LABELS = Labels(np.array([0, 0, 1]), np.array([0, -1, 1]), ("cat", "dog"), ("birman", "pug"))
CASE = Case({"cat": 1.0}, {("cat", None): 1.0}, "species", {})


class TestOptions:
    CODE = "def f(labels, beta: float = 0.5, count: int = 1): return [beta * count] * len(labels)"

    def test_call_converts_the_options_of_registry_and_overrides(self, tmp_path):
        mine = load_plugin(tmp_path, self.CODE, extra="    options: {beta: 2}\n")
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
    def test_call_refuses_wrong_options(self, tmp_path, options, words):
        with pytest.raises(PluginError, match=r"sampler 'mine' \(.*p.py:1\): " + words):
            load_plugin(tmp_path, self.CODE).call(LABELS, **options)

    def test_call_needs_options_without_a_default(self, tmp_path):
        mine = load_plugin(tmp_path, "def f(labels, power: float): return [power] * len(labels)")
        with pytest.raises(PluginError, match="option power: is missing"):
            mine.call(LABELS)
        assert mine.problems() == [], "it can still be given"
        assert mine.call(LABELS, power=3).tolist() == [3, 3, 3]

    def test_call_takes_options_of_names_that_pydantic_reserves(self, tmp_path):
        code = "def f(labels, copy=1, _x: int = 2, model_dump: int = 3): return [copy + _x + model_dump] * len(labels)"
        assert load_plugin(tmp_path, code).call(LABELS, _x=10).tolist() == [14, 14, 14]

    def test_call_reads_postponed_annotations(self, tmp_path):
        code = "from __future__ import annotations\nfrom typing import Literal\n" + (
            "def f(labels, level: Literal['a', 'b'] = 'a'): return [1.0] * len(labels)"
        )
        with pytest.raises(PluginError, match="option level: expected one of a, b, got 'c'"):
            load_plugin(tmp_path, code).call(LABELS, level="c")

    def test_call_passes_any_option_where_the_function_takes_any(self, tmp_path):
        code = "def f(labels, **rest): return [rest['x']] * len(labels)"
        assert load_plugin(tmp_path, code).call(LABELS, x=4).tolist() == [4, 4, 4]


class TestContracts:
    @pytest.mark.parametrize(
        ("value", "words"),
        [
            ("None", "expected an array of numbers"),
            ("['a', 'b', 'c']", "expected an array of numbers"),
            ("[True] * 3", "expected an array of numbers"),
            ("[[1], [1, 2]]", "expected an array of weights"),
            ("[1.0, 2.0]", r"one weight for each of 3 photos, shape \(3,\), got \(2,\)"),
            ("[1.0, 1e200, 1.0]", r"expected weights from 1e-100 to 1e\+100, .* proportions count, got 1e"),
            ("[1.0, 1e-320, 1.0]", r"expected weights from 1e-100 to 1e\+100, .*, got 1e-320"),
            ("[1.0, -1.0, 0.0]", r"finite positive weights, got -1.0 for photo 1 \(2 such"),
            ("[1.0, float('nan'), 1.0]", "got nan for photo 1"),
        ],
    )
    def test_call_checks_weights(self, tmp_path, value, words):
        with pytest.raises(
            PluginError, match=r"sampler 'mine' \(.*p.py:1\): expected.*" + words.removeprefix("expected ")
        ):
            load_plugin(tmp_path, f"def f(labels): return {value}").call(LABELS)

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
            (
                "[Advice('oat', 'why', float('inf'))]",
                "Advice.score of 'oat' to be a number within 1,000,000 of 0, got inf",
            ),
        ],
    )
    def test_call_checks_advice(self, tmp_path, value, words):
        code = f"from hierpets.plugin import Advice\ndef f(case): return {value}"
        with pytest.raises(PluginError, match=words):
            load_plugin(tmp_path, code, kind="shampoo_rule").call(CASE)

    def test_call_takes_advice_from_a_generator(self, tmp_path):
        code = "from hierpets.plugin import Advice\ndef f(case):\n    yield Advice('oat', 'why', 1.0)"
        assert load_plugin(tmp_path, code, kind="shampoo_rule").call(CASE) == (Advice("oat", "why", 1.0),)

    @pytest.mark.parametrize(
        ("value", "words"),
        [
            ("None", "an iterable of SourcePhoto.*got None"),
            ("'a.jpg'", "an iterable of SourcePhoto.*got str"),
            ("['a.jpg']", "every item to be a SourcePhoto, got str"),
            ("[SourcePhoto('')]", "SourcePhoto.path to be a text, a path or an address, got ''"),
            ("[SourcePhoto('a.jpg', 3)]", "SourcePhoto.species of 'a.jpg' to be a text or None, got 3"),
            ("[SourcePhoto('a.jpg', 'cat', '')]", "SourcePhoto.breed of 'a.jpg' to be a text or None, got ''"),
        ],
    )
    def test_call_checks_photos_as_they_come(self, tmp_path, value, words):
        code = f"from hierpets.plugin import SourcePhoto\ndef f(source): return {value}"
        with pytest.raises(PluginError, match=r"p.py:2\): expected " + words):
            list(load_plugin(tmp_path, code, kind="reader").call("pets"))

    def test_call_of_a_reader_is_a_stream(self, tmp_path):
        code = """
            from itertools import count
            from hierpets.plugin import SourcePhoto
            def f(source): return (SourcePhoto(f"{source}/{n}.jpg") for n in count())
        """
        photos = load_plugin(tmp_path, code, kind="reader").call("pets")
        assert [next(photos).path for _ in range(2)] == ["pets/0.jpg", "pets/1.jpg"]

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
                r"species_classes\['dog'\] to be class indices from 0 to 8 of a species, got range\(5, 10\)",
            ),
            ("headed(nn.Linear(4, 9, bias=False), {})", r"inputs with a bias, got Linear\(.*bias=False\)"),
            ("headed(nn.Sequential(nn.Linear(4, 9)), {})", "a torch.nn.Linear of 1 to 4 inputs with a bias, got Seq"),
            ("headed(nn.Linear(4, 9).half(), {})", r"head\.weight to be torch.float32, got torch.float16"),
            ("headed(broken(nn.Linear(4, 9)), {})", r"head\.bias to be finite, got NaN or infinity"),
            ("headed(nn.Linear(4, 9), ['cat'])", "species_classes to be a mapping, got list"),
            ("headed(nn.Linear(4, 9), {'cat': ['a']})", r"\['cat'\] to be class indices .* got \['a'\]"),
            ("headed(nn.Linear(4, 9), {'cat': 3})", r"\['cat'\] to be class indices .* got 3"),
            ("headed(nn.Linear(4, 9), {3: [1]})", r"species_classes\[3\] to be class indices from 0 to 8 of a species"),
            ("headed(nn.Linear(4, 9), {}, ['a'])", "breeds to be a mapping, got list"),
            ("headed(nn.Linear(4, 9), {}, {3: [PretrainedBreed('dog', 3)]})", "whose names are texts, got 3: "),
            ("headed(nn.Linear(4, 9), {}, {3: [PretrainedBreed('dog', 'pug', 'mops')]})", "whose names are texts"),
            ("headed(nn.Linear(4, 9), {}, {'3': [PretrainedBreed('dog', 'pug')]})", "texts, got '3': "),
        ],
    )
    def test_call_checks_backbones(self, tmp_path, value, words):
        code = f"""
            from torch import nn
            from hierpets.plugin import Backbone, Preprocess, PretrainedBreed, PretrainedHead
            SMALL = Preprocess(size=16)
            class Log(nn.Module):
                def forward(self, photos): return (1 + photos).log().flatten(1)
            class Contrast(nn.Module):
                def forward(self, photos): return (photos / photos.std((1, 2, 3), keepdim=True)).flatten(1)
            def net(width): return nn.Sequential(nn.Flatten(), nn.Linear(768, width))
            def broken(head):
                nn.init.constant_(head.bias, float("nan"))
                return head
            def headed(*head): return Backbone(net(4), 4, SMALL, PretrainedHead(*head))
            def f(): return {value}
        """
        with pytest.raises(PluginError, match=words):
            load_plugin(tmp_path, code, kind="backbone").call()

    def test_call_tries_a_backbone_without_drawing_from_torchs_generator(self, tmp_path):
        import torch

        code = """
            from torch import nn
            from hierpets.plugin import Backbone, Preprocess
            def f(): return Backbone(nn.Flatten(), 768, Preprocess(size=16))
        """
        backbone = load_plugin(tmp_path, code, kind="backbone")
        torch.manual_seed(0)
        expected = torch.rand(1)
        torch.manual_seed(0)
        backbone.call()
        assert torch.rand(1) == expected

    def test_call_without_weights_passes_pretrained_false(self, tmp_path):
        code = "def f(pretrained: bool = True, width: int = 1): raise ValueError(f'{pretrained} {width}')"
        with pytest.raises(PluginError, match="False 5"):
            load_plugin(tmp_path, code, kind="backbone").call_without_weights(width=5)
        with pytest.raises(PluginError, match="once"):
            load_plugin(tmp_path, "def f(): raise ValueError('once')", kind="backbone").call_without_weights()


class TestFailingSoftly:
    def test_call_names_the_line_of_an_exception(self, tmp_path):
        mine = load_plugin(tmp_path, "def f(labels):\n    x = 1\n    return x / 0\n")
        with pytest.raises(PluginError, match=r"p.py:3\): ZeroDivisionError: division by zero"):
            mine.call(LABELS)

    def test_call_names_the_line_of_an_exception_in_a_generator(self, tmp_path):
        mine = load_plugin(tmp_path, "def f(case):\n    yield 1 / 0\n", kind="shampoo_rule")
        with pytest.raises(PluginError, match=r"p.py:2\): ZeroDivisionError"):
            mine.call(CASE)

    def test_call_names_the_line_of_an_exception_in_a_reader_that_has_begun(self, tmp_path):
        code = "from hierpets.plugin import SourcePhoto\ndef f(source):\n    yield SourcePhoto('a')\n    yield 1 / 0\n"
        photos = load_plugin(tmp_path, code, kind="reader").call("pets")
        next(photos)
        with pytest.raises(PluginError, match=r"reader 'mine' \(.*p.py:4\): ZeroDivisionError"):
            next(photos)

    def test_call_passes_on_what_a_reader_says_of_the_data(self, tmp_path):
        code = """
            from hierpets.plugin import DataError
            def f(source):
                raise DataError("pets:3: no breed")
                yield
        """
        with pytest.raises(DataError, match=r"^pets:3: no breed$"):
            list(load_plugin(tmp_path, code, kind="reader").call("pets"))

    def test_call_keeps_the_message_of_a_plugin_error(self, tmp_path):
        code = "from hierpets.plugin import PluginError\ndef f(labels): raise PluginError('feed it more photos')"
        with pytest.raises(PluginError, match=r"p.py:2\): feed it more photos$"):
            load_plugin(tmp_path, code).call(LABELS)

    def test_call_turns_system_exit_into_an_error(self, tmp_path):
        with pytest.raises(PluginError, match="SystemExit: 4"):
            load_plugin(tmp_path, "import sys\ndef f(labels): sys.exit(4)").call(LABELS)

    def test_call_lets_ctrl_c_through(self, tmp_path):
        with pytest.raises(KeyboardInterrupt):
            load_plugin(tmp_path, "def f(labels): raise KeyboardInterrupt").call(LABELS)

    @pytest.mark.parametrize(
        ("code", "words"),
        [
            ("x = 1\ndef f(labels:\n", r"p.py:2\): SyntaxError"),
            (
                "x = 1\nimport no_such_package.at_all\ndef f(labels): ...",
                r"p.py:2\): ModuleNotFoundError.*install the package",
            ),
            ("import beside\ndef f(labels): ...", "cannot import its neighbors"),
            ("from . import beside\ndef f(labels): ...", "relative import.*; a plugin is one file of no package"),
            ("def f(labels): ...\ndel f", "expected a function 'f'.*got None"),
            ("def f(labels): ...\nf = 3", "expected a function 'f'.*got 3"),
            ("from __future__ import annotations\ndef f(labels, x: Nowhere = 1): ...", "cannot be called as .*Nowhere"),
        ],
    )
    def test_call_raises_where_a_plugin_cannot_be_imported(self, tmp_path, code, words):
        (tmp_path / "beside.py").write_text("")
        mine = load_plugin(tmp_path, code)
        with pytest.raises(PluginError, match=words):
            mine.call(LABELS)
        ((location, message),) = mine.problems()
        assert location == ()
        assert str(tmp_path) in message
