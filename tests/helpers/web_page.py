"""What an exported page says of photos, and what Python says of them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from hierpets.inference.engines.cascade import Cascade
from hierpets.inference.predictor import Predictor


def records(page: Any, contents: Sequence[bytes]) -> list[dict[str, Any]]:
    """The records of photos, as the page gets them."""
    script = """async (contents) => {
        const { predict } = await import("/static/backend.js");
        const bytes = (content) => Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
        return Promise.all(contents.map((content) => predict(new Blob([bytes(content)]))));
    }"""
    found: list[dict[str, Any]] = page.evaluate(script, [base64.b64encode(content).decode() for content in contents])
    return found


def as_python(predictor: Predictor, contents: Sequence[bytes]) -> list[dict[str, Any]]:
    """The records of the same photos at one look, which is all that a page takes."""
    predictor.cascade = Cascade(predictor.manifest, predictor.cascade.engines)
    return [found.record().model_dump(mode="json") for found in predictor.predict(list(contents))]


def told(record: dict[str, Any]) -> tuple[Any, ...]:
    """The level and the leaf, or what else is answered."""
    return record["level"], *(record[node] and record[node]["label"] for node in ("species", "breed"))
