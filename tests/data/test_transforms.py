"""One exact way from photo to input, and augmentation that depends on (seed, epoch, index) alone."""

from __future__ import annotations

import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hierpets.data.transforms import Augment, apply, normalize
from hierpets.plugin import Preprocess

SMALL = Preprocess(size=48, crop=0.875, mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.5))


def scene(width: int, height: int) -> np.ndarray:
    x, y = np.meshgrid(np.linspace(0, 3, width), np.linspace(0, 2, height))
    return np.stack([127 + 120 * np.sin(3 * x), 127 + 120 * np.cos(4 * y), 60 * (x + y) % 255], -1).astype(np.uint8)


@given(width=st.integers(1, 200), height=st.integers(1, 200), squash=st.booleans())
@settings(max_examples=60, deadline=None)
def test_apply_makes_any_photo_a_finite_input_of_the_right_shape(width, height, squash):
    preprocess = SMALL.model_copy(update={"resize": "squash" if squash else "crop"})
    x = apply(preprocess, scene(width, height))
    assert x.shape == (3, 48, 48)
    assert x.dtype == np.float32
    assert x.flags.c_contiguous
    assert np.isfinite(x).all()


def test_normalize_is_exact():
    photo = scene(48, 48)
    expected = (photo.astype(np.float64).transpose(2, 0, 1) / 255 - np.reshape(SMALL.mean, (3, 1, 1))) / np.reshape(
        SMALL.std, (3, 1, 1)
    )
    np.testing.assert_allclose(normalize(SMALL, photo), expected, atol=1e-5)


@pytest.mark.parametrize(("width", "height"), [(400, 300), (300, 500), (220, 220), (40, 60)])
def test_apply_agrees_with_resize_then_crop_of_pillow(width, height):
    plain = Preprocess(size=96, crop=0.875, mean=(0, 0, 0), std=(1, 1, 1))
    scale = plain.shorter_side / min(width, height)
    shorter = [round(width * scale), round(height * scale)]
    method = Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
    resized = Image.fromarray(scene(width, height)).resize(shorter, method)
    left, top = (shorter[0] - 96) // 2, (shorter[1] - 96) // 2
    expected = np.asarray(resized.crop((left, top, left + 96, top + 96))).transpose(2, 0, 1) / 255
    assert np.abs(apply(plain, scene(width, height)) - expected).mean() < 0.02


def test_apply_squash_keeps_the_borders_and_crop_cuts_them():
    photo = np.zeros((100, 100, 3), np.uint8)
    photo[:, :5] = 255
    assert apply(SMALL.model_copy(update={"resize": "squash"}), photo)[0, :, 0].min() > 0
    assert apply(SMALL, photo)[0].max() < 0


def test_apply_costs_no_more_for_a_strip_than_for_a_square():
    assert apply(SMALL, np.zeros((3, 60_000, 3), np.uint8)).shape == (3, 48, 48)


def test_apply_does_not_alias_when_it_shrinks():
    stripes = np.zeros((800, 800, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.ptp(apply(SMALL, stripes)[0]) < 0.2


def test_transforms_imports_no_albumentations():
    code = "import sys, hierpets.data.transforms; print('albumentations' in sys.modules, 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split() == ["False"] * 2


AUGMENT = Augment(SMALL, seed=7)
JOBS = [(epoch, index) for epoch in range(3) for index in range(6)]


def draw(job: tuple[int, int]) -> bytes:
    epoch, index = job
    return AUGMENT(scene(80, 70), epoch=epoch, index=index).tobytes()


def test_augment_depends_on_nothing_but_seed_epoch_and_index():
    alone = {job: draw(job) for job in JOBS}
    backwards = {job: draw(job) for job in reversed(JOBS)}
    with ThreadPoolExecutor(3) as threads:
        threaded = dict(zip(JOBS, threads.map(draw, JOBS), strict=True))
    assert alone == backwards == threaded
    code = "from test_transforms import *; sys.stdout.buffer.write(b''.join(draw(job) for job in JOBS[::-2]))"
    here = Path(__file__).parent
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, cwd=here).stdout
    assert other == b"".join(alone[job] for job in JOBS[::-2]), "another process, every second job, backwards"
    restored = pickle.loads(pickle.dumps(AUGMENT))
    assert restored(scene(80, 70), epoch=1, index=2).tobytes() == alone[1, 2]


def test_augment_draws_anew_for_every_sample_epoch_and_seed():
    views = {draw(job) for job in JOBS}
    assert len(views) == len(JOBS)
    assert Augment(SMALL, seed=8)(scene(80, 70), epoch=0, index=0).tobytes() not in views


def test_augment_steps_fall_independently():
    """A flip must not go with a brighter photo: one seed for all steps would tie their coins together."""
    ramp = np.repeat(np.linspace(60, 180, 64).astype(np.uint8)[None, :, None], 64, 0).repeat(3, 2)
    flipped, brightness = [], []
    for index in range(300):
        x = AUGMENT(ramp, epoch=0, index=index)[0]
        flipped.append(x[:, :10].mean() > x[:, -10:].mean())
        brightness.append(x.mean())
    assert 0.4 < np.mean(flipped) < 0.6
    assert abs(np.corrcoef(flipped, brightness)[0, 1]) < 0.15


def test_augment_keeps_coat_color():
    """Channels of a one-colored photo keep their order and their ratios: no hue shift, no gray."""
    coat = np.full((64, 64, 3), (200, 140, 60), np.uint8)
    plain = Preprocess(size=48, mean=(0, 0, 0), std=(1, 1, 1))
    for index in range(40):
        red, green, blue = np.median(Augment(plain)(coat, epoch=0, index=index), axis=(1, 2))
        assert red > green > blue
        assert red - blue > 0.25


@pytest.mark.parametrize("resize", ["crop", "squash"])
def test_augment_gives_inputs_of_the_plain_shape(resize):
    preprocess = SMALL.model_copy(update={"resize": resize})
    for size in ((20, 30), (300, 100)):
        x = Augment(preprocess)(scene(*size), epoch=0, index=0)
        assert x.shape == (3, 48, 48)
        assert x.dtype == np.float32
