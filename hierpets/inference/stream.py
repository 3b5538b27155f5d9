"""Photos through the network: each of a few lanes decodes a small batch and finishes its answers, and order is kept.

On the CPU a lane computes on its own core, so a photo is handed from thread to thread only when it is done. Measured
beside a pool of decoders that feeds OpenVINO's AsyncInferQueue, lanes took the same time a photo while they still
shared one graph, and take a quarter less with a graph of their own; and that queue, made anew for each call, damages
the heap of the process (OpenVINO 2026.4).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple, TypeVar

import numpy as np

from hierpets.data.photos import Limits, Source, read_photo
from hierpets.data.transforms import apply
from hierpets.errors import ImageError
from hierpets.inference.engine import Engine, RawOutput
from hierpets.plugin import Preprocess
from hierpets.workers import run_in_order

__all__ = ["Answered", "Photo", "answer_batches"]

AHEAD = 4  # batches a lane that may be done before the first of them is; results are small, inputs are let go


R = TypeVar("R")


class Photo(NamedTuple):
    """A photo that does not lie at a path of its own: the name it goes by in its answer, and its bytes or pixels."""

    name: str
    source: Source


class Answered(NamedTuple):
    """A batch after the network: why photos could not be read, by position, and the rows of all others in order."""

    photos: Sequence[Photo]
    errors: Mapping[int, ImageError]
    output: RawOutput | None


def answer_batches(
    photos: Iterable[Photo],
    engine: Engine,
    *,
    preprocess: Preprocess,
    limits: Limits,
    finish: Callable[[Answered], R],
    batch_size: int | None = None,
) -> Iterator[R]:
    """What ``finish`` makes of each batch, in the order of the photos, which may be endless: few are read ahead.

    ``finish`` runs in the lane as well: a thread of its own would take a core from a lane for each batch.
    ``batch_size`` is the engine's where it is not given.
    """

    def answer(batch: Sequence[Photo]) -> R:
        inputs, errors = [], {}
        for position, photo in enumerate(batch):
            try:
                pixels = read_photo(photo.source, shorter_side=preprocess.shorter_side, limits=limits)
                inputs.append(apply(preprocess, pixels))
            except ImageError as error:
                errors[position] = error.with_traceback(None)  # whose frames would keep the pixels alive
        return finish(Answered(batch, errors, engine(np.stack(inputs)) if inputs else None))

    batches = _in_batches(photos, batch_size or engine.batch)
    for done in run_in_order(answer, batches, workers=engine.lanes, ahead=AHEAD * engine.lanes, name="lane"):
        yield done.result()


def _in_batches(photos: Iterable[Photo], size: int) -> Iterator[list[Photo]]:
    remaining = iter(photos)
    while batch := list(islice(remaining, size)):
        yield batch
