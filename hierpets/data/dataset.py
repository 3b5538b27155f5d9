"""Turn photos into batches of network input: decoded by a few threads, in order, few at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from hierpets.data.photos import Photo, read_photo
from hierpets.data.transforms import apply
from hierpets.errors import ImageError
from hierpets.plugin import Preprocess
from hierpets.workers import run_in_order

__all__ = ["iter_inputs"]

Transform = Callable[[int, np.ndarray], np.ndarray]


def iter_inputs(
    photos: Iterable[Photo],
    preprocess: Preprocess,
    *,
    batch_size: int = 32,
    workers: int = 2,
    transform: Transform | None = None,
    detail: Callable[[int], int] = lambda _: 1,
    on_error: Callable[[int, ImageError], None] | None = None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield ``(indices int64 [B], inputs float32 [B, 3, size, size])``, B at most ``batch_size``, order kept.

    ``indices`` count the photos as given. ``photos`` may be endless: no more than a few batches are read ahead.
    ``transform(index, photo)`` replaces :func:`~hierpets.data.transforms.apply`, and inputs are stacks of what it
    gives; it gets a photo with at least ``detail(index)`` times the pixels on a side that the network needs. A photo
    that cannot be read raises its :class:`ImageError`, or, with ``on_error``, is reported there and left out.
    """

    def load(numbered: tuple[int, Photo]) -> np.ndarray:
        index, source = numbered
        photo = read_photo(source, shorter_side=detail(index) * preprocess.decoded_side)
        return apply(preprocess, photo) if transform is None else transform(index, photo)

    indices: list[int] = []
    inputs: list[np.ndarray] = []
    loaded = run_in_order(load, enumerate(photos), workers=workers, ahead=batch_size + 2 * workers, name="photos")
    for index, future in enumerate(loaded):
        try:
            inputs.append(future.result())
            indices.append(index)
        except ImageError as error:
            if on_error is None:
                raise
            on_error(index, error)
        if len(inputs) == batch_size:
            yield np.array(indices, np.int64), np.stack(inputs)
            indices, inputs = [], []
    if inputs:
        yield np.array(indices, np.int64), np.stack(inputs)
