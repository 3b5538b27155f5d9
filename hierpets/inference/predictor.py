"""The loaded model: from photos, one or many, and options to predictions."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from itertools import chain, islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn, overload

import numpy as np

from hierpets.bundle.identity import ModelId
from hierpets.bundle.manifest import Manifest
from hierpets.data.photos import DEFAULT_LIMITS, Limits, NamedPhoto, Photo, is_one_photo
from hierpets.errors import ConfigError, DeviceError, check_count, check_type
from hierpets.hierarchy.policy import MAX_SET, Thresholds
from hierpets.inference.advice import Adviser
from hierpets.inference.batch import UNREAD, BatchPredictor
from hierpets.inference.detector.bystanders import Bystanders
from hierpets.inference.engines.base import Engine, RawOutput
from hierpets.inference.engines.cascade import Cascade, SecondLookProtocol
from hierpets.inference.many import FEW, ModelForMany
from hierpets.inference.options import PredictOptions
from hierpets.inference.prediction import Prediction
from hierpets.inference.regions import RegionFinder
from hierpets.inference.request import Request
from hierpets.inference.stream import run_batches
from hierpets.recommend.choose import Recommender
from hierpets.regions.files import BoxFile
from hierpets.workers import not_live

__all__ = ["Predictor"]


class Predictor:
    """A loaded bundle, from :func:`hierpets.load`. Any number of threads may share it; calling it is :meth:`predict`.

    Each process must load its own: a forked process lacks the threads that compute and may wait for them forever, so
    there it raises ``DeviceError``. Start processes with multiprocessing's ``spawn`` or ``forkserver``.

    ``manifest`` describes the model and ``model`` identifies it; ``engine`` runs its main network and ``cascade`` all
    of them; ``bundle`` is the folder that it was loaded from, or None; ``adviser`` recommends products, or is None.
    Without a ``finder`` it finds no regions; without a ``second_look`` it looks at each photo once; without
    ``bystanders`` it does not search photos for other animals before it recommends a product that could harm them.
    ``for_many`` loads the same model, without recommendations, for many photos at a time: it predicts all but the first
    few photos of a large call.
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
        self.bystanders = bystanders
        self._batch = BatchPredictor(manifest, self.cascade, model, finder, bystanders)
        self.adviser = Adviser(manifest, recommender) if recommender else None
        self._finder = finder
        self._for_many = ModelForMany(for_many) if for_many is not None else None
        self._process = os.getpid()
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
        return self.adviser is not None

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
        :raises DeviceError: the GPU has too little memory for one photo, or the process was forked after the loading.
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
        return self._batch(self._request(options, limits, keep_photos=False), list(NamedPhoto.several(photos)))

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
        batches = run_batches(photos, partial(self._batch, request), self.engine, batch_size, live)
        return (prediction for batch in batches for prediction in batch)

    def _few_and_many(
        self, many: ModelForMany, request: Request, photos: Iterator[NamedPhoto], batch_size: int | None
    ) -> Iterator[Prediction]:
        yield from self._run(request, islice(photos, FEW), batch_size)
        for first in photos:
            yield from many.instead_of(self)._run(request, chain([first], photos), batch_size)

    def _check_process(self) -> None:
        """:raises DeviceError: this process was forked from the one that loaded the model."""
        if os.getpid() != self._process:
            raise DeviceError(
                "this predictor was loaded before the process was forked, which its threads do not survive; "
                "start processes with multiprocessing's spawn or forkserver, and call hierpets.load in each"
            )

    def _request(
        self, options: PredictOptions, limits: Limits, *, boxes: BoxFile | None = None, keep_photos: bool
    ) -> Request:
        self._check_process()
        check_type("limits", limits, Limits, "Limits")
        if boxes is None:
            self.check(options)
        else:
            check_type("boxes", boxes, BoxFile, "what hierpets.read_boxes gives")
        restriction = options.restriction(self.manifest.taxonomy)
        thresholds = self._thresholds(options.alpha, options.max_set)
        return Request(options, restriction, thresholds, keep_photos, limits, self.adviser, boxes)


def _find_thresholds(manifest: Manifest, alpha: float | None, max_set: int) -> Mapping[str, Thresholds]:
    """The thresholds of each species, and those for photos that cannot be read."""
    names = (*manifest.taxonomy.species, UNREAD)
    return MappingProxyType({name: manifest.policy.thresholds(name, alpha, max_set) for name in names})
