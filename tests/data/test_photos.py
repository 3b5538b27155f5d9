"""Every format decodes to the pixels Pillow sees; what cannot be read says why. Pictures are written by Pillow."""

from __future__ import annotations

import io
import os
import re
import struct
import sys
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from helpers.pictures import encode
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

import hierpets
from hierpets.data import photos
from hierpets.data.decoding import decoders
from hierpets.data.decoding.formats import picture_size, sniff
from hierpets.data.photos import Limits, read_photo
from hierpets.errors import ConfigError, ImageError

RNG = np.random.default_rng(0)
W, H = 90, 60


def scene(width: int = W, height: int = H) -> np.ndarray:
    """A smooth picture no turn of which equals another."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    return np.stack([255 * x, 255 * y, 255 * (1 - x) * y], -1).round().astype(np.uint8)


def with_alpha(alpha: np.ndarray) -> Image.Image:
    return Image.merge("RGBA", [*Image.fromarray(scene()).split(), Image.fromarray(alpha)])


def photo_size(data: bytes) -> tuple[int, int]:
    return picture_size(data, sniff(data))


def difference(a: np.ndarray, b: np.ndarray) -> float:
    assert a.shape == b.shape
    return float(np.abs(a.astype(int) - b).mean())


PICTURE = Image.fromarray(scene())
JPEG = encode(PICTURE, "JPEG", quality=95)
PNG = encode(PICTURE, "PNG")

SIXTEEN = scene().astype(np.uint16) * 257
CASES = {
    "jpeg": (JPEG, "JPEG"),
    "progressive jpeg": (encode(PICTURE, "JPEG", quality=95, progressive=True), "JPEG"),
    "gray jpeg": (encode(PICTURE.convert("L"), "JPEG", quality=95), "JPEG"),
    "cmyk jpeg": (encode(PICTURE.convert("CMYK"), "JPEG", quality=95), "JPEG"),
    "png": (PNG, "PNG"),
    "gray png": (encode(PICTURE.convert("L"), "PNG"), "PNG"),
    "palette png": (encode(PICTURE.convert("P"), "PNG"), "PNG"),
    "bilevel png": (encode(PICTURE.convert("1"), "PNG"), "PNG"),
    "gif": (encode(PICTURE.convert("P"), "GIF"), "GIF"),
    "webp": (encode(PICTURE, "WEBP", lossless=True), "WebP"),
    "lossy webp": (encode(PICTURE, "WEBP", quality=95), "WebP"),
    "bmp": (encode(PICTURE, "BMP"), "BMP"),
    "palette bmp": (encode(PICTURE.convert("P"), "BMP"), "BMP"),
    "tiff": (encode(PICTURE, "TIFF"), "TIFF"),
    "lzw tiff": (encode(PICTURE, "TIFF", compression="tiff_lzw"), "TIFF"),
    "cmyk tiff": (encode(PICTURE.convert("CMYK"), "TIFF"), "TIFF"),
    "gray tiff": (encode(PICTURE.convert("L"), "TIFF"), "TIFF"),
}


@pytest.mark.parametrize("name", CASES)
def test_read_photo_decodes_formats_as_pillow_does(name):
    data, kind = CASES[name]
    assert sniff(data) == kind
    assert picture_size(data, kind) == (W, H)
    photo = read_photo(data)
    assert photo.dtype == np.uint8
    assert photo.flags.c_contiguous
    assert difference(photo, np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))) < 2.0


def test_read_photo_takes_the_first_frame_of_animations():
    other = ImageOps.mirror(PICTURE)
    for kind in ("GIF", "WEBP"):
        data = encode(PICTURE.convert("P") if kind == "GIF" else PICTURE, kind, save_all=True, append_images=[other])
        assert difference(read_photo(data), scene()) < 20 < difference(read_photo(data), np.asarray(other))


def test_an_avif_waits_for_as_much_memory_as_its_decoder_takes(monkeypatch):
    held = []
    monkeypatch.setattr(photos, "DECODING", SimpleNamespace(hold=lambda size: held.append(size) or nullcontext()))
    read_photo(encode(PICTURE, "AVIF"), limits=Limits(max_pixels=2 * W * H))
    assert held[0] >= 32 * W * H


@pytest.mark.parametrize("color", [True, False])
@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_read_photo_makes_sixteen_bits_eight(color, suffix):
    pixels = SIXTEEN[..., ::-1] if color else SIXTEEN[..., 0]
    photo = read_photo(cv2.imencode(suffix, pixels)[1].tobytes())
    expected = scene() if color else np.repeat(scene()[..., :1], 3, axis=2)
    np.testing.assert_array_equal(photo, expected)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_read_photo_lays_transparency_on_white(kind):
    alpha = np.linspace(0, 255, W * H).astype(np.uint8).reshape(H, W)
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    photo = read_photo(encode(with_alpha(alpha), kind, **options))
    share = alpha[..., None] / 255
    assert np.abs(photo - (scene() * share + 255 * (1 - share))).max() <= 2


def test_read_photo_lays_gray_palette_and_sixteen_bits_on_white():
    half = Image.fromarray(np.full((H, W), 128, np.uint8))
    gray = read_photo(encode(Image.merge("LA", [PICTURE.convert("L"), half]), "PNG"))
    assert difference(gray, np.asarray(PICTURE.convert("L"))[..., None].repeat(3, 2) / 2 + 127) < 2
    palette = Image.fromarray(np.zeros((4, 4), np.uint8), "L").convert("P")
    assert read_photo(encode(palette, "PNG", transparency=0)).min() == 255
    deep = np.dstack([SIXTEEN[..., ::-1], np.full((H, W), 32896, np.uint16)])
    photo = read_photo(cv2.imencode(".png", deep)[1].tobytes())
    assert np.abs(photo - (scene() * (128 / 255) + 127)).max() <= 2


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "RGBA PNG", "RGBA WEBP"])
def test_read_photo_applies_exif_orientation(kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = with_alpha(np.full((H, W), 255, np.uint8)) if kind.startswith("RGBA") else PICTURE
    data = encode(picture, kind.split()[-1], exif=exif, **({"lossless": True} if "WEBP" in kind else {}))
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    assert difference(read_photo(data), np.asarray(upright)) < 1
    assert photo_size(data) == (W, H), "as stored, not as turned"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["AVIF", "HEIC"])
def test_read_photo_turns_a_photo_as_its_boxes_say(kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(encode(PICTURE, "PNG", exif=exif))))
    data = turned_heic(exif) if kind == "HEIC" else encode(PICTURE, "AVIF", quality=95, exif=exif)
    assert (b"irot" in data or b"imir" in data) == (orientation > 1)
    assert difference(read_photo(data), np.asarray(upright)) < 4


def turned_heic(exif: Image.Exif) -> bytes:
    """A HEIC of :data:`PICTURE` whose boxes and whose EXIF block both state the orientation, as phones write them."""
    pillow_heif = pytest.importorskip("pillow_heif")
    buffer = io.BytesIO()
    pillow_heif.encode("RGB", PICTURE.size, PICTURE.tobytes(), buffer, exif=exif.tobytes(), quality=95)
    return buffer.getvalue()


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize(("target", "reduction"), [(None, 1), (301, 1), (300, 2), (151, 2), (150, 4), (75, 8), (9, 8)])
def test_read_photo_takes_the_largest_jpeg_reduction_that_suffices(target, reduction, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(Image.fromarray(scene(800, 600)), "JPEG", exif=exif)
    photo = read_photo(data, shorter_side=target)
    assert min(photo.shape[:2]) == 600 // reduction
    assert (photo.shape[0] > photo.shape[1]) == (orientation == 6)


@pytest.mark.parametrize("target", [40, 90, 180])
def test_read_photo_shows_the_same_photo_at_a_reduced_decode(target):
    blurred = cv2.GaussianBlur(RNG.integers(0, 256, (600, 800, 3)).astype(np.uint8), (0, 0), 5)
    data = encode(Image.fromarray(cv2.convertScaleAbs(blurred, alpha=4, beta=-380)), "JPEG", quality=90)
    full, reduced = read_photo(data), read_photo(data, shorter_side=target)
    assert reduced.shape[0] < full.shape[0]
    same = cv2.resize(full, reduced.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert difference(reduced, same) < 2.5


def test_read_photo_ignores_the_name(tmp_path):
    file = tmp_path / "photo.jpg"
    file.write_bytes(PNG)
    np.testing.assert_array_equal(read_photo(file), scene())
    np.testing.assert_array_equal(read_photo(str(file)), read_photo(PNG))


def test_read_photo_passes_arrays_through():
    np.testing.assert_array_equal(read_photo(scene()), scene())
    assert read_photo(scene()[..., 0]).shape == (H, W, 3)
    for wrong in (scene().astype(np.float32), scene()[..., :2], np.zeros((0, 4, 3), np.uint8), np.zeros(4, np.uint8)):
        with pytest.raises(ImageError, match="expected a uint8 array"):
            read_photo(wrong)


def test_read_photo_decodes_an_image_that_several_threads_ask_for_once():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encode(Image.fromarray(scene(900, 600)), "PNG", exif=exif)
    expected = read_photo(data)
    with ThreadPoolExecutor(4) as pool:
        for _ in range(10):
            opened = [Image.open(io.BytesIO(data))] * 4
            assert all(np.array_equal(photo, expected) for photo in pool.map(read_photo, opened))


NOT_PICTURES = {
    b"<!DOCTYPE html><html>": "it is an HTML page",
    b"\n <html><body>": "it is an HTML page",
    b"<svg xmlns=": "SVG",
    b"%PDF-1.7 ": "it is a PDF document",
    b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2": "MP4 or QuickTime video",
    b"\x1aE\xdf\xa3\x9f": "WebM video",
    b"RIFF\x00\x00\x00\x00AVI LIST": "AVI video",
    b"PK\x03\x04": "ZIP",
    b"version https://git-lfs.github.com/spec/v1": "Git LFS",
    b"\xff\x0a\x00": "JPEG XL",
    b"hello world, this is text": "it starts with b'hello world,'",
    b"\xff": "it starts with",
}


@pytest.mark.parametrize("data", NOT_PICTURES)
def test_read_photo_names_what_is_not_a_picture(data, tmp_path):
    file = tmp_path / "cat.jpg"
    file.write_bytes(data)
    with pytest.raises(ImageError, match=NOT_PICTURES[data]) as caught:
        read_photo(file)
    assert str(caught.value).startswith(str(file))
    assert "\n" not in str(caught.value)


def test_read_photo_refuses_missing_empty_and_odd_paths(tmp_path):
    (tmp_path / "empty.jpg").touch()
    for path, message in [
        (tmp_path / "none.jpg", "no such file"),
        (tmp_path, "is a folder"),
        (tmp_path / "empty.jpg", "empty"),
        ("a\0b.jpg", "cannot be read"),
        (os.devnull, "not a regular file"),
        ("", "^the photo: expected a path, got an empty one$"),
    ]:
        with pytest.raises(ImageError, match=message):
            read_photo(path)
    with pytest.raises(ImageError, match="the photo: the file is empty"):
        read_photo(b"")


@pytest.mark.parametrize("name", [n for n in CASES if n != "progressive jpeg"])
@pytest.mark.parametrize("share", [0.3, 0.6])
def test_read_photo_refuses_truncated_files(name, share):
    data, _ = CASES[name]
    with pytest.raises(ImageError, match=r"truncated|damaged"):
        read_photo(data[: int(len(data) * share)])


@pytest.mark.parametrize("padding", [b"", bytes(5000)])
def test_read_photo_refuses_a_half_downloaded_jpeg(padding):
    noisy = Image.fromarray(RNG.integers(0, 256, (300, 400, 3)).astype(np.uint8))
    data = encode(noisy, "JPEG")
    for share in (0.2, 0.5, 0.8):
        with pytest.raises(ImageError, match=r"truncated JPEG: the lower .*% of the picture is missing"):
            read_photo(data[: int(len(data) * share)] + padding)


def test_read_photo_reads_a_jpeg_that_lost_only_its_last_bytes():
    noisy = Image.fromarray(RNG.integers(0, 256, (300, 400, 3)).astype(np.uint8))
    data = encode(noisy, "JPEG")
    for lost in (1, 2, 12):
        warnings: list[str] = []
        photo = read_photo(data[:-lost], warn=warnings.append)
        assert warnings == ["damaged JPEG: Premature end of JPEG file"]
        assert difference(photo[:-16], read_photo(data)[:-16]) == 0


@pytest.mark.parametrize("end", [b"", b"\xff\xd9"])
def test_read_photo_takes_a_progressive_jpeg_only_with_its_fine_scans(end):
    blurred = cv2.GaussianBlur(RNG.integers(0, 256, (300, 400, 3)).astype(np.uint8), (0, 0), 2)
    data = encode(Image.fromarray(blurred), "JPEG", progressive=True)
    whole, answered = read_photo(data), []
    for share in np.linspace(0.1, 0.95, 18):
        warnings: list[str] = []
        try:
            photo = read_photo(data[: int(len(data) * share)] + end, warn=warnings.append)
        except ImageError as error:
            assert "only a blurred" in str(error) or "is missing" in str(error)
            assert not answered
        else:
            answered.append(difference(photo, whole))
            assert "premature end" in warnings[0].lower()
    assert answered
    assert max(answered) < 6


def test_read_photo_refuses_a_progressive_jpeg_cut_between_two_scans():
    data = encode(PICTURE, "JPEG", quality=95, progressive=True)
    second = data.index(b"\xff\xda", data.index(b"\xff\xda") + 2)
    with pytest.raises(ImageError, match="only a blurred picture"):
        read_photo(data[:second] + b"\xff\xd9")


def cut(data: bytes, zeros: float) -> bytes:
    """A file whose last share is zeros."""
    kept = round(len(data) * (1 - zeros))
    return data[:kept] + bytes(len(data) - kept)


NOISE = Image.fromarray(RNG.integers(1, 256, (120, 160, 3)).astype(np.uint8))


@pytest.mark.parametrize("name", ["JPEG", "WEBP", "BMP", "TIFF", "AVIF", "HEIC"])
def test_read_photo_refuses_a_file_that_is_mostly_zeros_and_warns_of_one_that_ends_in_them(name):
    whole = heic(NOISE) if name == "HEIC" else encode(NOISE, name)
    mark = b"\xff\xd9" if name == "JPEG" else b""
    with pytest.raises(ImageError, match=r"bytes are zeros|truncated or damaged"):
        read_photo(cut(whole.removesuffix(mark), 0.6) + mark)
    warnings: list[str] = []
    try:
        read_photo(cut(whole.removesuffix(mark), 0.15) + mark, warn=warnings.append)
    except ImageError:
        return
    assert "are zeros: part of the picture may be missing" in warnings[0]


def test_read_photo_warns_of_what_libjpeg_tells_and_writes_nothing(capfd, caplog):
    read_photo(JPEG[:-2] + bytes(range(50)) + JPEG[-2:])
    assert "the photo: damaged JPEG: Corrupt JPEG data: " in caplog.text
    assert "extraneous bytes before marker 0xd9" in caplog.text
    assert capfd.readouterr().err == ""


def test_read_photo_reads_a_jpeg_with_bytes_that_belong_to_nothing():
    """libjpeg warns while it reads the header, and simplejpeg then decodes nothing."""
    at = JPEG.index(b"\xff\xc0")
    warnings: list[str] = []
    photo = read_photo(JPEG[:at] + b"\x12\x34\x56" + JPEG[at:], warn=warnings.append)
    np.testing.assert_array_equal(photo, read_photo(JPEG))
    assert "extraneous bytes" in warnings[0]


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def test_read_photo_reads_interlaced_pngs():
    for width, height in [(1, 1), (5, 3), (W, H)]:
        pixels = scene(width, height)
        interlaced = adam7(pixels)
        np.testing.assert_array_equal(read_photo(interlaced), pixels)
        with pytest.raises(ImageError, match="PNG"):
            read_photo(interlaced[:-20])


ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def adam7(pixels: np.ndarray) -> bytes:
    """An interlaced PNG of RGB uint8 [H, W, 3]."""
    rows = b""
    for left, top, right, down in ADAM7:
        part = pixels[top::down, left::right]
        if part.shape[1]:
            rows += b"".join(b"\0" + row.tobytes() for row in part)
    height, width = pixels.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def test_read_photo_keeps_libpng_quiet(capfd):
    at = 33  # behind the header
    odd = chunk(b"iCCP", b"x\0\0" + zlib.compress(b"profile")) + chunk(b"gAMA", bytes(4))
    np.testing.assert_array_equal(read_photo(PNG[:at] + odd + PNG[at:]), scene())
    pixels = zlib.compress(bytes(H * (1 + 3 * W)))
    unfiltered = zlib.compress(b"\x05" * (H * (1 + 3 * W)))
    short, long = zlib.compress(bytes(H * (1 + 3 * W) - 1)), zlib.compress(bytes(H * (1 + 3 * W) + 1))
    changed = pixels[:8] + bytes([pixels[8] ^ 0xFF]) + pixels[9:]
    for content in (pixels[:-6], changed, unfiltered, short, long):
        with pytest.raises(ImageError, match="damaged PNG: its pixels"):
            read_photo(PNG[:at] + chunk(b"IDAT", content) + chunk(b"IEND", b""))
    assert capfd.readouterr().err == ""


def test_read_photo_ignores_bytes_after_the_end():
    for data in (JPEG, PNG):
        np.testing.assert_array_equal(read_photo(data + b"\0" * 100 + b"trailer"), read_photo(data))
    for data in (JPEG, CASES["webp"][0], CASES["bmp"][0]):
        np.testing.assert_array_equal(read_photo(data + bytes(len(data)), warn=pytest.fail), read_photo(data))


def test_read_photo_refuses_a_damaged_png(capfd):
    broken = bytearray(PNG)
    broken[len(PNG) // 2] ^= 0xFF
    with pytest.raises(ImageError, match="damaged PNG"):
        read_photo(bytes(broken))
    with pytest.raises(ImageError, match="truncated PNG"):
        read_photo(PNG[:-8])
    assert capfd.readouterr().err == "", "libpng must not write to the terminal"


def bomb(width: int, height: int) -> bytes:
    """A tiny PNG that claims to be huge."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


def test_read_photo_checks_limits_before_decoding(tmp_path):
    with pytest.raises(ImageError, match=r"60000 x 50000 pixels \(3000.0 MP\), above the limit of 200.0 MP"):
        read_photo(bomb(60_000, 50_000))
    with pytest.raises(ImageError, match="above the limit"):
        read_photo(JPEG, limits=Limits(max_pixels=W * H - 1))
    assert read_photo(JPEG, limits=Limits(max_pixels=W * H)).shape == (H, W, 3)
    file = tmp_path / "large.jpg"
    file.write_bytes(JPEG)
    for source in (JPEG, file):
        with pytest.raises(ImageError, match="MB, above the limit"):
            read_photo(source, limits=Limits(max_bytes=len(JPEG) - 1))


@pytest.mark.parametrize("limit", ["max_bytes", "max_pixels"])
@pytest.mark.parametrize("value", [None, "x", -1, 0, 1.5, True])
def test_limits_refuse_what_is_no_count(limit, value):
    with pytest.raises(ConfigError, match=f"{limit}: expected a whole number of at least 1, got"):
        Limits(**{limit: value})


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_read_photo_of_noise_is_a_photo_or_an_image_error(kind, data):
    broken = bytearray(encode(PICTURE.convert("P") if kind == "GIF" else PICTURE, kind))
    for _ in range(data.draw(st.integers(1, 6))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    try:
        photo = read_photo(bytes(broken), limits=Limits(max_pixels=1_000_000))
    except ImageError as error:
        assert "\n" not in str(error)
    else:
        assert photo.dtype == np.uint8
        assert photo.ndim == 3
        assert photo.shape[2] == 3


def heic(image: Image.Image) -> bytes:
    pillow_heif = pytest.importorskip("pillow_heif")
    buffer = io.BytesIO()
    pillow_heif.from_pillow(image).save(buffer, quality=95)
    return buffer.getvalue()


def test_read_photo_reads_heic_with_its_extra():
    data = heic(Image.fromarray(scene(128, 64)))
    assert sniff(data) == "HEIC"
    assert photo_size(data) == (128, 64)
    assert difference(read_photo(data), scene(128, 64)) < 4
    clear = read_photo(heic(with_alpha(np.zeros((H, W), np.uint8))))
    assert clear.min() > 250
    with pytest.raises(ImageError, match="damaged HEIC"):
        read_photo(data[: len(data) // 2])


def test_the_pixels_of_a_heic_photo_outlive_their_decoder():
    data = heic(Image.fromarray(scene(128, 64)))
    photos = [read_photo(data) for _ in range(50)]  # what is freed is written over by the next ones
    assert max(difference(photo, scene(128, 64)) for photo in photos) < 4


def test_no_copy_is_made_of_a_transparent_heic_photo_but_the_rgb(monkeypatch):
    monkeypatch.setattr(decoders, "STRIP_PIXELS", 2**14)
    data = heic(Image.new("RGBA", (2048, 2048), "red"))
    tracemalloc.start()
    photo = read_photo(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.5 * photo.nbytes


def test_read_photo_names_the_extra_that_heic_needs(monkeypatch):
    data = heic(PICTURE)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ImageError, match=r"pip install 'hierpets\[heic\]'"):
        read_photo(data)


def test_read_photo_reads_avif():
    data = encode(PICTURE, "AVIF", quality=95)
    assert photo_size(data) == (W, H)
    assert difference(read_photo(data), scene()) < 4


@pytest.mark.parametrize("lacks", [False, True])
def test_a_damaged_avif_is_laid_on_opencv_only_where_it_lacks_avif(monkeypatch, lacks):
    if lacks:
        monkeypatch.setattr(cv2, "haveImageWriter", lambda name: name != ".avif")
    data = encode(PICTURE, "AVIF", quality=95)
    with pytest.raises(ImageError, match="it cannot be decoded") as caught:
        read_photo(data[: len(data) * 4 // 5])
    assert ("this build of OpenCV lacks AVIF" in str(caught.value)) == lacks


def test_decoders_is_the_only_module_that_decodes():
    package = Path(hierpets.__file__).parent
    decoders = re.compile(r"\b(imread|decode_jpeg|imdecode\w*|Image\.open|read_image|decode_image|pillow_heif)\b")
    found = {path.name for path in package.rglob("*.py") if decoders.search(path.read_text(encoding="utf-8"))}
    assert found == {"decoders.py"}


@pytest.mark.data
def test_read_photo_reads_the_real_photos(data_dir):
    files = sorted(data_dir.glob("pets/*/*/*.jpg"))[::23]
    for file in files:
        photo = read_photo(file, shorter_side=224)
        width, height = photo_size(file.read_bytes())
        assert photo.shape[:2] == (height, width)


@pytest.mark.data
def test_read_photo_reads_a_real_png_under_a_jpg_name(data_dir):
    file = data_dir / "pets/cat/egyptian_mau/Egyptian_Mau_186.jpg"
    assert file.read_bytes().startswith(b"\x89PNG")
    expected = np.asarray(Image.open(file).convert("RGB"))
    np.testing.assert_array_equal(read_photo(file), expected)


def test_read_photo_says_that_an_image_was_closed_before_it_was_decoded(tmp_path):
    Image.new("RGB", (20, 20)).save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        pass
    with pytest.raises(ImageError, match="closed before it was decoded; leave it open, or pass its path"):
        read_photo(image)


@pytest.mark.parametrize("mode", ["I;16", "I;16B"])
def test_read_photo_of_an_image_of_sixteen_bits_is_that_of_its_file(mode):
    shades = np.linspace(0, 65535, 64 * 64).astype(np.uint16).reshape(64, 64)
    image = Image.frombytes(mode, (64, 64), shades.astype(">u2" if mode.endswith("B") else "<u2").tobytes())
    file = encode(Image.fromarray(shades), "PNG")
    assert np.abs(read_photo(image).astype(int) - read_photo(file).astype(int)).max() <= 1


@pytest.mark.parametrize("mode", ["I", "F"])
def test_read_photo_refuses_an_image_whose_range_nobody_knows(mode):
    with pytest.raises(ImageError, match=f"expected an image of 8 or 16 bits a channel, got Pillow's mode {mode}"):
        read_photo(Image.new(mode, (8, 8), 1))


@pytest.mark.parametrize("name", ["HEIC", "AVIF"])
def test_photo_size_is_not_taken_from_compressed_pixels(name):
    data = heic(NOISE) if name == "HEIC" else encode(NOISE, name)
    stray = struct.pack(">I4s4sIII", 24, b"free", b"ispe", 0, 60_000, 60_000)
    assert photo_size(data + stray) == NOISE.size
