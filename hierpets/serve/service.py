"""What a running server holds: the model behind its batcher, the limits, the counters, explanations and feedback."""

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
"""A photo, RGB uint8 [H, W, 3], and the options of its prediction to a PNG of where the model looked; it
raises HierpetsError where it cannot, and TimeoutError where that takes too long."""

SHOWN_OPTIONS = ("alpha", "only", "max_level", "max_set")
"""The options on which it depends what an explanation shows: the species or the breed, and which."""

REGIONS_WEIGHT = 16  # photos that take as long as one with regions
MAX_SLOW_JOBS = 8
LONGEST_EXPLAINED = 1600  # pixels: a PNG of twelve million takes seconds to make, and a phone long to load


class PhotoRequest(NamedTuple):
    """One photo and the options of its request."""

    photo: NamedPhoto
    options: PredictOptions


class Service:
    """Made once an app. Its methods are called from the event loop."""

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
        self._explanations, self._savings = SlowJobs(), SlowJobs()  # of which only the first take long

    def _predict(self, requests: Sequence[PhotoRequest]) -> list[Prediction]:
        """Predictions of one batch; neighbors with the same options run together."""
        limits = self.settings.photo_limits
        predictions: list[Prediction] = []
        for options, group in groupby(requests, key=attrgetter("options")):
            predictions += self.predictor.predict_batch([one.photo for one in group], options, limits=limits)
        return predictions

    def warm_up(self) -> None:
        """Run the model once, so that the first photo does not wait for what is made on first use.

        :raises HierpetsError: the model fails.
        """
        size = self.predictor.manifest.preprocess.size
        blank = NamedPhoto("warm-up", np.zeros((size, size, 3), np.uint8))
        prediction = self.batcher.submit([PhotoRequest(blank, self.settings.options)])[0].result()
        if prediction.error is not None:
            raise prediction.error
        engine = self.predictor.engine
        if engine.device == "cuda":  # which prepares for each size of a batch at its first use, for seconds
            for rows in sorted({filled_size(rows) for rows in range(2, self.settings.batch_size + 1)}):
                warm_up(engine, size, batch_size=rows, times=1)

    def read_options(self, query: QueryParams, accepted: str | None) -> PredictOptions:
        """The server's options, with those that the query of a URL gives in their place, and the language that the
        header ``Accept-Language`` asks for.

        :raises Problem: an option that does not exist or is out of range, or a name that the model does not know.
        """
        words: dict[str, Any] = {"language": choose_language(accepted)} if accepted else {}
        for name in query:
            given = query.getlist(name)
            if name != "only" and len(given) > 1:
                raise Problem("invalid", f"{name}: expected one value, got {len(given)}")
            words[name] = given if name == "only" else given[0]
        most = len(self.predictor.manifest.taxonomy.leaves) + len(self.predictor.manifest.taxonomy.species)
        if len(words.get("only", ())) > most:  # each is looked up in every language, while others wait
            raise Problem("invalid", f"only: more names than the {most} of this model")
        try:
            options = PredictOptions.of(self.settings.options, words)
            self.predictor.check(options)
        except (ConfigError, BundleError) as error:
            raise Problem("invalid", "; ".join(str(error).splitlines())) from None
        return options

    def read_shown_options(self, query: QueryParams) -> PredictOptions:
        """As :meth:`read_options`, of :data:`SHOWN_OPTIONS` alone.

        :raises Problem: another option, or one that is out of range, or a name that the model does not know.
        """
        for name in query:
            if name not in SHOWN_OPTIONS:
                raise Problem("invalid", f"{name}: {unknown_key(name, SHOWN_OPTIONS)}")
        return self.read_options(query, None)

    async def predict(
        self, photos: Sequence[NamedPhoto], options: PredictOptions, receive: Receive
    ) -> list[Prediction]:
        """One prediction per photo, in their order. ``receive``, once a request is read, says when its client is gone.

        :raises Problem: too many photos wait already, the server is stopping, or the predictions take too long.
        :raises ClientDisconnect: the client has gone; what has not begun is not computed.
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
        answered = asyncio.gather(*map(asyncio.wrap_future, futures), return_exceptions=True)
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait((answered, gone), timeout=limit, return_when=asyncio.FIRST_COMPLETED)
            if not answered.done():
                if gone.done():
                    raise ClientDisconnect
                raise unavailable(f"no prediction within {limit:g} s")
        finally:
            gone.cancel()
            for future in futures:
                future.cancel()
        return [future.result() for future in futures]

    async def explain(self, photo: NamedPhoto, options: PredictOptions) -> bytes:
        """A PNG of where the model looked."""
        assert self.explainer is not None
        return await self._explanations.run(self._explain, photo, options)

    def _explain(self, photo: NamedPhoto, options: PredictOptions) -> bytes:
        assert self.explainer is not None
        try:
            return self.explainer(limit_longer_side(self._read(photo), LONGEST_EXPLAINED), options)
        except HierpetsError as error:  # a backbone without a spatial map, or weights that are not there
            kind = "internal" if isinstance(error, InternalError) else "no-explanation"
            raise Problem(kind, str(error)) from None
        except TimeoutError as error:
            raise unavailable(str(error)) from None

    async def save_feedback(self, photo: NamedPhoto, species: str, breed: str) -> str:
        """Save a photo with its label; its path inside the feedback folder."""
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
    """Runs jobs in a thread beside the model, one at a time, a few waiting."""

    def __init__(self) -> None:
        self._count = 0
        self._one_at_a_time = anyio.CapacityLimiter(1)

    async def run(self, job: Callable[..., T], *args: Any) -> T:
        """What the job returns. :raises Problem: too many wait already."""
        if self._count >= MAX_SLOW_JOBS:
            raise busy(2)
        self._count += 1
        try:
            return await anyio.to_thread.run_sync(job, *args, limiter=self._one_at_a_time)
        finally:
            self._count -= 1


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def unavailable(message: str) -> Problem:
    """The problem of a server that has given up a request."""
    return Problem("unavailable", message, headers={"retry-after": "5"})


def busy(retry_after: int) -> Problem:
    """The problem of a server with too much to do, and when to try again, in seconds."""
    message = f"too many photos are waiting; try again in {retry_after} s"
    return Problem("busy", message, headers={"retry-after": str(retry_after)}, retry_after=retry_after)
