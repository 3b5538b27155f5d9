"""Damaged picture files of every format: what broken downloads, disks and attackers make of whole ones."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from functools import cache

import cv2
import numpy as np
from helpers.pictures import encode
from PIL import Image

__all__ = ["DAMAGES", "FILES", "damage", "intact", "whole_file"]

BLOCK = 16  # pixels
ALIKE = 0.6  # correlation of a block with the same block of the whole picture
FLAT = 2.0  # standard deviation below which a block has nothing to correlate
FORMATS = {
    "jpeg": ("RGB", "JPEG", {"quality": 85}),
    "restarting jpeg": ("RGB", "JPEG", {"quality": 85, "restart_marker_blocks": 4}),
    "progressive jpeg": ("RGB", "JPEG", {"quality": 85, "progressive": True}),
    "gray jpeg": ("L", "JPEG", {}),
    "cmyk jpeg": ("CMYK", "JPEG", {}),
    "png": ("RGB", "PNG", {}),
    "transparent png": ("RGBA", "PNG", {}),
    "palette png": ("P", "PNG", {}),
    "gif": ("P", "GIF", {}),
    "webp": ("RGB", "WEBP", {}),
    "lossless webp": ("RGB", "WEBP", {"lossless": True}),
    "bmp": ("RGB", "BMP", {}),
    "tiff": ("RGB", "TIFF", {}),
    "lzw tiff": ("RGB", "TIFF", {"compression": "tiff_lzw"}),
    "deflate tiff": ("RGB", "TIFF", {"compression": "tiff_adobe_deflate"}),
    "avif": ("RGB", "AVIF", {}),
}
FILES = tuple(FORMATS)
ENDS = {"jpeg": b"\xff\xd9", "png": b"\0\0\0\0IEND\xaeB`\x82", "gif": b"\0;"}
# Where a format states width and height, and how.
SIZE_AT = {"png": (16, ">II"), "gif": (6, "<HH"), "bmp": (18, "<ii")}

Damage = Callable[[np.random.Generator, str, bytes, int], bytes]


def picture(side: int) -> np.ndarray:
    """RGB uint8 [side, side, 3] with detail everywhere, so that what is missing shows."""
    noise = np.random.default_rng(side).integers(0, 256, (side, side, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.5)
    return np.asarray(cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8))


@cache
def whole_file(name: str, side: int = 64) -> bytes:
    """A file of one of :data:`FILES`."""
    mode, kind, options = FORMATS[name]
    return encode(Image.fromarray(picture(side)).convert(mode), kind, **options)


def damage(rng: np.random.Generator, name: str, how: str, side: int = 64) -> bytes:
    """A damaged file, drawn by ``rng``."""
    return DAMAGES[how](rng, name, whole_file(name, side), side)


def intact(photo: np.ndarray, whole: np.ndarray) -> float:
    """The share of blocks of a photo RGB uint8 [H, W, 3] that show what those of the whole one do, bright or dark."""
    if photo.shape != whole.shape:
        return 0.0
    a, b = (_blocks(one) for one in (photo, whole))
    spread = a.std(axis=1) * b.std(axis=1)
    alike = (a * b).mean(axis=1) > ALIKE * spread
    return float((alike & (a.std(axis=1) > FLAT)).mean())


def _blocks(photo: np.ndarray) -> np.ndarray:
    """float [N, pixels]: the gray blocks of a photo, each less its mean."""
    gray = photo.mean(axis=2)
    rows, columns = (side // BLOCK for side in gray.shape)
    cut = gray[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK).swapaxes(1, 2)
    flat = cut.reshape(-1, BLOCK * BLOCK)
    return np.asarray(flat - flat.mean(axis=1, keepdims=True))


def _end_of(name: str) -> bytes:
    return next((end for kind, end in ENDS.items() if name.endswith(kind)), b"")


def _cut(rng: np.random.Generator, name: str, data: bytes, side: int) -> bytes:
    return data[: rng.integers(0, len(data))]


def _cut_and_end(rng: np.random.Generator, name: str, data: bytes, side: int) -> bytes:
    return _cut(rng, name, data, side) + _end_of(name)


def _zero_tail(rng: np.random.Generator, name: str, data: bytes, side: int) -> bytes:
    kept = _cut(rng, name, data, side)
    return kept + bytes(len(data) - len(kept))


def _zero_tail_and_end(rng: np.random.Generator, name: str, data: bytes, side: int) -> bytes:
    end = _end_of(name)
    return _zero_tail(rng, name, data, side)[: len(data) - len(end)] + end


def _zero_block(rng: np.random.Generator, name: str, data: bytes, side: int) -> bytes:
    start, length = int(rng.integers(0, len(data))), int(rng.integers(1, 512))
    return (data[:start] + bytes(length) + data[start + length :])[: len(data)]


def _flip_bits(rng: np.random.Generator, name: str, data: bytes, side: int) -> bytes:
    broken = bytearray(data)
    for at in rng.integers(0, len(data), int(rng.integers(1, 20))):
        broken[at] ^= 1 << int(rng.integers(0, 8))
    return bytes(broken)


def _flip_header(rng: np.random.Generator, name: str, data: bytes, side: int) -> bytes:
    broken = bytearray(data)
    for at in rng.integers(0, min(len(data), 200), int(rng.integers(1, 5))):
        broken[at] = int(rng.integers(0, 256))
    return bytes(broken)


def _remove(rng: np.random.Generator, name: str, data: bytes, side: int) -> bytes:
    start = int(rng.integers(0, len(data)))
    return data[:start] + data[start + int(rng.integers(1, 200)) :]


def _insert(rng: np.random.Generator, name: str, data: bytes, side: int) -> bytes:
    at = int(rng.integers(0, len(data)))
    return data[:at] + rng.bytes(int(rng.integers(1, 200))) + data[at:]


def _swap_containers(rng: np.random.Generator, name: str, data: bytes, side: int) -> bytes:
    other = whole_file(FILES[int(rng.integers(0, len(FILES)))], side)
    at = int(rng.integers(2, 64))
    return data[:at] + other[at:]


def _bomb(rng: np.random.Generator, name: str, data: bytes, side: int) -> bytes:
    """A header that states a huge size, its sum put right where the format has one."""
    width, height = (int(rng.choice([0, 1, 30_000, 65_535])) for _ in range(2))
    broken = bytearray(data)
    if (place := next((p for kind, p in SIZE_AT.items() if name.endswith(kind)), None)) is not None:
        struct.pack_into(place[1], broken, place[0], width, height)
        if name.endswith("png"):
            struct.pack_into(">I", broken, 29, zlib.crc32(broken[12:29]))
    elif name.endswith("jpeg"):
        frame = next(data.index(marker) for marker in (b"\xff\xc0", b"\xff\xc2") if marker in data)
        struct.pack_into(">HH", broken, frame + 5, height, width)
    else:
        for at in _places(data, side):
            broken[at : at + 2] = width.to_bytes(2, "little")
    return bytes(broken)


def _places(data: bytes, side: int) -> list[int]:
    """Where two bytes say the side of the picture, in either order."""
    words = (side.to_bytes(2, "little"), side.to_bytes(2, "big"))
    return [at for at in range(min(len(data) - 1, 4096)) if data[at : at + 2] in words]


def _hidden_frame(rng: np.random.Generator, name: str, data: bytes, side: int) -> bytes:
    """A JPEG with a second frame behind a marker that has no segment; another format in the middle of this one."""
    huge = b"\xff\xc0" + struct.pack(">HBHHB", 17, 8, 30_000, 30_000, 3) + bytes(9)
    marker = b"\xff" + bytes([int(rng.choice([0x00, 0x01, 0xD0, 0xE1, 0xFE]))])
    at = data.find(b"\xff\xc0") if b"\xff\xc0" in data else int(rng.integers(0, len(data)))
    return data[:at] + marker + struct.pack(">H", 2 + len(huge)) + huge + data[at:]


def _doubled_tags(rng: np.random.Generator, name: str, data: bytes, side: int) -> bytes:
    """A TIFF whose size stands there twice, the second time small; a BigTIFF with offsets that overflow."""
    if rng.random() < 0.2:
        return b"II+\x00" + struct.pack("<HHQ", 8, 0, 2 ** int(rng.integers(40, 64)))
    first, second = (int(rng.choice([side, 20_000])) for _ in range(2))
    entries = [(256, first), (257, first), (256, second), (257, second), (258, 8), (259, 1), (262, 1), (273, 8)]
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    return b"II*\x00" + struct.pack("<IH", 8, len(entries)) + directory + bytes(4) + data


DAMAGES: dict[str, Damage] = {
    "cut": _cut,
    "cut, end put back": _cut_and_end,
    "zero tail": _zero_tail,
    "zero tail, end put back": _zero_tail_and_end,
    "zero block": _zero_block,
    "bits flipped": _flip_bits,
    "header changed": _flip_header,
    "bytes removed": _remove,
    "bytes inserted": _insert,
    "containers swapped": _swap_containers,
    "bomb": _bomb,
    "hidden frame": _hidden_frame,
    "doubled tags": _doubled_tags,
}
