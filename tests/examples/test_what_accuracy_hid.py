"""The story of the cats that nobody counted, on a few synthetic images."""

import importlib.util
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "what_accuracy_hid.py"


@pytest.fixture(scope="module")
def story():
    spec = importlib.util.spec_from_file_location("what_accuracy_hid", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_tell_story_shows_the_cats_that_accuracy_hides(story, tmp_path, capfd):
    told = story.tell_story(tmp_path, cats=1, dogs=8, epochs=2)
    scratch, fixed = told["scratch"], told["fixed"]
    assert scratch["accuracy"] > 0.85
    assert scratch["cat recall"] <= 0.2
    assert scratch["balanced accuracy"] < 0.65
    assert fixed["balanced accuracy"] > scratch["balanced accuracy"] + 0.2
    assert fixed["cat recall"] >= 0.8
    said = capfd.readouterr().out
    assert "sampler species_balanced" in said
    assert "Accuracy hides it" in said
    assert "fail     recall of every class?" in said
    assert "cat recall is" in (tmp_path / "scratch" / "evaluation" / "report.html").read_text()
    story.print_table(told)
    assert f"{scratch['cat recall']:.1%}" in capfd.readouterr().out
