"""The story on real photos: on a few of them, with networks too small to learn much; and its arithmetic."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "real_story.py"


@pytest.fixture(scope="module")
def story():
    spec = importlib.util.spec_from_file_location("real_story", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_counts_say_what_accuracy_hides(story):
    numbers = story.Counts(cats=(10, 40), dogs=(0, 100)).numbers()
    assert numbers["accuracy"] == pytest.approx(110 / 150)
    assert numbers["balanced accuracy"] == pytest.approx(0.6)
    assert (numbers["cat recall"], numbers["cat precision"]) == pytest.approx((0.2, 1.0))
    assert (numbers["dog recall"], numbers["dog precision"]) == pytest.approx((1.0, 100 / 140))
    assert story.Counts(cats=(0, 5), dogs=(0, 9)).numbers()["cat precision"] == 0


def test_a_prior_shift_moves_what_is_even_between_the_classes(story):
    p_cat, is_cat = np.array([0.2, 1 / 3, 0.9]), np.array([False, True, True])
    shifted = story.shifted(story.Model((p_cat, is_cat), (p_cat, is_cat)), share=1 / 3)
    assert shifted.test[0][1] == pytest.approx(0.5)
    assert (np.diff(shifted.test[0]) > 0).all() and (shifted.test[0] > p_cat).all()


def test_the_best_threshold_is_chosen_on_validation_photos(story):
    val = np.array([0.1, 0.2, 0.3, 0.4]), np.array([False, False, True, True])
    model = story.Model(val, (np.array([0.25, 0.35]), np.array([True, True])))
    assert story.best_threshold(model) == 0.3
    assert model.counts(0.3) == story.Counts(cats=(1, 1), dogs=(0, 0))


def test_photos_are_two_dogs_for_a_cat_in_parts_that_do_not_meet(story, tmp_path):
    photos = story.draw_photos("demo", dogs=40)
    sizes = {s: {part: len(paths) for part, paths in parts.items()} for s, parts in photos.parts.items()}
    assert sizes == {"cat": {"train": 12, "val": 2, "test": 6}, "dog": {"train": 24, "val": 4, "test": 12}}
    drawn = [path for parts in photos.parts.values() for paths in parts.values() for path in paths]
    assert len({*drawn, *photos.more}) == len(drawn) + 12
    rows = story.write_table(tmp_path / "t.csv", photos, more=True).read_text().splitlines()
    assert len(rows) == 1 + 60 + 12 and sum(row.endswith(",train") for row in rows) == 48


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_story_on_real_photos_tells_what_transfer_is_worth(story, data_dir, tmp_path, capfd):
    told = story.tell_story(str(data_dir / "pets"), tmp_path / "story", dogs=120, epochs=2)
    scratch, transfer = told["from scratch"].numbers(), told["with transfer"].numbers()
    assert sum(map(sum, told["from scratch"])) == 54
    assert transfer["accuracy"] > 0.95 > scratch["accuracy"]
    assert transfer["cat recall"] > 0.9 and transfer["balanced accuracy"] > scratch["balanced accuracy"] + 0.1
    assert len(told) == 7 and set(json.loads((tmp_path / "story" / "story.json").read_text())) == set(told)
    assert (tmp_path / "story" / "confusion.png").read_bytes().startswith(b"\x89PNG")
    story.print_table(told)
    assert "| with transfer | " in capfd.readouterr().out
