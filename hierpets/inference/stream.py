"""Predict a stream of photos in batches: a few worker threads each decode, run and finish a batch; order is kept.

On the CPU, a worker computes on its own core, and a photo leaves its thread only when it is finished. Compared with a
pool of decoders that feeds OpenVINO's AsyncInferQueue, workers that share one graph take the same time per photo, and
workers with a graph of their own a quarter less. Besides, creating that queue for each call corrupts the heap of the
process (OpenVINO 2026.4).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from typing import NamedTuple, TypeVar

import numpy as np

from hierpets.data.photos import Limits, NamedPhoto
from hierpets.errors import DeviceError, HierpetsError, InternalError, PluginError
from hierpets.inference.engines.base import Engine
from hierpets.inference.engines.cascade import Cascade, CascadeOutput, Squares
from hierpets.workers import run_in_order

__all__ = ["BatchOutput", "photo_error", "run_batch", "run_batches"]

AHEAD = 4  # batches per worker that may finish before the oldest one does; only their small results are kept

R = TypeVar("R")

_log = logging.getLogger(__name__)


class BatchOutput(NamedTuple):
    """A batch after the networks: ``errors`` of photos that failed and ``warnings`` of others, by position, and the
    outputs for all photos that did not fail, in order, in one or more parts.
    """

    photos: Sequence[NamedPhoto]
    errors: Mapping[int, HierpetsError]
    warnings: Mapping[int, str]
    outputs: Sequence[CascadeOutput]


def run_batches(
    photos: Iterable[NamedPhoto],
    run: Callable[[Sequence[NamedPhoto]], R],
    engine: Engine,
    batch_size: int | None,
    live: Callable[[], bool],
) -> Iterator[R]:
    """Yield the result of ``run`` for each batch, in the order of the photos. These may be endless: few are read ahead.

    ``run`` does all the work of a batch in one worker: another thread for the last steps would take a core from the
    workers. ``batch_size`` defaults to the engine's, or less if there would not be a batch for every worker. A batch is
    run before it is full if ``live`` says that the next photo is still to come, or if ``photos`` raises.
    """
    batches = _in_batches(photos, batch_size or _batch_size(photos, engine), live)
    ahead = AHEAD * engine.workers
    for done in run_in_order(run, batches, workers=engine.workers, ahead=ahead, live=live, name="predict"):
        yield done.result()


def run_batch(batch: Sequence[NamedPhoto], cascade: Cascade, *, limits: Limits, closer: bool) -> BatchOutput:
    """Decode a batch and run the networks on it, in the calling thread; ``closer`` is as in :class:`Cascade`.

    :raises PluginError: the backbone fails.
    :raises DeviceError: the GPU has too little memory for one photo.
    """
    inputs: dict[int, Squares] = {}
    errors: dict[int, HierpetsError] = {}
    warnings: dict[int, str] = {}
    for position, (name, photo) in enumerate(batch):
        try:
            messages: list[str] = []
            inputs[position] = cascade.squares(cascade.decode(photo, limits, warn=messages.append))
            if messages:
                warnings[position] = "; ".join(messages)
        except Exception as error:  # one photo must not make the others fail
            errors[position] = photo_error(name, error)
    return BatchOutput(batch, errors, warnings, _ask(cascade, batch, inputs, errors, limits=limits, closer=closer))


def photo_error(name: str, error: Exception) -> HierpetsError:
    """The error to report for one photo. An unexpected one is logged with its traceback.

    :raises PluginError, DeviceError: an error of a backbone or a GPU is raised again, as it would fail on every photo.
    """
    if isinstance(error, PluginError | DeviceError):
        raise error
    if isinstance(error, HierpetsError):
        _drop_tracebacks(error)
        return error
    _log.error("%s: unexpected error", name, exc_info=error)
    # Without the text of the exception: clients of the server get this message.
    return InternalError(f"{name}: unexpected {type(error).__name__}, see the log; please report it with the photo")


def _drop_tracebacks(error: BaseException | None) -> None:
    """Remove the tracebacks of an error and its causes: their frames would keep a photo and its pixels alive."""
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


def _ask(
    cascade: Cascade,
    batch: Sequence[NamedPhoto],
    inputs: Mapping[int, Squares],
    errors: dict[int, HierpetsError],
    *,
    limits: Limits,
    closer: bool,
) -> list[CascadeOutput]:
    """The outputs for all inputs, in order. If the batch fails, each photo is run alone, to find the one that does."""
    if not inputs:
        return []
    positions = list(inputs)

    def read(row: int) -> np.ndarray:
        return cascade.decode_again(batch[positions[row]].photo, limits)

    try:
        return [cascade(list(inputs.values()), read, closer=closer)]
    except Exception as error:
        if len(inputs) == 1:
            (position,) = inputs
            errors[position] = photo_error(batch[position].name, error)
            return []
    alone = (
        _ask(cascade, batch, {position: one}, errors, limits=limits, closer=closer) for position, one in inputs.items()
    )
    return [output for found in alone for output in found]


def _batch_size(photos: Iterable[NamedPhoto], engine: Engine) -> int:
    if not isinstance(photos, Sized):
        return engine.batch
    return max(1, min(engine.batch, math.ceil(len(photos) / engine.workers)))


def _in_batches(photos: Iterable[NamedPhoto], size: int, live: Callable[[], bool]) -> Iterator[list[NamedPhoto]]:
    batch: list[NamedPhoto] = []
    try:
        for photo in photos:
            batch.append(photo)
            if len(batch) == size or live():
                yield batch
                batch = []
    except Exception:
        if batch:
            yield batch
        raise
    if batch:
        yield batch
