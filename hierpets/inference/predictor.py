"""From photos to predictions: decode, run the engine, combine, decide, recommend."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, lru_cache, partial
from itertools import chain, islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn, overload

import numpy as np

from hierpets.bundle.identity import ModelId
from hierpets.bundle.manifest import Manifest
from hierpets.data.photos import DEFAULT_LIMITS, Limits, NamedPhoto, Photo, is_one_photo
from hierpets.errors import ConfigError, HierpetsError, check_count, check_type
from hierpets.hierarchy.policy import MAX_SET, Thresholds
from hierpets.inference.advice import Adviser, Search
from hierpets.inference.detector.bystanders import Bystanders
from hierpets.inference.engines.base import Engine, RawOutput
from hierpets.inference.engines.cascade import Cascade, SecondLookProtocol
from hierpets.inference.many import FEW, ModelForMany
from hierpets.inference.options import PredictOptions
from hierpets.inference.prediction import Prediction
from hierpets.inference.regions import (
    FoundRegions,
    RegionFinder,
    advise_together,
    answer_boxes,
    distinct_regions,
)
from hierpets.inference.request import Request, decide_each
from hierpets.inference.stream import BatchOutput, photo_error, run_batch, run_batches
from hierpets.messages.catalogue import speaking
from hierpets.recommend.choose import Recommender
from hierpets.recommend.result import RecommendationRecord
from hierpets.regions.files import BoxFile
from hierpets.workers import not_live

__all__ = ["Predictor"]

UNREAD = ""  # stands for the species of a photo that cannot be read


class Predictor:
    """A loaded bundle, from :func:`hierpets.load`. Any number of threads may share it; calling it is :meth:`predict`.

    Each process must load its own: a forked process lacks the threads that compute, and would wait for them forever.
    Start processes with multiprocessing's ``spawn`` or ``forkserver``.

    ``manifest`` describes the model and ``model`` identifies it; ``engine`` runs its main network and ``cascade`` all
    of them; ``bundle`` is the folder that it was loaded from, or None. Without a ``finder`` it finds no regions;
    without a ``second_look`` it looks at each photo once; without ``bystanders`` it does not search photos for other
    animals before it recommends a product that could harm them. ``for_many`` loads the same model, without
    recommendations, for many photos at a time: it predicts all but the first few photos of a large call.
    """

    def __init__(
        self,
        manifest: Manifest,
        engine: Engine,
        recommender: Recommender | None = None,
        *,
        early: Sequence[Engine] = (),
        finder: RegionFinder | None = None,
        second_look: SecondLookProtocol | None = None,
        bystanders: Bystanders | None = None,
        model: ModelId,
        bundle: Path | None = None,
        for_many: Callable[[], Predictor] | None = None,
    ):
        self.manifest = manifest
        self.cascade = Cascade(manifest, (*early, engine), second_look)
        self.model = model
        self.bundle = bundle
        self._advise = Adviser(manifest, recommender) if recommender else None
        self._finder = finder
        self._bystanders = bystanders
        self._for_many = ModelForMany(for_many) if for_many is not None else None
        self._origins = dict(zip(manifest.taxonomy.leaves, manifest.origins, strict=True))
        # Computing them takes milliseconds, and a server needs the same ones for every batch.
        self._thresholds = lru_cache(maxsize=64)(partial(_find_thresholds, manifest))

    def __repr__(self) -> str:
        tree = self.manifest.taxonomy
        classes = f"{len(tree.species)} species, {sum(map(len, tree.tree.values()))} breeds"
        return (
            f"<Predictor {self.model}: {classes}, {self.engine.name} {self.engine.precision} on {self.engine.device}>"
        )

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Predictor cannot be pickled or copied; call hierpets.load in each process")

    @property
    def engine(self) -> Engine:
        """The engine that runs the main network."""
        return self.cascade.engines[-1]

    @property
    def recommends(self) -> bool:
        """Whether its predictions include a recommendation."""
        return self._advise is not None

    @property
    def finds_regions(self) -> bool:
        """Whether it can find the animals in a photo."""
        return self._finder is not None

    @overload
    def predict(
        self,
        photos: Photo | NamedPhoto,
        options: PredictOptions | None = None,
        *,
        boxes: BoxFile | None = None,
        **words: Any,
    ) -> Prediction: ...
    @overload
    def predict(
        self,
        photos: Iterable[Photo | NamedPhoto],
        options: PredictOptions | None = None,
        *,
        boxes: BoxFile | None = None,
        **words: Any,
    ) -> list[Prediction]: ...
    def predict(
        self,
        photos: Photo | NamedPhoto | Iterable[Photo | NamedPhoto],
        options: PredictOptions | None = None,
        *,
        boxes: BoxFile | None = None,
        **words: Any,
    ) -> Prediction | list[Prediction]:
        """Predict one photo, or several: a prediction for a single photo, else a list of them in the order given.

        A photo is a path, bytes, an array uint8 [H, W, 3] in RGB or [H, W] in gray, or a PIL image; several are any
        iterable of these, such as a column of a table. A photo that cannot be read does not raise: its prediction has
        an ``error``. Arrays and images that an iterator yields, such as the frames of a video, are copied, so that it
        may reuse their memory.

        ``words`` are fields of :class:`PredictOptions`: ``predict("cat.jpg", alpha=0.01, only=["cat"])``. With
        ``regions=True``, each animal in a photo gets a prediction of its own; ``boxes`` from
        :func:`hierpets.read_boxes` say where they are.

        :raises ConfigError: an option that does not exist or is out of range, something that is not a photo, or
            ``regions`` of a model that cannot find them.
        :raises BundleError: ``regions``, but the graph that finds animals is missing or damaged.
        :raises PluginError: with the engine torch, the plugin of the backbone fails.
        :raises DeviceError: the GPU has too little memory for one photo.
        """
        if is_one_photo(photos):
            return self._list([photos], options, boxes, words)[0]
        return self._list(photos, options, boxes, words)

    __call__ = predict

    def _list(
        self, photos: Any, options: PredictOptions | None, boxes: BoxFile | None, words: dict[str, Any]
    ) -> list[Prediction]:
        named = list(NamedPhoto.several(photos))
        return list(self._stream(named, PredictOptions.of(options, words), boxes=boxes, keep_photos=True))

    def stream(
        self,
        photos: Iterable[Photo | NamedPhoto],
        options: PredictOptions | None = None,
        *,
        boxes: BoxFile | None = None,
        batch_size: int | None = None,
        live: bool | Callable[[], bool] = False,
        limits: Limits = DEFAULT_LIMITS,
        **words: Any,
    ) -> Iterator[Prediction]:
        """Predict any number of photos, even an endless stream, in order and in bounded memory.

        Few photos are read ahead, and a batch is predicted once it is full. ``batch_size`` defaults to that of the
        engine. ``live`` is for photos that arrive one by one: if true, each is predicted before the next is requested;
        a function is asked each time whether the next photo is still to come. ``limits`` bound the bytes and pixels of
        a photo. ``options``, ``boxes``, ``words`` and the photos are as in :meth:`predict`.

        :raises ConfigError: as :meth:`predict`; for a wrong argument at the call, for something that is not a photo
            when its turn comes.
        :raises BundleError, PluginError, DeviceError: as :meth:`predict`.
        """
        if batch_size is not None:
            check_count("batch_size", batch_size)
        if not callable(live):
            check_type("live", live, bool, "true, false or a function")
        chosen = PredictOptions.of(options, words)
        named = NamedPhoto.several(photos)
        return self._stream(named, chosen, boxes=boxes, batch_size=batch_size, live=live, limits=limits)

    def predict_batch(
        self, photos: Sequence[NamedPhoto], options: PredictOptions, *, limits: Limits = DEFAULT_LIMITS
    ) -> list[Prediction]:
        """Predict a few photos as one batch in the calling thread, for callers with threads of their own such as a
        server.

        ``limits`` are as in :meth:`stream`.

        :raises ConfigError, BundleError, PluginError, DeviceError: as :meth:`predict`.
        """
        return self._predict_batch(self._request(options, limits, keep_photos=False), list(NamedPhoto.several(photos)))

    def check(self, options: PredictOptions) -> None:
        """Check that this model supports the options.

        :raises ConfigError: a name that it does not know, or regions of a model without a pet score or without a
            spatial feature map, by which animals are found.
        :raises BundleError: regions, but the graph that finds animals is missing or damaged.
        """
        check_type("options", options, PredictOptions, "PredictOptions")
        options.restriction(self.manifest.taxonomy)
        if options.regions:
            if self._finder is None:
                raise ConfigError("regions: this model has no pet score, by which animals are found; give it boxes")
            self._finder.check()

    def thresholds(self, alpha: float | None = None, max_set: int = MAX_SET) -> Mapping[str, Thresholds]:
        """The thresholds by species, at this alpha or the bundle's; those under ``""`` are for photos that cannot be
        read.

        :raises ConfigError: ``alpha`` or ``max_set`` is out of range.
        """
        asked = PredictOptions.of(None, {"alpha": alpha, "max_set": max_set})
        return self._thresholds(asked.alpha, asked.max_set)

    def bystander_search(self, photo: Photo, limits: Limits = DEFAULT_LIMITS) -> Search | None:
        """A function that searches a photo, at most once, for animals beside the predicted pet; None if this model
        searches no photos.
        """
        if self._bystanders is None:
            return None
        read = partial(self.cascade.decode_closest, photo, limits)
        return cache(partial(self._bystanders, read, self.cascade.judge))

    def joint(self, output: RawOutput) -> np.ndarray:
        """Calibrated joint probabilities of the :attr:`engine`'s output for a batch, float64 [B, L]."""
        return self.manifest.calibration.joint(output.outputs)

    def _stream(
        self,
        photos: Iterable[NamedPhoto],
        options: PredictOptions,
        *,
        boxes: BoxFile | None = None,
        batch_size: int | None = None,
        live: bool | Callable[[], bool] = False,
        limits: Limits = DEFAULT_LIMITS,
        keep_photos: bool = False,
    ) -> Iterator[Prediction]:
        request = self._request(options, limits, boxes=boxes, keep_photos=keep_photos)
        if live or self._for_many is None:
            return self._run(request, photos, batch_size, live if callable(live) else partial(bool, live))
        return self._few_and_many(self._for_many, request, iter(photos), batch_size)

    def _run(
        self,
        request: Request,
        photos: Iterable[NamedPhoto],
        batch_size: int | None,
        live: Callable[[], bool] = not_live,
    ) -> Iterator[Prediction]:
        batches = run_batches(photos, partial(self._predict_batch, request), self.engine, batch_size, live)
        return (prediction for batch in batches for prediction in batch)

    def _few_and_many(
        self, many: ModelForMany, request: Request, photos: Iterator[NamedPhoto], batch_size: int | None
    ) -> Iterator[Prediction]:
        yield from self._run(request, islice(photos, FEW), batch_size)
        for first in photos:
            yield from many.instead_of(self)._run(request, chain([first], photos), batch_size)

    def _request(
        self, options: PredictOptions, limits: Limits, *, boxes: BoxFile | None = None, keep_photos: bool
    ) -> Request:
        check_type("limits", limits, Limits, "Limits")
        if boxes is None:
            self.check(options)
        else:
            check_type("boxes", boxes, BoxFile, "what hierpets.read_boxes gives")
        restriction = options.restriction(self.manifest.taxonomy)
        thresholds = self._thresholds(options.alpha, options.max_set)
        return Request(options, restriction, thresholds, keep_photos, limits, self._advise, boxes)

    def _predict_batch(self, request: Request, photos: Sequence[NamedPhoto]) -> list[Prediction]:
        with speaking(request.options.language):
            predictions = self._whole(request, photos)
            if not request.finds_animals:
                return predictions
            return [self._with_regions(*pair, request) for pair in zip(predictions, photos, strict=True)]

    def _whole(self, request: Request, photos: Sequence[NamedPhoto]) -> list[Prediction]:
        """The predictions for whole photos. If the batch fails, each photo is run alone, to find the one that does."""
        try:
            return self._finish(
                request, run_batch(photos, self.cascade, limits=request.limits, closer=not request.is_part)
            )
        except Exception as error:  # as in run_batch
            if len(photos) == 1:
                return [self._failed(request, photos[0], photo_error(photos[0].name, error))]
            return [prediction for photo in photos for prediction in self._whole(request, [photo])]

    def _failed(self, request: Request, photo: NamedPhoto, error: HierpetsError) -> Prediction:
        kept = photo.photo if request.keep_photos else None
        return Prediction(photo.name, self.model, request.thresholds[UNREAD], error=error, photo=kept)

    def _with_regions(self, whole: Prediction, photo: NamedPhoto, request: Request) -> Prediction:
        """The prediction with its regions, or with the error that occurred in one."""
        if whole.error is not None:
            return whole
        try:
            found = self._regions(photo, request)
            if request.advise is None:
                return replace(whole, regions=found.regions)
            return advise_together(whole, found, self._adviser(photo, request), self.manifest.taxonomy)
        except Exception as error:  # as in run_batches
            return self._failed(request, photo, photo_error(photo.name, error))

    def _regions(self, photo: NamedPhoto, request: Request) -> FoundRegions:
        options = request.options.model_copy(update={"regions": False})
        alone = request._replace(boxes=None, options=options, is_part=True)
        predict = partial(self._predict_batch, alone)
        pixels = self.cascade.decode_again(photo.photo, request.limits)
        if request.boxes is not None:
            height, width = pixels.shape[:2]
            boxes = request.boxes.of(photo.name, (width, height))
            return FoundRegions(answer_boxes(photo.name, pixels, boxes, predict))
        assert self._finder is not None  # check
        found = self._finder(pixels)
        return distinct_regions(found, answer_boxes(photo.name, pixels, found.boxes, predict))

    def _finish(self, request: Request, batch: BatchOutput) -> list[Prediction]:
        decided = chain.from_iterable(decide_each(self.manifest, found, request) for found in batch.outputs)
        predictions = []
        for position, photo in enumerate(batch.photos):
            if position in batch.errors:
                predictions.append(self._failed(request, photo, batch.errors[position]))
            else:
                prediction = Prediction(
                    photo.name,
                    self.model,
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
        search = self.bystander_search(photo.photo, request.limits)
        return partial(request.advise, search=search, explain=request.options.explain)


def _find_thresholds(manifest: Manifest, alpha: float | None, max_set: int) -> Mapping[str, Thresholds]:
    """The thresholds of each species, and those for photos that cannot be read."""
    names = (*manifest.taxonomy.species, UNREAD)
    return MappingProxyType({name: manifest.policy.thresholds(name, alpha, max_set) for name in names})
