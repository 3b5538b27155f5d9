"""Predict a batch of photos in the calling thread: decode, run the networks, decide, recommend."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from itertools import chain
from typing import NamedTuple

import numpy as np

from hierpets.bundle.identity import ModelId
from hierpets.bundle.manifest import Manifest
from hierpets.data.photos import Limits, NamedPhoto, Photo
from hierpets.errors import DeviceError, HierpetsError, InternalError, PluginError
from hierpets.inference.advice import Search
from hierpets.inference.detector.bystanders import Bystanders
from hierpets.inference.engines.cascade import Cascade, CascadeOutput, Squares
from hierpets.inference.prediction import Prediction
from hierpets.inference.regions import (
    FoundRegions,
    RegionFinder,
    advise_together,
    answer_boxes,
    distinct_regions,
)
from hierpets.inference.request import Request, decide_each
from hierpets.messages.catalogue import speaking
from hierpets.recommend.result import RecommendationRecord

__all__ = ["UNREAD", "BatchPredictor", "bystander_search", "photo_error"]

UNREAD = ""  # stands for the species of a photo that cannot be read

_log = logging.getLogger(__name__)


class BatchOutput(NamedTuple):
    """A batch after the networks: ``errors`` of photos that failed and ``warnings`` of others, by position, and the
    outputs for all photos that did not fail, in order, in one or more parts.
    """

    photos: Sequence[NamedPhoto]
    errors: Mapping[int, HierpetsError]
    warnings: Mapping[int, str]
    outputs: Sequence[CascadeOutput]


class BatchPredictor:
    """Predicts a batch of photos; any number of threads may share it. The fields are as in :class:`Predictor`."""

    def __init__(
        self,
        manifest: Manifest,
        cascade: Cascade,
        model: ModelId,
        finder: RegionFinder | None,
        bystanders: Bystanders | None,
    ):
        self._bystanders = bystanders
        self._manifest = manifest
        self._cascade = cascade
        self._model = model
        self._finder = finder
        self._origins = dict(zip(manifest.taxonomy.leaves, manifest.origins, strict=True))

    def __call__(self, request: Request, photos: Sequence[NamedPhoto]) -> list[Prediction]:
        """Return the prediction of each photo; one that cannot be read has an ``error``.

        :raises PluginError: the backbone fails.
        :raises DeviceError: the GPU has too little memory for one photo.
        """
        with speaking(request.options.language):
            predictions = self._whole(request, photos)
            if not request.finds_animals:
                return predictions
            return [self._with_regions(*pair, request) for pair in zip(predictions, photos, strict=True)]

    def _whole(self, request: Request, photos: Sequence[NamedPhoto]) -> list[Prediction]:
        """The predictions for whole photos. If the batch fails, each photo is run alone, to find the one that does."""
        try:
            return self._finish(
                request, run_batch(photos, self._cascade, limits=request.limits, closer=not request.is_part)
            )
        except Exception as error:  # as in run_batch
            if len(photos) == 1:
                return [self._failed(request, photos[0], photo_error(photos[0].name, error))]
            return [prediction for photo in photos for prediction in self._whole(request, [photo])]

    def _failed(self, request: Request, photo: NamedPhoto, error: HierpetsError) -> Prediction:
        kept = photo.photo if request.keep_photos else None
        return Prediction(photo.name, self._model, request.thresholds[UNREAD], error=error, photo=kept)

    def _with_regions(self, whole: Prediction, photo: NamedPhoto, request: Request) -> Prediction:
        """The prediction with its regions, or with the error that occurred in one."""
        if whole.error is not None:
            return whole
        try:
            found = self._regions(photo, request)
            if request.advise is None:
                return replace(whole, regions=found.regions)
            return advise_together(whole, found, self._adviser(photo, request), self._manifest.taxonomy)
        except Exception as error:  # as in run_batch
            return self._failed(request, photo, photo_error(photo.name, error))

    def _regions(self, photo: NamedPhoto, request: Request) -> FoundRegions:
        options = request.options.model_copy(update={"regions": False})
        alone = request._replace(boxes=None, options=options, is_part=True)
        predict = partial(self, alone)
        pixels = self._cascade.decode_again(photo.photo, request.limits)
        if request.boxes is not None:
            height, width = pixels.shape[:2]
            boxes = request.boxes.of(photo.name, (width, height))
            return FoundRegions(answer_boxes(photo.name, pixels, boxes, predict))
        assert self._finder is not None  # check
        found = self._finder(pixels)
        return distinct_regions(found, answer_boxes(photo.name, pixels, found.boxes, predict))

    def _finish(self, request: Request, batch: BatchOutput) -> list[Prediction]:
        decided = chain.from_iterable(decide_each(self._manifest, found, request) for found in batch.outputs)
        predictions = []
        for position, photo in enumerate(batch.photos):
            if position in batch.errors:
                predictions.append(self._failed(request, photo, batch.errors[position]))
            else:
                prediction = Prediction(
                    photo.name,
                    self._model,
                    origins=self._origins,
                    photo=photo.photo if request.keep_photos else None,
                    warning=batch.warnings.get(position),
                    **next(decided),
                )
                if request.advise is not None and not request.finds_animals and not request.is_part:
                    prediction = replace(prediction, recommendation=self._adviser(photo, request)(prediction))
                predictions.append(prediction)
        return predictions

    def _adviser(self, photo: NamedPhoto, request: Request) -> Callable[..., RecommendationRecord | None]:
        """A function that recommends a product for an animal in a photo."""
        assert request.advise is not None
        search = bystander_search(self._bystanders, self._cascade, photo.photo, request.limits)
        return partial(request.advise, search=search, explain=request.options.explain)


def bystander_search(bystanders: Bystanders | None, cascade: Cascade, photo: Photo, limits: Limits) -> Search | None:
    """Return a function that searches a photo, at most once, for animals beside the predicted pet; None if none can be
    found without ``bystanders``.
    """
    if bystanders is None:
        return None
    return cache(partial(bystanders, partial(cascade.decode_closest, photo, limits), cascade.judge))


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

    def decode(row: int) -> np.ndarray:
        return cascade.decode_again(batch[positions[row]].photo, limits)

    try:
        return [cascade(list(inputs.values()), decode, closer=closer)]
    except Exception as error:
        if len(inputs) == 1:
            (position,) = inputs
            errors[position] = photo_error(batch[position].name, error)
            return []
    alone = (
        _ask(cascade, batch, {position: one}, errors, limits=limits, closer=closer) for position, one in inputs.items()
    )
    return [output for found in alone for output in found]
