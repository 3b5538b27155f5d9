"""Files of formats without sums whose bytes were changed: the decoder takes them, and a warning says so."""

from __future__ import annotations

import re

import cv2
import numpy as np
import pytest
from helpers.pictures import encode
from PIL import Image

from hierpets.data.decoding.tiff import tiff_end
from hierpets.data.photos import read_photo
from hierpets.errors import ImageError

RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, (90, 120, 3)).astype(np.uint8)
PICTURE = Image.fromarray(cv2.GaussianBlur(NOISE, (0, 0), 2))
CLEAR = PICTURE.copy()
CLEAR.putalpha(Image.linear_gradient("L").resize(PICTURE.size))
FLAT = Image.new("RGB", (120, 90), "white")
EXIF = Image.Exif()
EXIF[0x010F] = "a maker with a long name"
EXIF.get_ifd(0x8769)[0x9003] = "2020:01:01 00:00:00"
EXIF.get_ifd(0x8825)[1] = "N"
WHOLE = {
    "WEBP": [{}, {"quality": 5}, {"lossless": True}, {"exif": EXIF}, {"icc_profile": b"x" * 501}],
    "TIFF": [
        {},
        *({"compression": name} for name in ("tiff_lzw", "packbits", "tiff_adobe_deflate", "jpeg")),
        {"exif": EXIF},
        {"big_tiff": True},
        {"save_all": True, "append_images": [PICTURE, FLAT]},
    ],
    "BMP": [{}],
}


def warnings_of(data: bytes) -> list[str]:
    told: list[str] = []
    read_photo(data, warn=told.append)
    return told


@pytest.mark.parametrize(("kind", "options"), [(kind, one) for kind, several in WHOLE.items() for one in several])
@pytest.mark.parametrize("picture", [PICTURE, FLAT, PICTURE.resize((9, 7)), PICTURE.convert("L"), CLEAR])
def test_whole_files_are_read_without_a_word(kind, options, picture):
    if options.get("compression") == "jpeg":
        picture = picture.convert("RGB")
    assert warnings_of(encode(picture, kind, **options)) == []


@pytest.mark.parametrize("rows", [0, 3])
def test_whole_tiffs_of_opencv_are_read_without_a_word(rows):
    options = [cv2.IMWRITE_TIFF_ROWSPERSTRIP, rows] if rows else []
    assert warnings_of(cv2.imencode(".tiff", NOISE.astype(np.uint16) * 257, options)[1].tobytes()) == []


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "WEBP"])
def test_bytes_that_were_put_in_are_told(kind):
    whole = encode(PICTURE, kind)
    middle = len(whole) // 2
    (told,) = warnings_of(whole[:middle] + b"\x55" * 40 + whole[middle:])
    assert re.search("of which (3[0-9]|40) belong to no picture", told)  # zeros at the end count as none


@pytest.mark.parametrize("options", [{}, {"quality": 20}, {"exif": EXIF}])
def test_bytes_of_a_webp_that_were_changed_are_told_or_refused(options):
    """WebP has no sums: what tells is that a coder that went astray stops elsewhere."""
    whole = encode(PICTURE, "WEBP", **options)
    found = 0
    for seed in range(40):
        broken = bytearray(whole)
        at = int(np.random.default_rng(seed).integers(len(whole) // 4, len(whole) // 2))
        broken[at] ^= 0xFF
        try:
            found += bool(warnings_of(bytes(broken)))
        except ImageError:
            found += 1
    assert found >= 36


def test_an_animation_is_read_without_a_word():
    assert warnings_of(encode(PICTURE, "WEBP", save_all=True, append_images=[FLAT])) == []


def test_tiff_end_counts_what_every_directory_speaks_of():
    whole = encode(PICTURE, "TIFF", save_all=True, append_images=[FLAT])
    assert len(whole) - 16 < tiff_end(whole) <= len(whole)
    assert tiff_end(whole + bytes(500)) == tiff_end(whole)


def test_a_tiff_of_circling_directories_ends():
    directory = b"\x01\x00" + b"\x00\x01\x04\x00\x01\x00\x00\x00\x40\x00\x00\x00" + b"\x08\x00\x00\x00"
    assert tiff_end(b"II*\x00\x08\x00\x00\x00" + directory) == 8 + len(directory)
