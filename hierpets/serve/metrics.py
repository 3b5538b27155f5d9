"""Metrics of the server, in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from hierpets.inference.prediction import Prediction

__all__ = ["CONTENT_TYPE", "ServerMetrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
PHOTOS = (1, 2, 4, 8, 16, 32)


class ServerMetrics:
    """The metrics of one app, in a registry of their own. ``waiting`` returns the number of photos in the queue."""

    def __init__(self, waiting: Callable[[], int]):
        self._registry = own = CollectorRegistry()
        ProcessCollector(registry=own)
        route = ["method", "route", "status"]
        self._requests = Counter("hierpets_requests", "Requests.", route, registry=own)
        self._seconds = Histogram(
            "hierpets_request_seconds",
            "From the first byte of a request to its response.",
            ["route"],
            buckets=SECONDS,
            registry=own,
        )
        self._photos = Counter("hierpets_photos", "Photos, by level or error.", ["level"], registry=own)
        self._failed = Counter(
            "hierpets_failed_recommendations", "Photos without a shampoo because a rule failed.", registry=own
        )
        self._feedback = Counter("hierpets_feedback", "Photos saved as feedback.", registry=own)
        self._batch = Histogram("hierpets_batch_photos", "Photos in a batch.", buckets=PHOTOS, registry=own)
        self._batch_seconds = Histogram(
            "hierpets_batch_seconds", "Decoding and running one batch.", buckets=SECONDS, registry=own
        )
        Gauge("hierpets_queue_photos", "Photos that wait for the model.", registry=own).set_function(waiting)

    def count_request(self, method: str, route: str, *, status: int, seconds: float) -> None:
        self._requests.labels(method, route, status).inc()
        self._seconds.labels(route).observe(seconds)

    def count_predictions(self, predictions: Iterable[Prediction]) -> None:
        """Count photos by level, and the recommendations that failed."""
        for prediction in predictions:
            self._photos.labels(prediction.level or "error").inc()
            if prediction.recommendation is not None and prediction.recommendation.error:
                self._failed.inc()

    def count_feedback(self) -> None:
        self._feedback.inc()

    def count_batch(self, photos: int, seconds: float) -> None:
        self._batch.observe(photos)
        self._batch_seconds.observe(seconds)

    def text(self) -> bytes:
        """Return all metrics in the text format of Prometheus."""
        return generate_latest(self._registry)
