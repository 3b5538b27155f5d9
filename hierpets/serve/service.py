"""The state of a running server: the model behind its batcher, limits, metrics, explanations and feedback."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple, TypeVar

import anyio
import anyio.to_thread
import numpy as np
from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from hierpets.data.photos import NamedPhoto, read_photo
from hierpets.errors import BundleError, ConfigError, HierpetsError, ImageError, InternalError
from hierpets.inference.engines.base import filled_size, warm_up
from hierpets.inference.options import PredictOptions
from hierpets.inference.prediction import Prediction
from hierpets.inference.predictor import Predictor
from hierpets.messages.catalogue import choose_language
from hierpets.serve.feedback import FeedbackStore
from hierpets.serve.limits.batching import Batcher, Closed, Full
from hierpets.serve.limits.uploads import UploadReader
from hierpets.serve.metrics import ServerMetrics
from hierpets.serve.problems import Problem, stopping
from hierpets.serve.settings import MB, ServeSettings
from hierpets.thumbnails import limit_longer_side
from hierpets.validation.problems import unknown_key

__all__ = ["SHOWN_OPTIONS", "Explainer", "Service"]

T = TypeVar("T")
Explainer = Callable[[np.ndarray, PredictOptions], bytes]
"""Maps a photo, RGB uint8 [H, W, 3], and the options of its prediction to a PNG of where the model looked. Raises
HierpetsError if it cannot, and TimeoutError if it takes too long."""

SHOWN_OPTIONS = ("alpha", "only", "max_level", "max_set")
"""The options that affect what an explanation shows: the species or the breed, and which one."""

REGIONS_WEIGHT = 16  # a photo with regions takes as long as so many without
MAX_SLOW_JOBS = 8
MAX_EXPLAINED_SIDE = 1600  # pixels: a PNG of twelve megapixels takes seconds to encode, and long to load on a phone


class PhotoRequest(NamedTuple):
    """One photo and the options of its request."""

    photo: NamedPhoto
    options: PredictOptions


class Service:
    """Created once per app. Its methods are called from the event loop."""

    def __init__(self, predictor: Predictor, settings: ServeSettings, explainer: Explainer | None = None):
        self.predictor, self.settings, self.explainer = predictor, settings, explainer
        self.metrics = ServerMetrics(waiting=lambda: self.batcher.waiting)
        self.batcher: Batcher[PhotoRequest, Prediction] = Batcher(
            self._predict,
            size=settings.batch_size,
            wait=settings.batch_wait_ms / 1000,
            room=settings.queue,
            workers=predictor.engine.workers,
            on_batch=self.metrics.count_batch,
        )
        self.uploads = UploadReader(settings)
        folder, room = settings.feedback, int(settings.feedback_mb * MB)
        taxonomy = predictor.manifest.taxonomy
        self.feedback = FeedbackStore(folder, taxonomy, max_bytes=room) if folder is not None else None
        self._explanations, self._savings = SlowJobs(), SlowJobs()  # apart: saving must not wait for explanations

    def _predict(self, requests: Sequence[PhotoRequest]) -> list[Prediction]:
        """Predict one batch; neighbors with the same options run together."""
        limits = self.settings.photo_limits
        predictions: list[Prediction] = []
        for options, group in groupby(requests, key=attrgetter("options")):
            predictions += self.predictor.predict_batch([one.photo for one in group], options, limits=limits)
        return predictions

    def warm_up(self) -> None:
        """Run the model once, so that the first photo does not wait for the preparations of first use.

        :raises HierpetsError: the model fails.
        """
        size = self.predictor.manifest.preprocess.size
        blank = NamedPhoto("warm-up", np.zeros((size, size, 3), np.uint8))
        prediction = self.batcher.submit([PhotoRequest(blank, self.settings.options)])[0].result()
        if prediction.error is not None:
            raise prediction.error
        engine = self.predictor.engine
        if engine.device == "cuda":  # the first batch of each size takes seconds to prepare
            for rows in sorted({filled_size(rows) for rows in range(2, self.settings.batch_size + 1)}):
                warm_up(engine, size, batch_size=rows, times=1)

    def read_options(self, query: QueryParams, accepted: str | None) -> PredictOptions:
        """Return the server's options, overridden by the language of the header ``Accept-Language`` and by the query of
        the URL.

        :raises Problem: an option does not exist or is out of range, or the model does not know a name.
        """
        overrides: dict[str, Any] = {"language": choose_language(accepted)} if accepted else {}
        for name in query:
            given = query.getlist(name)
            if name != "only" and len(given) > 1:
                raise Problem("invalid", f"{name}: expected one value, got {len(given)}")
            overrides[name] = given if name == "only" else given[0]
        known = len(self.predictor.manifest.taxonomy.leaves) + len(self.predictor.manifest.taxonomy.species)
        if len(overrides.get("only", ())) > known:  # each name is looked up in every language, while others wait
            raise Problem("invalid", f"only: more names than the {known} of this model")
        try:
            options = PredictOptions.of(self.settings.options, overrides)
            self.predictor.check(options)
        except (ConfigError, BundleError) as error:
            raise Problem("invalid", "; ".join(str(error).splitlines())) from None
        return options

    def read_shown_options(self, query: QueryParams) -> PredictOptions:
        """Like :meth:`read_options`, but accept only :data:`SHOWN_OPTIONS` in the query.

        :raises Problem: as there, or another option is given.
        """
        for name in query:
            if name not in SHOWN_OPTIONS:
                raise Problem("invalid", f"{name}: {unknown_key(name, SHOWN_OPTIONS)}")
        return self.read_options(query, None)

    async def predict(
        self, photos: Sequence[NamedPhoto], options: PredictOptions, receive: Receive
    ) -> list[Prediction]:
        """Return one prediction per photo, in order. ``receive``, of a request that is read, tells when its client
        disconnects.

        :raises Problem: too many photos are queued, the server is stopping, or the predictions take too long.
        :raises ClientDisconnect: the client has disconnected; predictions that have not started are dropped.
        """
        weight = REGIONS_WEIGHT if options.regions else 1
        try:
            futures = self.batcher.submit([PhotoRequest(photo, options) for photo in photos], weight)
        except Full as full:
            raise busy(full.retry_after) from None
        except Closed:
            raise stopping() from None
        predictions = await self._in_time(futures, receive)
        self.metrics.count_predictions(predictions)
        return predictions

    async def _in_time(self, futures: Sequence[Future[Prediction]], receive: Receive) -> list[Prediction]:
        limit = self.settings.predict_seconds
        predicted = asyncio.gather(*map(asyncio.wrap_future, futures), return_exceptions=True)
        disconnected = asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait((predicted, disconnected), timeout=limit, return_when=asyncio.FIRST_COMPLETED)
            if not predicted.done():
                if disconnected.done():
                    raise ClientDisconnect
                raise unavailable(f"no prediction within {limit:g} s")
        finally:
            disconnected.cancel()
            for future in futures:
                future.cancel()
        return [future.result() for future in futures]

    async def explain(self, photo: NamedPhoto, options: PredictOptions) -> bytes:
        """Return a PNG of where the model looked."""
        assert self.explainer is not None
        return await self._explanations.run(self._explain, photo, options)

    def _explain(self, photo: NamedPhoto, options: PredictOptions) -> bytes:
        assert self.explainer is not None
        try:
            return self.explainer(limit_longer_side(self._read(photo), MAX_EXPLAINED_SIDE), options)
        except HierpetsError as error:  # such as a backbone without a spatial map, or missing weights
            kind = "internal" if isinstance(error, InternalError) else "no-explanation"
            raise Problem(kind, str(error)) from None
        except TimeoutError as error:
            raise unavailable(str(error)) from None

    async def save_feedback(self, photo: NamedPhoto, species: str, breed: str) -> str:
        """Save a photo with its label, and return its path inside the feedback folder."""
        path = await self._savings.run(self._save_feedback, photo, species, breed)
        self.metrics.count_feedback()
        return path

    def _save_feedback(self, photo: NamedPhoto, species: str, breed: str) -> str:
        assert self.feedback is not None
        return self.feedback.save(self._read(photo), species, breed)

    def _read(self, photo: NamedPhoto) -> np.ndarray:
        try:
            return read_photo(photo.photo, shorter_side=1200, limits=self.settings.photo_limits)
        except ImageError as error:
            raise Problem("unreadable", str(error)) from None


class SlowJobs:
    """Runs jobs in a thread beside the model, one at a time; a limited number may wait."""

    def __init__(self) -> None:
        self._count = 0
        self._one_at_a_time = anyio.CapacityLimiter(1)

    async def run(self, job: Callable[..., T], *args: Any) -> T:
        """Run a job and return its result.

        :raises Problem: too many jobs are waiting already.
        """
        if self._count >= MAX_SLOW_JOBS:
            raise busy(2)
        self._count += 1
        try:
            return await anyio.to_thread.run_sync(job, *args, limiter=self._one_at_a_time)
        finally:
            self._count -= 1


async def _disconnected(receive: Receive) -> None:
    """Return when the client disconnects."""
    while (await receive())["type"] != "http.disconnect":
        pass


def unavailable(message: str) -> Problem:
    """The problem of a request that took too long."""
    return Problem("unavailable", message, headers={"retry-after": "5"})


def busy(retry_after: int) -> Problem:
    """The problem of a server that is too busy; the client may retry after so many seconds."""
    message = f"too many photos are waiting; try again in {retry_after} s"
    return Problem("busy", message, headers={"retry-after": str(retry_after)}, retry_after=retry_after)
