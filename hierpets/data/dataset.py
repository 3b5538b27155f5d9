"""Photos to batches of network input: decoded by a few threads, in order, with a bounded number in flight."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from hierpets.data.photos import DEFAULT_LIMITS, Limits, Source, read_photo
from hierpets.data.transforms import apply
from hierpets.errors import ImageError
from hierpets.plugin import Preprocess

__all__ = ["iter_inputs"]

Transform = Callable[[int, np.ndarray], np.ndarray]


def iter_inputs(
    photos: Iterable[Source],
    preprocess: Preprocess,
    *,
    batch_size: int = 32,
    workers: int = 2,
    limits: Limits = DEFAULT_LIMITS,
    transform: Transform | None = None,
    on_error: Callable[[int, ImageError], None] | None = None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield ``(indices int64 [B], inputs float32 [B, 3, size, size])``, B at most ``batch_size``, order kept.

    ``indices`` count the photos as given. ``photos`` may be endless: no more than a few batches are read ahead.
    ``transform(index, photo)`` replaces :func:`~hierpets.data.transforms.apply`, for augmentation. A photo that
    cannot be read raises its :class:`ImageError`, or, with ``on_error``, is reported there and left out.
    """

    def load(index: int, source: Source) -> np.ndarray:
        photo = read_photo(source, shorter_side=preprocess.shorter_side, limits=limits)
        return apply(preprocess, photo) if transform is None else transform(index, photo)

    indices: list[int] = []
    inputs: list[np.ndarray] = []
    for index, future in _in_order(load, photos, workers=workers, ahead=batch_size + 2 * workers):
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


def _in_order(
    load: Callable[[int, Source], np.ndarray], photos: Iterable[Source], *, workers: int, ahead: int
) -> Iterator[tuple[int, Future[np.ndarray]]]:
    """Run ``load`` on every photo in a pool; futures come in the order of the photos, ``ahead`` of them in flight."""
    pool = ThreadPoolExecutor(max_workers=max(1, workers), thread_name_prefix="photos")
    waiting: deque[tuple[int, Future[np.ndarray]]] = deque()
    try:
        for index, source in enumerate(photos):
            waiting.append((index, pool.submit(load, index, source)))
            if len(waiting) >= ahead:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()
    finally:  # also when the caller stops early
        pool.shutdown(wait=True, cancel_futures=True)
