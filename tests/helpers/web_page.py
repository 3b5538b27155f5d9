"""Photos shown to a page, what it says of them, and what Python says of them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from hierpets.inference.detector.bystanders import Bystanders
from hierpets.inference.detector.network import ONNX, Detector
from hierpets.inference.detector.second_look import SecondLook
from hierpets.inference.engines.openvino import InferRequests
from hierpets.inference.predictor import Predictor


class PageDetector(Detector):
    """The detector of a page, which computes in float32."""

    @cached_property
    def _requests(self) -> InferRequests:
        return InferRequests(ONNX, "f32", count=1, threads=None)


def rgba(photo: np.ndarray) -> bytes:
    """The pixels of a photo, uint8 [H, W, 3], as a canvas has them."""
    return np.dstack([photo, np.full(photo.shape[:2], 255, np.uint8)]).tobytes()


def upload(name: str, content: bytes) -> dict[str, Any]:
    """A photo as it is picked."""
    return {"name": name, "mimeType": "image/jpeg", "buffer": content}


def show(page: Any, *photos: dict[str, Any]) -> Any:
    """Pick photos and wait for their answers; the cards."""
    before = page.locator(".card").count()
    page.set_input_files("#pick", list(photos))
    page.locator('.card[aria-busy="false"]').nth(before + len(photos) - 1).wait_for()
    return page.locator(".card")


def drop(page: Any, *paths: Path) -> None:
    """Drop files or folders of the disk on the page, as a browser does it."""
    session, box = page.context.new_cdp_session(page), page.locator("#drop").bounding_box()
    data = {"items": [], "files": [*map(str, paths)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        place = {"x": box["x"] + 9, "y": box["y"] + 9}
        session.send("Input.dispatchDragEvent", {"type": kind, "data": data, **place})


def records(page: Any, contents: Sequence[bytes]) -> list[dict[str, Any]]:
    """The records of photos, as the page gets them."""
    script = """async (contents) => {
        const { predict } = await import(new URL("backend.js", document.querySelector("script[type=module]").src));
        const bytes = (content) => Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
        return Promise.all(contents.map((content) => predict(new Blob([bytes(content)]))));
    }"""
    found: list[dict[str, Any]] = page.evaluate(script, [base64.b64encode(content).decode() for content in contents])
    return found


def as_python(predictor: Predictor, contents: Sequence[bytes]) -> list[dict[str, Any]]:
    """The records of the same photos, with the page's detector."""
    detector = PageDetector()
    predictor.cascade.second_look = SecondLook.of(predictor.manifest, detector)
    predictor._batch._bystanders = Bystanders(detector, predictor.manifest.taxonomy.species)
    return [found.record().model_dump(mode="json") for found in predictor.predict(list(contents))]


def told(record: dict[str, Any]) -> tuple[Any, ...]:
    """The level and the leaf, or what else is answered."""
    return record["level"], *(record[node] and record[node]["label"] for node in ("species", "breed"))
