"""Pixels in the browser against those of Python."""

import base64
import struct
from io import BytesIO

import cv2
import numpy as np
import pytest
from helpers.color_server import encode, with_exif
from helpers.web_page import rgba
from PIL import Image, ImageCms

from hierpets.data.photos import read_photo
from hierpets.data.transforms import apply, to_square
from hierpets.inference.detector.network import SIZE, stretched
from hierpets.plugin import Preprocess
from hierpets.regions.boxes import Box

pytestmark = pytest.mark.browser

SIZES = [(300, 400), (31, 200), (64, 64), (97, 45), (20, 33)]


def smooth_photo(height, width, seed=0):
    """Colors without sharp edges, as a photo has them."""
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def noise(height, width):
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)


def exif_block(orientation, order=">"):
    """An EXIF block with an orientation after the width of another picture."""
    entries = struct.pack(f"{order}HHHIHHHHIHH", 2, 0x0100, 3, 1, 9, 0, 0x0112, 3, 1, orientation, 0)
    return (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8) + entries + bytes(4)


def webp(photo, exif):
    """A WebP without loss, with an EXIF chunk as its last."""
    file = BytesIO()
    Image.fromarray(photo).save(file, "WEBP", lossless=True, exif=b"placeholder!")
    content = file.getvalue()
    chunk = struct.pack("<4sI", b"EXIF", len(exif)) + exif + bytes(len(exif) % 2)
    body = content[8 : content.index(b"EXIF")] + chunk
    return struct.pack("<4sI", b"RIFF", len(body)) + body


def squares(scripts, photo, preprocess):
    """What the browser makes of a decoded photo: uint8 [size, size, 3] and float32 [3, size, size]."""
    script = """async ([width, height, pixels, preprocess]) => {
        const { toSquare, normalized } = await import("/resize.js");
        const bytes = Uint8ClampedArray.from(atob(pixels), (c) => c.charCodeAt(0));
        const square = toSquare({ width, height, pixels: bytes }, preprocess);
        return [Array.from(square), Array.from(normalized(square, preprocess))];
    }"""
    height, width = photo.shape[:2]
    given = [width, height, base64.b64encode(rgba(photo)).decode(), preprocess.model_dump()]
    square, planes = scripts(script, given)
    size = preprocess.size
    return np.array(square, np.uint8).reshape(size, size, 3), np.array(planes, np.float32).reshape(3, size, size)


def shown(scripts, function, photo, *arguments):
    """What a function of resize.js makes of a decoded photo: its bytes, all of them."""
    script = """async ([name, width, height, pixels, given]) => {
        const resize = await import("/resize.js");
        const bytes = Uint8ClampedArray.from(atob(pixels), (c) => c.charCodeAt(0));
        const made = resize[name]({ width, height, pixels: bytes }, ...given);
        return Array.from(made.pixels ?? made);
    }"""
    height, width = photo.shape[:2]
    given = [function, width, height, base64.b64encode(rgba(photo)).decode(), arguments]
    return np.array(scripts(script, given), np.uint8)


def decoded(scripts, content, shorter_side):
    """What the browser makes of a file: uint8 [H, W, 3]."""
    script = """async ([content, shorterSide]) => {
        const { decode } = await import("/decode.js");
        const file = new Blob([Uint8Array.from(atob(content), (c) => c.charCodeAt(0))]);
        const { width, height, pixels } = await decode(file, shorterSide);
        return [width, height, btoa(pixels.reduce((text, byte) => text + String.fromCharCode(byte), ""))];
    }"""
    width, height, pixels = scripts(script, [base64.b64encode(content).decode(), shorter_side])
    return np.frombuffer(base64.b64decode(pixels), np.uint8).reshape(height, width, 4)[..., :3]


def differences(ours, theirs):
    return np.abs(ours.astype(int) - theirs.astype(int))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos"])
def test_browser_resizes_to_the_same_bytes_as_pillow(scripts, interpolation, size):
    preprocess = Preprocess(size=40, crop=0.875, interpolation=interpolation)
    photo = noise(*size)
    square, _ = squares(scripts, photo, preprocess)
    assert np.array_equal(square, to_square(preprocess, photo))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("resize", ["crop", "squash"])
def test_browser_resizes_as_opencv_but_for_a_rounding_in_a_thousand(scripts, resize, size):
    preprocess = Preprocess(size=40, crop=1.0, resize=resize)
    photo = noise(*size)
    off = differences(squares(scripts, photo, preprocess)[0], to_square(preprocess, photo))
    assert off.max() <= 1 and off.mean() < 0.001


@pytest.mark.parametrize("side", [45, 85, 165, 325])
def test_browser_cuts_out_the_same_square_where_its_side_is_halfway(scripts, side):
    preprocess = Preprocess(size=224, crop=0.7)
    photo = noise(side + 20, side)
    off = differences(squares(scripts, photo, preprocess)[0], to_square(preprocess, photo))
    assert off.max() <= 1


def test_browser_leaves_a_photo_of_the_right_size_alone(scripts):
    photo = noise(40, 40)
    assert np.array_equal(squares(scripts, photo, Preprocess(size=40, crop=1.0))[0], photo)


def test_browser_normalizes_to_the_same_numbers(scripts):
    preprocess, photo = Preprocess(size=16, crop=1.0), noise(16, 16)
    assert np.array_equal(squares(scripts, photo, preprocess)[1], apply(preprocess, photo))


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".webp"])
def test_browser_decodes_without_loss(scripts, suffix):
    content = cv2.imencode(suffix, noise(37, 53), [cv2.IMWRITE_WEBP_QUALITY, 101])[1].tobytes()
    assert np.array_equal(decoded(scripts, content, 16), read_photo(content))


def test_browser_lays_transparent_pixels_on_white(scripts):
    photo = np.dstack([noise(20, 30), np.linspace(0, 255, 600).astype(np.uint8).reshape(20, 30)])
    content = cv2.imencode(".png", photo)[1].tobytes()
    assert differences(decoded(scripts, content, 16), read_photo(content)).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_browser_turns_a_photo_as_its_exif_says(scripts, orientation):
    jpeg = with_exif(encode(smooth_photo(48, 80))).replace(
        b"\x01\x12\0\x03\0\0\0\x01\0\x01", b"\x01\x12\0\x03\0\0\0\x01\0" + bytes([orientation])
    )
    assert differences(decoded(scripts, jpeg, 48), read_photo(jpeg, shorter_side=48)).max() <= 4


@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(9))
def test_browser_turns_a_webp_as_its_exif_says(scripts, orientation, order, prefix):
    content = webp(noise(31, 50), prefix + exif_block(orientation, order))
    photo = read_photo(content)
    assert photo.shape == ((50, 31, 3) if orientation >= 5 else (31, 50, 3))
    assert np.array_equal(decoded(scripts, content, 16), photo)


@pytest.mark.parametrize("end", [0, 1, 4, 9, 12, 20, 21])
def test_browser_does_not_turn_a_webp_whose_exif_is_cut_off(scripts, end):
    content = webp(noise(31, 50), exif_block(6)[:end])
    assert np.array_equal(decoded(scripts, content, 16), read_photo(content))


@pytest.mark.parametrize("shorter_side", [75, 150, 300, 600])
def test_browser_reduces_a_large_jpeg_as_libjpeg_does(scripts, shorter_side):
    detail = cv2.GaussianBlur(np.random.default_rng(2).normal(0, 90, (602, 805, 1)), (0, 0), 1.2)
    photo = (smooth_photo(602, 805).astype(float) + detail[..., None]).clip(0, 255).astype(np.uint8)
    content = encode(photo)
    ours, theirs = decoded(scripts, content, shorter_side), read_photo(content, shorter_side=shorter_side)
    assert ours.shape == theirs.shape
    # Leaving out frequencies instead, or squares that are not those of the file, is off by 1.7 and more.
    assert differences(ours, theirs).mean() < 0.7


def test_browser_ignores_a_color_profile(scripts):
    photo = Image.fromarray(smooth_photo(40, 60))
    file, profile = BytesIO(), ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # Its red primary is called green: whoever heeds it shows other colors.
    swapped = profile.replace(b"rXYZ", b"tmp0").replace(b"gXYZ", b"rXYZ").replace(b"tmp0", b"gXYZ")
    photo.save(file, "PNG", icc_profile=swapped)
    assert differences(decoded(scripts, file.getvalue(), 16), np.asarray(photo)).max() == 0


@pytest.mark.parametrize("photo", ["demo:cat/siamese/900", "demo:rabbit/-/901"])
def test_browser_means_over_areas_of_flat_color_to_the_same_bytes_as_opencv(scripts, photo):
    """Where two colors meet, a mean often lies halfway between two numbers."""
    preprocess, pixels = Preprocess(size=32, crop=1.0), read_photo(photo)
    assert np.array_equal(squares(scripts, pixels, preprocess)[0], to_square(preprocess, pixels))


@pytest.mark.parametrize("size", [(700, 900), (301, 640), (290, 500), (40, 30)])
def test_browser_shows_the_detector_what_python_shows_it(scripts, size):
    photo = smooth_photo(*size)
    square = shown(scripts, "stretched", photo, SIZE).reshape(SIZE, SIZE, 3)
    assert differences(square, stretched(photo)).max() <= 1


@pytest.mark.parametrize("box", [(0.1, 0.25, 0.5, 0.3), (0.0, 0.0, 1.0, 1.0), (0.999, 0.5, 0.0005, 0.0005)])
def test_browser_cuts_out_the_same_pixels_as_python(scripts, box):
    photo, part = noise(97, 45), Box(**dict(zip(("left", "top", "width", "height"), box, strict=True)))
    pixels = shown(scripts, "cut", photo, part.model_dump()).reshape(-1, 4)[:, :3]
    assert np.array_equal(pixels, part.cut(photo).reshape(-1, 3))
