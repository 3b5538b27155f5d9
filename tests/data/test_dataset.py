"""Batches keep order and size, read ahead within bounds, and survive or name a photo that cannot be read."""

from __future__ import annotations

import itertools
import threading

import numpy as np
import pytest

from hierpets.data.dataset import iter_inputs
from hierpets.data.photos import read_photo
from hierpets.data.transforms import apply
from hierpets.errors import ImageError
from hierpets.plugin import Preprocess

SMALL = Preprocess(size=32)
DEMO = [f"demo:{label}/{n}" for label in ("dog/pug", "cat/tuxedo") for n in range(5)]


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("batch_size", [1, 4, 10, 64])
def test_iter_inputs_keeps_order_and_equals_one_by_one(workers, batch_size):
    batches = list(iter_inputs(DEMO, SMALL, batch_size=batch_size, workers=workers))
    assert [len(indices) for indices, _ in batches[:-1]] == [batch_size] * (len(batches) - 1)
    assert np.concatenate([indices for indices, _ in batches]).tolist() == list(range(10))
    inputs = np.concatenate([inputs for _, inputs in batches])
    assert inputs.dtype == np.float32
    np.testing.assert_array_equal(inputs, [apply(SMALL, read_photo(path, shorter_side=37)) for path in DEMO])


def test_iter_inputs_raises_or_reports_a_bad_photo(tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no picture")
    photos = [DEMO[0], bad, DEMO[1], b"", DEMO[2]]
    with pytest.raises(ImageError, match=r"bad\.jpg: not an image"):
        list(iter_inputs(photos, SMALL))
    failed: dict[int, ImageError] = {}
    batches = list(iter_inputs(photos, SMALL, batch_size=2, on_error=failed.__setitem__))
    assert [indices.tolist() for indices, _ in batches] == [[0, 2], [4]]
    assert sorted(failed) == [1, 3]
    assert list(iter_inputs([bad], SMALL, on_error=failed.__setitem__)) == []


def test_iter_inputs_of_nothing_is_empty():
    assert list(iter_inputs([], SMALL)) == []


def test_iter_inputs_reads_ahead_within_bounds():
    taken, others = itertools.count(), set(threading.enumerate())
    stream = (DEMO[next(taken) % 10] for _ in itertools.repeat(None))
    batches = iter_inputs(stream, SMALL, batch_size=4, workers=2)
    assert next(batches)[0].tolist() == [0, 1, 2, 3]
    assert next(taken) < 20
    batches.close()
    assert set(threading.enumerate()) <= others, "an early stop ends the threads"


def test_iter_inputs_takes_arrays():
    photo = np.full((40, 50, 3), 90, np.uint8)
    ((indices, inputs),) = iter_inputs([photo, photo[..., 0]], SMALL)
    assert indices.tolist() == [0, 1]
    np.testing.assert_array_equal(inputs[0], inputs[1])


def test_iter_inputs_gives_the_index_to_a_transform():
    def mark(index: int, photo: np.ndarray) -> np.ndarray:
        return np.full((3, 2, 2), index, np.float32)

    ((_, inputs),) = iter_inputs(DEMO[:3], SMALL, transform=mark)
    assert inputs[:, 0, 0, 0].tolist() == [0, 1, 2]
