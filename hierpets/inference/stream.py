"""Photos through the network: each of a few workers decodes a small batch and finishes its predictions; order is kept.

On the CPU a worker computes on its own core, so a photo is handed from thread to thread only when it is done. Measured
beside a pool of decoders that feeds OpenVINO's AsyncInferQueue, workers took the same time per photo while they still
shared one graph, and take a quarter less with a graph of their own; and that queue, made anew for each call, damages
the heap of the process (OpenVINO 2026.4).
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

AHEAD = 4  # batches a worker that may be done before the first of them is; results are small, inputs are let go

R = TypeVar("R")

_log = logging.getLogger(__name__)


class BatchOutput(NamedTuple):
    """A batch after the networks: why photos failed and what is wrong with others, by position, and the outputs for all
    that did not fail, in order and as one or more parts.
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
    """What ``run`` makes of each batch, in the order of the photos, which may be endless: few are read ahead.

    ``run`` does all that a batch needs in one worker: a thread of its own for its end would take a core from a worker
    for each batch. ``batch_size`` is the engine's where it is None, or less where so few photos are there that not
    every worker would get some. Where ``live`` says that the next photo is still to come, those that are there are a
    batch; so are they where ``photos`` raise.
    """
    batches = _in_batches(photos, batch_size or _batch_size(photos, engine), live)
    ahead = AHEAD * engine.workers
    for done in run_in_order(run, batches, workers=engine.workers, ahead=ahead, live=live, name="predict"):
        yield done.result()


def run_batch(batch: Sequence[NamedPhoto], cascade: Cascade, *, limits: Limits, closer: bool) -> BatchOutput:
    """Decode a batch and run the networks on it, in the thread that calls; ``closer`` as the cascade takes it.

    :raises PluginError: the backbone fails.
    :raises DeviceError: the GPU has not the memory for one photo.
    """
    inputs: dict[int, Squares] = {}
    errors: dict[int, HierpetsError] = {}
    warnings: dict[int, str] = {}
    for position, (name, photo) in enumerate(batch):
        try:
            told: list[str] = []
            inputs[position] = cascade.squares(cascade.decode(photo, limits, warn=told.append))
            if told:
                warnings[position] = "; ".join(told)
        except Exception as error:  # whatever one photo raises must not cost the others theirs
            errors[position] = photo_error(name, error)
    return BatchOutput(batch, errors, warnings, _ask(cascade, batch, inputs, errors, limits=limits, closer=closer))


def photo_error(name: str, error: Exception) -> HierpetsError:
    """The error of one photo. What hierpets does not know is logged with its traceback.

    :raises PluginError, DeviceError: that error, of a backbone or a GPU: what fails on one photo fails on the others.
    """
    if isinstance(error, PluginError | DeviceError):
        raise error
    if isinstance(error, HierpetsError):
        _let_go(error)
        return error
    _log.error("%s: unexpected error", name, exc_info=error)
    # Without the exception's own words: a client of the server gets the message.
    return InternalError(f"{name}: unexpected {type(error).__name__}, see the log; please report it with the photo")


def _let_go(error: BaseException | None) -> None:
    """Forget the frames of an error and of what it came from: they would keep a photo and its pixels alive."""
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
    """The outputs for all inputs, in order. If the batch as a whole fails, each photo is run alone, to find which."""
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
