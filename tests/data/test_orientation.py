"""The orientation of an AVIF: in every way it can be stated, and damaged."""

import struct

import numpy as np
import pytest
from helpers.pictures import encode
from PIL import Image

from hierpets.data.decoding.orientation import apply_orientation
from hierpets.data.photos import read_photo
from hierpets.errors import ImageError

PHOTO = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
QUARTER, UPSIDE_DOWN = (b"irot", b"\1"), (b"imir", b"\0")
THUMBNAIL = 7


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def table(*numbers: int, item: int = 1, wide: bool = False) -> bytes:
    """The box of the properties of an item, with small or large numbers."""
    start = struct.pack(">BBHI", wide, 0, wide, 1) + struct.pack(">I" if wide else ">H", item)
    return box(b"ipma", start + bytes([len(numbers)]) + struct.pack(f">{len(numbers)}{'H' if wide else 'B'}", *numbers))


def avif(tables: bytes, *properties: tuple[bytes, bytes]) -> bytes:
    """The header of an AVIF whose picture is item 1."""
    listed = box(b"ipco", b"".join(box(*one) for one in properties))
    meta = bytes(4) + box(b"pitm", bytes(4) + struct.pack(">H", 1)) + box(b"iprp", listed + tables)
    return box(b"ftyp", b"avif") + box(b"meta", meta)


@pytest.mark.parametrize("wide", [False, True])
def test_the_properties_of_a_photo_are_applied_in_order(wide):
    rotated = np.rot90(PHOTO)
    for numbers, expected in [((1, 0, 2), rotated[::-1]), ((2, 1), np.rot90(PHOTO[::-1])), ((1,), rotated)]:
        header = avif(table(*numbers, wide=wide), QUARTER, UPSIDE_DOWN)
        np.testing.assert_array_equal(apply_orientation(PHOTO, header), expected)
    np.testing.assert_array_equal(apply_orientation(PHOTO, avif(table(1), (b"imir", b"\1"))), PHOTO[:, ::-1])


def test_properties_of_another_item_do_not_rotate_the_photo():
    header = avif(table(1, item=THUMBNAIL) + table(2, wide=True), QUARTER, UPSIDE_DOWN)
    np.testing.assert_array_equal(apply_orientation(PHOTO, header), PHOTO[::-1])


@pytest.mark.parametrize(
    "header",
    [
        avif(table(3), QUARTER),
        avif(table(1), (b"irot", b"")),
        avif(table(1), QUARTER)[:-1],
        avif(box(b"ipma", bytes(4) + b"\xff" * 4), QUARTER),
        avif(box(b"ipma", bytes(2**15)), QUARTER),
    ],
    ids=["no such property", "no angle", "cut off", "no associations", "too many associations"],
)
def test_boxes_without_a_valid_orientation_are_damage(header):
    with pytest.raises(ImageError, match="damaged AVIF: its header does not state the orientation of the picture"):
        apply_orientation(PHOTO, header)


def test_any_changed_byte_of_these_boxes_gives_a_photo_or_an_image_error():
    exif = Image.Exif()
    exif[0x0112] = 5  # rotated and mirrored
    data = encode(Image.new("RGB", (32, 16)), "AVIF", exif=exif)
    for at in range(data.index(b"iprp") - 4, data.index(b"mdat")):
        for value in (0, data[at] ^ 1, 255):
            try:
                assert read_photo(data[:at] + bytes([value]) + data[at + 1 :], warn=lambda _: None).ndim == 3
            except ImageError as error:
                assert "\n" not in str(error)


def test_the_exif_block_of_an_avif_does_not_rotate_it():
    exif = Image.Exif()
    exif[0x0113] = 6  # Pillow makes boxes of the orientation itself
    data = encode(Image.new("RGB", (32, 16)), "AVIF", exif=exif).replace(b"\x01\x13\x00\x03", b"\x01\x12\x00\x03")
    assert b"\x01\x12\x00\x03" in data
    assert read_photo(data).shape == (16, 32, 3)
