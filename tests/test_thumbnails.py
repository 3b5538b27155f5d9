"""Small picture files of pixels."""

import base64
import io

import numpy as np
from PIL import Image

from hierpets.thumbnails import data_uri, encode_jpeg, encode_png, limit_longer_side

PHOTO = np.zeros((40, 80, 3), np.uint8)
PHOTO[..., 0] = 200  # red


def test_limit_longer_side_bounds_the_longer_side_and_never_enlarges():
    assert limit_longer_side(PHOTO, 20).shape == (10, 20, 3)
    assert limit_longer_side(PHOTO, 80) is PHOTO
    assert limit_longer_side(np.zeros((1, 500, 3), np.uint8), 10).shape == (1, 10, 3)


def test_encode_png_keeps_every_pixel_and_encode_jpeg_the_color():
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(encode_png(PHOTO)))), PHOTO)
    jpeg = Image.open(io.BytesIO(encode_jpeg(PHOTO)))
    assert jpeg.format == "JPEG" and np.abs(np.asarray(jpeg).astype(int) - PHOTO).max() < 10


def test_data_uri_holds_a_small_jpeg():
    head, _, body = data_uri(PHOTO, 20).partition(",")
    assert head == "data:image/jpeg;base64"
    assert Image.open(io.BytesIO(base64.b64decode(body))).size == (20, 10)
