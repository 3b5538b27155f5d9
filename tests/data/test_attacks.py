"""Small files made to crash, or to decode to far more pixels than their header says."""

import io
import struct
import subprocess
import sys
import time
import zlib

import cv2
import numpy as np
import pytest
from helpers.pictures import encode
from PIL import Image

from hierpets.data.decoding.av1 import as_still_avif, coded_sizes
from hierpets.data.decoding.boxes import find_box
from hierpets.data.decoding.formats import bytes_per_pixel, exif_orientation, picture_size
from hierpets.data.photos import Limits, read_photo
from hierpets.errors import ImageError

PIXELS = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)


def jpeg() -> bytes:
    return cv2.imencode(".jpg", PIXELS)[1].tobytes()


def hidden_frame(marker: bytes) -> bytes:
    """A JPEG whose second segment is skipped by a parser that takes ``marker`` for one with a length: behind it lies a
    frame of 64 x 64, but libjpeg sees the one of 30,000 x 30,000 that comes first.
    """
    data = jpeg()
    at = data.index(b"\xff\xc0")
    huge = bytearray(data[at:])
    huge[5:9] = struct.pack(">HH", 30_000, 30_000)
    shadow = marker + struct.pack(">H", 2 + len(huge))
    return data[:at] + shadow + bytes(huge) + data[at:]


@pytest.mark.parametrize("marker", [b"\xff\x00", b"\xff\x01", b"\xff\xd0"])
def test_picture_size_of_a_jpeg_follows_libjpeg(marker):
    assert picture_size(hidden_frame(marker), "JPEG") == (30_000, 30_000)
    with pytest.raises(ImageError, match="above the limit"):
        read_photo(hidden_frame(marker))


@pytest.mark.parametrize("marker", [b"\xff\xd8", b"\xff\xd9", b"\xff\xda"])
def test_picture_size_of_a_jpeg_without_a_frame_is_damaged(marker):
    data = jpeg()
    with pytest.raises(ImageError, match="damaged JPEG"):
        picture_size(data[:2] + marker + data[2:], "JPEG")


def test_picture_size_of_a_jpeg_with_fill_bytes_and_padding():
    data = jpeg()
    at = data.index(b"\xff\xc0")
    assert picture_size(data[:at] + b"\x12\x34\xff\xff\xff" + data[at:], "JPEG") == (64, 64)


def test_a_jpeg_of_more_scans_than_any_encoder_writes_is_refused_before_each_is_decoded():
    data = encode(Image.fromarray(PIXELS), "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    assert read_photo(data[:-2] + 50 * last + data[-2:]).shape == PIXELS.shape
    hidden = b"\xff\xfe\x00\x04\xff\xd9"  # a comment that looks like the end of the picture
    for more in (last, hidden + last):
        with pytest.raises(ImageError, match="damaged JPEG: it has more than 100 scans"):
            read_photo(data[:-2] + 200 * more + data[-2:])
    assert read_photo(data + 200 * last).shape == PIXELS.shape  # what follows the picture, as a film does, is not it


@pytest.mark.parametrize("size", [(64, 64), (1, 1), (500, 33)])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_the_size_of_an_avif_is_that_of_what_it_codes_where_its_header_lies(size, mode):
    """A few kilobytes of one color took gigabytes to decode before they were scaled down to what the header said."""
    data = encode(Image.new(mode, size, (90,) * len(mode)), "AVIF")
    assert picture_size(data, "AVIF") == size
    at = data.index(b"ispe") + 8
    assert picture_size(data[:at] + struct.pack(">II", 1, 1) + data[at + 8 :], "AVIF") == size


def test_items_of_an_avif_are_found_whatever_way_a_box_states_its_length():
    data = encode(Image.new("RGB", (64, 64)), "AVIF")
    meta = find_box(data, b"meta")
    at = meta.index(b"iloc") - 4
    (length,) = struct.unpack_from(">I", meta, at)
    long = meta[:at] + struct.pack(">I4sQ", 1, b"iloc", length + 8) + meta[at + 8 :]
    assert [*coded_sizes(data, long)] == [*coded_sizes(data, meta)] == [(64, 64)]


def places(items, parts):
    """A box of places whose fields take no bytes: 0 for each offset and length."""
    each = struct.pack(">HHH", 1, 0, parts)
    content = bytes(4) + bytes(2) + struct.pack(">H", items) + items * each
    return bytes(4) + struct.pack(">I4s", 8 + len(content), b"iloc") + content


@pytest.mark.parametrize(("items", "parts"), [(1, 60_000), (600, 1), (2_600, 0), (60_000, 1)])
def test_an_avif_of_more_items_than_a_picture_has_is_damage(items, parts):
    with pytest.raises(ValueError, match="too many"):
        list(coded_sizes(bytes(100), places(items, parts)))


def test_an_avif_of_items_that_overlap_or_of_countless_units_is_damage():
    data = encode(Image.new("RGB", (64, 64)), "AVIF")
    whole = struct.pack(">HHHII", 1, 0, 1, 0, 3_000)
    content = bytes(4) + b"\x44\x00" + struct.pack(">H", 2) + 2 * whole
    meta = bytes(4) + struct.pack(">I4s", 8 + len(content), b"iloc") + content
    with pytest.raises(ValueError, match="overlap"):
        list(coded_sizes(data.ljust(4_000, b"\0"), meta))
    with pytest.raises(ValueError, match="too many units"):
        list(coded_sizes(2_000 * b"\x12\x00" + bytes(4_000), meta))


def test_an_animated_avif_is_decoded_from_the_picture_whose_size_is_checked():
    red, blue = (Image.new("RGB", (80, 60), color) for color in ("red", "blue"))
    data = encode(red, "AVIF", save_all=True, append_images=[blue])
    assert data[8:12] == b"avis"
    assert as_still_avif(data)[8:12] == b"avif"
    assert picture_size(data, "AVIF") == (80, 60)
    assert read_photo(data)[30, 40].tolist() == pytest.approx([255, 0, 0], abs=4)


@pytest.mark.parametrize("cut", range(12))
def test_items_of_an_avif_that_are_cut_off_are_damage(cut):
    data = encode(Image.new("RGB", (64, 64)), "AVIF")
    at = data.index(b"iloc") + 4 + cut
    with pytest.raises(ImageError, match="damaged AVIF"):
        read_photo(data[:at])


def test_what_libheif_says_of_a_damaged_photo_is_one_line():
    pillow_heif = pytest.importorskip("pillow_heif")
    buffer = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(PIXELS)).save(buffer)
    with pytest.raises(ImageError, match="damaged HEIC") as caught:
        read_photo(buffer.getvalue()[:-200])
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("order", ["<", ">"])
def test_tiff_offsets_that_overflow_are_damage(order):
    start = b"II+\x00" if order == "<" else b"MM\x00+"
    data = start + struct.pack(order + "HHQ", 8, 0, 2**63)
    with pytest.raises(ImageError, match="damaged TIFF"):
        read_photo(data)
    assert exif_orientation(data) == 1


def test_tiff_tag_given_twice_counts_as_libtiff_counts_it():
    entries = [(256, 20_000), (257, 20_000), (256, 8), (257, 8)]
    data = b"II*\x00" + struct.pack("<IH", 8, len(entries))
    data += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries) + bytes(4)
    assert picture_size(data, "TIFF") == (20_000, 20_000)


@pytest.mark.parametrize("type_", [6, 8, 9, 17])
def test_tiff_tag_of_signed_integers_is_not_passed_over_for_another(type_):
    """libtiff takes the first width, of whatever integers."""
    entries = [(256, type_, 20_000), (257, 4, 20_000), (256, 4, 8), (257, 4, 8)]
    data = b"II*\x00" + struct.pack("<IH", 8, len(entries))
    data += b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries) + bytes(4)
    with pytest.raises(ImageError, match="damaged TIFF: its header does not state the image size"):
        picture_size(data, "TIFF")


def deflated_tiff(strip: bytes, *, width: int, strips: int, bits: int = 8) -> bytes:
    """Gray; all strips are in one place, and of one row."""
    places, lengths = struct.pack(f"<{strips}I", *[8] * strips), struct.pack(f"<{strips}I", *[len(strip)] * strips)
    at = 8 + len(strip)
    where = (8, len(strip)) if strips == 1 else (at, at + len(places))
    entries = [(256, 1, width), (257, 1, strips), (258, 1, bits), (259, 1, 8), (262, 1, 1), (273, strips, where[0])]
    entries += [(277, 1, 1), (278, 1, 1), (279, strips, where[1])]
    directory = struct.pack("<H", len(entries)) + b"".join(
        struct.pack("<HHII", tag, 4, *rest) for tag, *rest in entries
    )
    start = b"II*\x00" + struct.pack("<I", at + len(places) + len(lengths))
    return start + strip + places + lengths + directory + bytes(4)


def test_a_tiff_whose_strips_are_one_bomb_is_read_in_no_time():
    warnings, bomb = [], zlib.compress(bytes([200]) * (50 << 20), 9)
    tiff = deflated_tiff(bomb, width=64, strips=2000)
    started = time.process_time()
    assert read_photo(tiff, warn=warnings.append).shape == (2000, 64, 3)
    assert time.process_time() - started < 10  # each strip alone inflates for a tenth of a second
    assert warnings == ["damaged TIFF: the checksum of its pixels is wrong"]
    whole = deflated_tiff(zlib.compress(bytes([200]) * 64), width=64, strips=1)
    assert read_photo(whole, warn=warnings.append).shape == (1, 64, 3)
    assert len(warnings) == 1


@pytest.mark.parametrize(("bits", "expected"), [(8, 1), (16, 2), (32, 4), (64, 8)])
def test_bytes_per_pixel_of_a_tiff_are_those_of_its_samples(bits, expected):
    tiff = deflated_tiff(zlib.compress(bytes(64)), width=8, strips=1, bits=bits)
    assert bytes_per_pixel(tiff, "TIFF") == expected + 3


def test_a_jpeg_of_very_many_segments_is_damage():
    whole = jpeg()
    assert read_photo(whole[:2] + b"\xff\xfe\x00\x02" * 4000 + whole[2:]).shape == (64, 64, 3)
    with pytest.raises(ImageError, match="damaged JPEG: more than 4,096 segments before its picture"):
        read_photo(whole[:2] + b"\xff\xfe\x00\x02" * 5000 + whole[2:])


def test_a_heic_that_states_very_many_sizes_is_damage():
    size = struct.pack(">I4sIII", 20, b"ispe", 0, 64, 64)
    data = struct.pack(">I4s4sI4s", 20, b"ftyp", b"heic", 0, b"mif1")
    meta = struct.pack(">I4sI", 12 + 5000 * len(size), b"meta", 0) + size * 5000
    with pytest.raises(ImageError, match="damaged HEIC"):
        picture_size(data + meta, "HEIC")


def test_a_picture_larger_than_announced_is_damage(monkeypatch):
    monkeypatch.setattr("hierpets.data.photos.picture_size", lambda data, kind: (8, 8))
    with pytest.raises(ImageError, match="its header says 8 x 8 pixels, 64 x 64 came out"):
        read_photo(cv2.imencode(".bmp", PIXELS)[1].tobytes())
    with pytest.raises(ImageError, match="192 byte buffer is too small to decode"):
        read_photo(jpeg())


def png(width: int, height: int, depth: int, color: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBB", 13, b"IHDR", width, height, depth, color)


@pytest.mark.parametrize(
    ("depth", "color", "expected"), [(8, 0, 1), (8, 2, 3), (8, 6, 4), (16, 6, 8), (16, 2, 6), (8, 3, 4)]
)
def test_bytes_per_pixel_of_a_png_are_those_of_the_decoder_and_of_the_photo(depth, color, expected):
    assert bytes_per_pixel(png(10, 10, depth, color), "PNG") == expected + 3


def test_limits_bound_what_is_decoded():
    wide = np.zeros((100, 100, 4), np.uint16)
    data = cv2.imencode(".png", wide)[1].tobytes()
    with pytest.raises(ImageError, match="MB when decoded, above the limit"):
        read_photo(data, limits=Limits(max_pixels=10_000))
    assert read_photo(data, limits=Limits(max_pixels=30_000)).shape == (100, 100, 3)


@pytest.mark.skipif(sys.platform != "linux", reason="system: needs /proc")
def test_sixteen_bits_and_transparency_are_converted_in_little_memory():
    """A picture of 24 million pixels, 8 bytes each; two of its own size are allowed beside it, and libraries."""
    code = """
import cv2, numpy as np
from pathlib import Path
from hierpets.data.photos import read_photo
data = cv2.imencode(".png", np.zeros((4000, 6000, 4), np.uint16), [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()
shape = read_photo(data).shape
# Not ru_maxrss, which a child takes over from the process that started it.
print(shape, int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) // 1024)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    shape, _, megabytes = run.stdout.strip().rpartition(" ")
    assert shape == "(4000, 6000, 3)"
    assert int(megabytes) < 2.2 * 4000 * 6000 * 8 / 2**20 + 250


@pytest.mark.data
@pytest.mark.skipif(sys.platform != "linux", reason="system: tells memory in another unit, or not at all")
def test_attack_files_are_refused_in_little_memory(data_dir):
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for file in sorted((data_dir / "attacks").glob("*")):
        if "49mp" in file.name:
            continue
        with pytest.raises(ImageError):
            read_photo(file)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024
