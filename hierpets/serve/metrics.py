"""What the server counts, in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from hierpets.inference.prediction import Prediction

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """The counters of one app, in a registry of their own."""

    def __init__(self, waiting: Callable[[], int]):
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._requests = Counter(
            "hierpets_requests", "Requests answered.", ["method", "route", "status"], registry=registry
        )
        self._seconds = Histogram(
            "hierpets_request_seconds",
            "From the first byte to the answer.",
            ["route"],
            buckets=SECONDS,
            registry=registry,
        )
        self._photos = Counter("hierpets_photos", "Photos answered, by level or error.", ["level"], registry=registry)
        self._feedback = Counter("hierpets_feedback", "Photos kept as feedback.", registry=registry)
        self._batch = Histogram(
            "hierpets_batch_photos", "Photos in a batch.", buckets=(1, 2, 4, 8, 16, 32), registry=registry
        )
        self._batch_seconds = Histogram(
            "hierpets_batch_seconds", "Decoding and running one batch.", buckets=SECONDS, registry=registry
        )
        Gauge("hierpets_queue_photos", "Photos that wait for the model.", registry=registry).set_function(waiting)

    def count_request(self, method: str, route: str, *, status: int, seconds: float) -> None:
        self._requests.labels(method, route, status).inc()
        self._seconds.labels(route).observe(seconds)

    def count_answers(self, answers: Iterable[Prediction]) -> None:
        for answer in answers:
            self._photos.labels(answer.decision.level if answer.decision else "error").inc()

    def count_feedback(self) -> None:
        self._feedback.inc()

    def count_batch(self, photos: int, seconds: float) -> None:
        self._batch.observe(photos)
        self._batch_seconds.observe(seconds)

    def text(self) -> bytes:
        return generate_latest(self._registry)
