import os
import signal
import sys
import time

import numpy as np
import pytest

from hierpets.data.demo import render
from hierpets.data.photos import read_photo
from hierpets.errors import HierpetsError, InternalError
from hierpets.explain.explainer import Explainer
from hierpets.inference.options import PredictOptions
from hierpets.registry.loading import load_registry
from hierpets.serve.explaining import ExplainerProcess, lazy_explainer

OPTIONS = PredictOptions()


@pytest.fixture
def explain(tiny_run):
    explainer = lazy_explainer(tiny_run / "bundle", load_registry(tiny_run.parent / "registry.yaml"))
    yield explainer
    explainer.close()


def test_lazy_explainer_gives_a_picture_of_the_same_shape(explain):
    assert not explain.running
    photo = render("demo:cat/siamese/1")[:200]
    shown = read_photo(explain(photo, OPTIONS))
    assert shown.shape == photo.shape
    assert np.abs(shown.astype(int) - photo).max() > 30  # something is laid over it
    assert np.array_equal(read_photo(explain(photo, OPTIONS)), shown)


def names_dog(decision):
    return (decision.level, decision.species) == ("breed", "dog")


def test_lazy_explainer_shows_what_the_options_ask_for(explain, tiny_run):
    explainer = Explainer.load(tiny_run / "bundle", registry=tiny_run.parent / "registry.yaml")
    bold = PredictOptions(alpha=0.9)
    explained = (explainer.explain(render(f"demo:dog/dalmatian/{number}"), bold) for number in range(20))
    found = next(one for one in explained if names_dog(one.prediction.decision))
    photo = found.photo
    of_species = PredictOptions(alpha=0.9, max_level="species")
    of_cats = PredictOptions(max_level="species", only=("cat",))
    shown = [read_photo(explain(photo, options)) for options in (bold, of_species, of_cats)]
    expected = [found.breed, found.species, explainer.explain(photo, of_cats).species]
    assert np.array_equal(shown, expected)
    assert len({picture.tobytes() for picture in shown}) == 3


def test_lazy_explainer_is_none_without_the_plugin_of_the_backbone(tiny_run):
    assert lazy_explainer(tiny_run / "bundle", load_registry()) is None


@pytest.mark.slow
def test_explainer_process_ends_when_idle_and_starts_again(tiny_run):
    explainer = ExplainerProcess(tiny_run / "bundle", tiny_run.parent / "registry.yaml", idle_seconds=0.1)
    photo = render("demo:cat/siamese/1")
    first = explainer(photo, OPTIONS)
    deadline = time.monotonic() + 20
    while explainer.running:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert explainer(photo, OPTIONS) == first
    explainer.close()


@pytest.mark.slow
def test_explainer_process_that_was_killed_is_told_and_replaced(explain):
    photo = render("demo:cat/siamese/1")
    first = explain(photo, OPTIONS)
    os.kill(explain._process.pid, signal.SIGSTOP)  # so that it is still there when the photo is sent
    killer = explain._process
    explain._ask = lambda *asked: (killer.kill(), type(explain)._ask(explain, *asked))[1]
    with pytest.raises(InternalError, match="has ended; try again"):
        explain(photo, OPTIONS)
    del explain._ask
    assert explain(photo, OPTIONS) == first


def test_half_an_answer_of_the_explainer_process_is_an_error(tmp_path):
    half = [sys.executable, "-c", "print('{\"error\": null, \"size\": 1000}', flush=True); print(10 * 'x')"]
    explainer = ExplainerProcess(tmp_path, tmp_path / "registry.yaml")
    explainer._command = half
    with pytest.raises(InternalError, match="has ended; try again"):
        explainer(render("demo:cat/siamese/1"), OPTIONS)
    explainer.close()


def test_explainer_process_that_takes_too_long_is_ended(tmp_path):
    explainer = ExplainerProcess(tmp_path, tmp_path / "registry.yaml", explain_seconds=0.3)
    explainer._command = [sys.executable, "-c", "import time; time.sleep(20)"]
    with pytest.raises(TimeoutError, match=r"no explanation within 0\.3 s"):
        explainer(render("demo:cat/siamese/1"), OPTIONS)
    assert not explainer.running
    explainer.close()


def test_explainer_process_hands_errors_over(tmp_path, tiny_run):
    explainer = ExplainerProcess(tmp_path, tiny_run.parent / "registry.yaml")
    with pytest.raises(HierpetsError, match="no bundle here"):
        explainer(render("demo:cat/siamese/1"), OPTIONS)
    explainer.close()
