"""What one running server holds: the model behind its batcher, the limits, the counters, and what it can do besides."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

import anyio
import anyio.to_thread
import numpy as np

from hierpets.data.photos import NamedPhoto, read_photo
from hierpets.errors import HierpetsError, ImageError
from hierpets.inference.options import PredictOptions
from hierpets.inference.prediction import Prediction
from hierpets.inference.predictor import Predictor
from hierpets.serve.feedback import FeedbackStore
from hierpets.serve.limits.batching import Batcher, Closed, Full
from hierpets.serve.limits.uploads import UploadReader
from hierpets.serve.metrics import Metrics
from hierpets.serve.problems import Problem
from hierpets.serve.settings import MB, ServeSettings

__all__ = ["Explainer", "Service"]

Explainer = Callable[[np.ndarray], bytes]
"""A photo, RGB uint8 [H, W, 3], to a PNG of where the model looked."""

MAX_SLOW_JOBS = 8


class Service:
    """Made once an app. Its methods are called from the event loop."""

    def __init__(self, predictor: Predictor, settings: ServeSettings, explainer: Explainer | None = None):
        self.predictor, self.settings, self.explainer = predictor, settings, explainer
        self.metrics = Metrics(waiting=lambda: self.batcher.waiting)
        self.batcher: Batcher[NamedPhoto, Prediction] = Batcher(
            self._predict,
            size=settings.batch_size,
            wait=settings.batch_wait_ms / 1000,
            room=settings.queue,
            on_batch=self.metrics.count_batch,
        )
        self.uploads = UploadReader(settings)
        taxonomy = predictor.manifest.taxonomy
        folder = settings.feedback
        self.feedback = (
            FeedbackStore(folder, taxonomy, max_bytes=int(settings.feedback_mb * MB)) if folder is not None else None
        )
        self._options = PredictOptions(alpha=settings.alpha, top_k=settings.top_k)
        self._slow_jobs = 0
        self._one_at_a_time = anyio.CapacityLimiter(1)

    def _predict(self, photos: Sequence[NamedPhoto]) -> list[Prediction]:
        return list(self.predictor.stream(photos, self._options, limits=self.settings.photo_limits))

    def warm_up(self) -> None:
        """Run the model once, so that the first photo does not wait for what is made on first use."""
        size = self.predictor.manifest.preprocess.size
        self.batcher.submit([NamedPhoto("warm-up", np.zeros((size, size, 3), np.uint8))])[0].result()

    async def predict(self, photos: Sequence[NamedPhoto]) -> list[Prediction]:
        """One answer a photo, in their order.

        :raises Problem: too much waits already, the server is stopping, or the answers take too long.
        """
        try:
            futures = self.batcher.submit(photos)
        except Full as full:
            raise busy(full.retry_after) from None
        except Closed:
            raise Problem("unavailable", "the server is stopping", headers={"retry-after": "5"}) from None
        answers = await self._in_time(futures)
        self.metrics.count_answers(answers)
        return answers

    async def _in_time(self, futures: Sequence[Future[Prediction]]) -> list[Prediction]:
        limit = self.settings.answer_seconds
        try:
            with anyio.fail_after(limit):
                return await asyncio.gather(*map(asyncio.wrap_future, futures))
        except TimeoutError:
            raise Problem("unavailable", f"no answer within {limit:g} s", headers={"retry-after": "5"}) from None
        finally:
            for future in futures:
                future.cancel()

    async def explain(self, photo: NamedPhoto) -> bytes:
        """A PNG of where the model looked."""
        assert self.explainer is not None
        return await self._slowly(self._explain, photo)

    def _explain(self, photo: NamedPhoto) -> bytes:
        assert self.explainer is not None
        try:
            return self.explainer(self._read(photo))
        except HierpetsError as error:  # a backbone without a spatial map, or weights that are not there
            raise Problem("no-explanation", str(error)) from None

    async def keep(self, photo: NamedPhoto, species: str, breed: str) -> str:
        """Keep a photo as feedback; its path below the folder."""
        path = await self._slowly(self._keep, photo, species, breed)
        self.metrics.count_feedback()
        return path

    def _keep(self, photo: NamedPhoto, species: str, breed: str) -> str:
        assert self.feedback is not None
        return self.feedback.save(self._read(photo), species, breed)

    def _read(self, photo: NamedPhoto) -> np.ndarray:
        try:
            return read_photo(photo.photo, shorter_side=1200, limits=self.settings.photo_limits)
        except ImageError as error:
            raise Problem("unreadable", str(error)) from None

    async def _slowly(self, job: Callable[..., Any], *args: Any) -> Any:
        """Run beside the model, one at a time, a few waiting."""
        if self._slow_jobs >= MAX_SLOW_JOBS:
            raise busy(2)
        self._slow_jobs += 1
        try:
            return await anyio.to_thread.run_sync(job, *args, limiter=self._one_at_a_time)
        finally:
            self._slow_jobs -= 1


def busy(retry_after: int) -> Problem:
    told = f"too many photos wait already; try again in {retry_after} s"
    return Problem("busy", told, headers={"retry-after": str(retry_after)}, retry_after=retry_after)
