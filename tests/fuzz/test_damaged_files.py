"""Whatever is done to a file, reading it gives a photo or an ``ImageError``, within limits, and writes nothing.

``HIERPETS_FUZZ`` says how many cases; ``make fuzz`` tries a hundred thousand and keeps what it finds in ``corpus/``.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from fuzz.damaged_files import DAMAGES, FILES, damage, intact, whole_file
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hierpets.data.photos import Limits, read_photo
from hierpets.errors import ImageError

CASES = int(os.environ.get("HIERPETS_FUZZ", "1000"))
CORPUS = Path(__file__).parent / "corpus"
LIMITS = Limits(max_pixels=1_000_000)
CRAFTED = {"containers swapped", "bomb", "hidden frame", "doubled tags"}


def check(data: bytes) -> None:
    """Read a file as a prediction does, and whole."""
    for shorter_side in (None, 20):
        warnings: list[str] = []
        try:
            photo = read_photo(data, shorter_side=shorter_side, limits=LIMITS, warn=warnings.append)
        except ImageError as error:
            assert "\n" not in str(error)
            continue
        assert photo.dtype == np.uint8
        assert photo.ndim == 3
        assert photo.shape[2] == 3
        assert photo.shape[0] * photo.shape[1] <= LIMITS.max_pixels
        assert all("\n" not in line for line in warnings)


@pytest.mark.parametrize("name", FILES)
def test_whole_files_are_read_without_a_word(name):
    assert intact(read_photo(whole_file(name), warn=pytest.fail), read_photo(whole_file(name))) > 0.99


@settings(
    max_examples=CASES,
    deadline=None,
    derandomize="HIERPETS_FUZZ" not in os.environ,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(name=st.sampled_from(FILES), how=st.sampled_from(tuple(DAMAGES)), seed=st.integers(0, 2**32 - 1))
def test_damaged_files_are_photos_or_image_errors(name, how, seed):
    data = damage(np.random.default_rng(seed), name, how)
    try:
        check(data)
    except BaseException:
        (CORPUS / f"{hashlib.sha256(data).hexdigest()[:16]}.bin").write_bytes(data)
        raise


@pytest.mark.parametrize("file", sorted(CORPUS.glob("*.bin")), ids=lambda file: file.stem)
def test_what_was_found_once_stays_mended(file):
    check(file.read_bytes())


def test_decoders_write_nothing(capfd):
    for seed in range(300):
        names, hows = tuple(FILES), tuple(DAMAGES)
        data = damage(np.random.default_rng(seed), names[seed % len(names)], hows[seed % len(hows)])
        try:
            read_photo(data, limits=LIMITS, warn=lambda line: None)
        except ImageError:
            continue
    assert capfd.readouterr() == ("", "")


def test_pictures_of_which_less_than_half_is_left_are_not_taken_for_whole():
    wholes = {name: read_photo(whole_file(name)) for name in FILES}
    broken, silent = 0, Counter()
    for seed in range(1500):
        rng = np.random.default_rng(seed)
        name, how = FILES[seed % len(FILES)], str(rng.choice(sorted(set(DAMAGES) - CRAFTED)))
        warnings: list[str] = []
        try:
            photo = read_photo(damage(rng, name, how), limits=LIMITS, warn=warnings.append)
        except ImageError:
            broken += 1
            continue
        if intact(photo, wholes[name]) < 0.5:
            broken += 1
            silent[name, how] += not warnings
    assert sum(silent.values()) <= 0.01 * broken, silent
