"""Corruptions change a photo in the way that they say, each time in the same way, more with each step."""

from __future__ import annotations

import numpy as np
import pytest

from hierpets.data.photos import read_photo
from hierpets.evaluation.stress.corruptions import CORRUPTIONS, STEPS, limit_shorter_side

BY_KIND = {kind: [c for c in CORRUPTIONS if c.kind == kind] for kind in dict.fromkeys(c.kind for c in CORRUPTIONS)}


@pytest.fixture(scope="module")
def photo():
    """A textured photo that is wider than high."""
    pixels = np.tile(read_photo("demo:dog/dalmatian/3"), (2, 3, 1))[:300, :400]
    return np.ascontiguousarray(pixels)


def change(kind, step, photo):
    return BY_KIND[kind][step - 1](photo)


def test_every_kind_has_every_step():
    assert len(BY_KIND) == 9
    assert all([c.step for c in steps] == list(range(1, STEPS + 1)) for steps in BY_KIND.values())


@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=lambda c: f"{c.kind} {c.step}")
def test_a_corruption_changes_the_same_photo_in_the_same_way(corruption, photo):
    before = photo.copy()
    changed = corruption(photo)
    assert changed.dtype == np.uint8 and changed.ndim == 3 and changed.flags.c_contiguous
    assert changed.shape != photo.shape or (changed != photo).any()
    assert (photo == before).all()
    assert (corruption(photo.copy()) == changed).all()


def test_what_is_random_differs_between_photos():
    photos = [np.random.default_rng(seed).integers(0, 255, (60, 60, 3), np.uint8) for seed in range(12)]
    covered = {tuple(np.argwhere(change("hidden", 3, p) != p)[0][:2].tolist()) for p in photos}
    turned = [int((change("turned", 3, p) == np.rot90(p)).all()) for p in photos]
    assert len(covered) > 1
    assert 0 < sum(turned) < len(photos)


def test_smaller_has_the_shorter_side_that_it_says(photo):
    assert [min(change("smaller", step, photo).shape[:2]) for step in (1, 2, 3)] == [200, 140, 96]
    assert change("smaller", 3, photo).shape[:2] == (96, 128)


def test_softer_loses_detail_and_keeps_the_mean(photo):
    detail = [np.abs(np.diff(change("softer", step, photo).astype(int), axis=1)).mean() for step in (1, 2, 3)]
    assert np.abs(np.diff(photo.astype(int), axis=1)).mean() > detail[0] > detail[1] > detail[2]
    assert change("softer", 3, photo).mean() == pytest.approx(photo.mean(), abs=1)


def test_compressed_errs_more_with_each_step_and_treats_red_as_red(photo):
    error = [np.abs(change("compressed", step, photo).astype(int) - photo).mean() for step in (1, 2, 3)]
    assert 0 < error[0] < error[1] < error[2] < 30
    # JPEG keeps green best and blue worst: blue first would keep red worst.
    noise = np.random.default_rng(0).integers(0, 255, (160, 160, 3), np.uint8)
    by_channel = np.abs(change("compressed", 2, noise).astype(int) - noise).mean(axis=(0, 1))
    assert by_channel[1] < by_channel[0] < by_channel[2]


def test_exposure_multiplies_light_by_a_power_of_two():
    gray = np.full((8, 8, 3), 80, np.uint8)
    darker, brighter = change("darker", 2, gray)[0, 0, 0], change("brighter", 2, gray)[0, 0, 0]
    assert (80 / darker) ** 2.2 == pytest.approx(4, rel=0.06)
    assert (brighter / 80) ** 2.2 == pytest.approx(2, rel=0.06)
    assert change("brighter", 1, np.full((8, 8, 3), 250, np.uint8)).max() == 255


def test_cropped_is_a_part_of_the_photo_and_steps_lie_within_each_other(photo):
    numbered = np.arange(60 * 80, dtype=np.uint32).view(np.uint8).reshape(60, 80, 4)[..., :3]
    parts = [change("cropped", step, numbered) for step in (1, 2, 3)]
    assert [part.shape[:2] for part in parts] == [(51, 68), (42, 56), (33, 44)]
    pixels = [set(map(tuple, part.reshape(-1, 3).tolist())) for part in parts]
    assert pixels[2] < pixels[1] < pixels[0]


def test_hidden_covers_one_side_with_one_color(photo):
    for step, share in ((1, 0.15), (2, 0.30), (3, 0.50)):
        changed = change("hidden", step, photo)
        mean = photo.mean(axis=(0, 1)).astype(np.uint8)
        assert (changed == mean).all(axis=2).mean() == pytest.approx(share, abs=0.02)


def test_far_away_holds_the_whole_photo_in_a_frame_of_the_same_size(photo):
    changed = change("far away", 2, photo)
    assert changed.shape == photo.shape
    inner = limit_shorter_side(photo, 150)
    assert any(
        (changed[top : top + inner.shape[0], left : left + inner.shape[1]] == inner).all()
        for top in range(photo.shape[0] - inner.shape[0] + 1)
        for left in range(photo.shape[1] - inner.shape[1] + 1)
    )


def test_limit_shorter_side_leaves_small_photos_alone(photo):
    assert limit_shorter_side(photo, 300) is photo
    assert limit_shorter_side(photo, 30).shape == (30, 40, 3)


@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=lambda c: f"{c.kind} {c.step}")
@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (9, 3)])
def test_a_corruption_bears_the_smallest_photos(corruption, shape):
    changed = corruption(np.full((*shape, 3), 90, np.uint8))
    assert changed.size and changed.dtype == np.uint8
