"""The preprocessing says which pixels a photo becomes: interpolation and decode margin are part of it."""

import cv2
import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from hierpets.data.photos import read_photo
from hierpets.data.transforms import apply, denormalize, read_square, to_square
from hierpets.plugin import Preprocess

PHOTO = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
PLAIN = {"size": 64, "resize": "squash", "mean": (0.5,) * 3, "std": (0.5,) * 3}


@pytest.mark.parametrize("name", ["nearest", "bilinear", "bicubic", "lanczos"])
def test_apply_resizes_as_pillow_does(name):
    preprocess = Preprocess(**PLAIN, interpolation=name)
    expected = np.asarray(Image.fromarray(PHOTO).resize((64, 64), getattr(Image.Resampling, name.upper())))
    np.testing.assert_array_equal(denormalize(preprocess, apply(preprocess, PHOTO)), expected)


@pytest.mark.parametrize(
    ("size", "method"), [(40, cv2.INTER_AREA), (45, cv2.INTER_AREA), (64, cv2.INTER_LINEAR), (100, cv2.INTER_CUBIC)]
)
def test_apply_adaptive_chooses_by_the_factor(size, method):
    preprocess = Preprocess(**PLAIN | {"size": size})
    expected = cv2.resize(PHOTO, (size, size), interpolation=method)
    np.testing.assert_array_equal(denormalize(preprocess, apply(preprocess, PHOTO)), expected)


@pytest.mark.parametrize(("margin", "side"), [(1.0, 100), (1.5, 150), (1.33, 133)])
def test_preprocess_decoded_side_leaves_its_margin(margin, side):
    assert Preprocess(size=100, crop=1.0, decode_margin=margin).decoded_side == side


def test_preprocess_refuses_a_margin_that_no_photo_has():
    with pytest.raises(ValidationError, match="decode_margin"):
        Preprocess(decode_margin=1e308)


def test_read_square_decodes_no_larger_than_the_margin_asks(monkeypatch):
    asked = []

    def remember(photo, *, shorter_side, **words):
        asked.append(shorter_side)
        return read_photo(photo, shorter_side=shorter_side, **words)

    monkeypatch.setattr("hierpets.data.transforms.read_photo", remember)
    preprocess = Preprocess(size=80, crop=0.8, decode_margin=1.25)
    pixels = read_square(PHOTO, preprocess)
    assert asked == [125]
    np.testing.assert_array_equal(pixels, to_square(preprocess, PHOTO))
