"""``python -m hierpets.serve.explaining_process BUNDLE REGISTRY``: photos on standard input, pictures on its output.

A photo is a line ``{"shape": [H, W, 3], "options": {...}}`` followed by its pixels; the response is a line
``{"size": ..., "error": ...}`` followed by a PNG of that many bytes. The process ends when its input does.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from hierpets.errors import HierpetsError
from hierpets.explain.explainer import Explainer
from hierpets.inference.options import PredictOptions
from hierpets.thumbnails import encode_png

__all__ = ["main"]


def main(bundle: str, registry: str) -> None:
    """Respond to photos until the input ends."""
    responses = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a plugin prints must not get between the responses
    explainer: Explainer | None = None
    for photo, options in _requests(sys.stdin.buffer):
        try:
            explainer = explainer or Explainer.load(bundle, registry=registry)
            _respond(responses, _explain(explainer, photo, options))
        except HierpetsError as error:
            _respond(responses, b"", str(error))


def _requests(stream: BinaryIO) -> Iterator[tuple[np.ndarray, PredictOptions]]:
    while line := stream.readline():
        head = json.loads(line)
        height, width, channels = head["shape"]
        pixels = stream.read(height * width * channels)
        if len(pixels) < height * width * channels:  # the server has ended while sending
            return
        photo = np.frombuffer(pixels, np.uint8).reshape(height, width, channels)
        yield photo, PredictOptions.model_validate(head["options"])


def _explain(explainer: Explainer, photo: np.ndarray, options: PredictOptions) -> bytes:
    """Return the PNG of the evidence for the breed if a breed is predicted, else for the species."""
    found = explainer.explain(photo, options)
    decision = found.prediction.decision
    if found.breed is not None and decision is not None and decision.level == "breed":
        return encode_png(found.breed)
    return encode_png(found.species)


def _respond(stream: BinaryIO, picture: bytes, error: str | None = None) -> None:
    stream.write(json.dumps({"size": len(picture), "error": error}).encode() + b"\n" + picture)
    stream.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
