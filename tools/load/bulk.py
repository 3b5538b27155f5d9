"""``python -m tools.load.bulk BUNDLE FOLDER``: predict the folder to a JSONL file for each line on standard input.

The reply is a line of JSON: ``photos``, ``seconds``, and ``processor``, the processor seconds of all cores.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from hierpets.inference.loading import load
from hierpets.inference.output.resumable import write_predictions
from hierpets.registry.loading import load_registry
from hierpets.workers import cores


def main(bundle: str, folder: str) -> None:
    """Reply until the input ends."""
    registry = load_registry()
    predictor = load(bundle, workers=cores(), registry=registry)

    def predict(target: Path) -> int:
        return write_predictions(target, predictor, [folder], form="jsonl", registry=registry).photos

    _measured(predict)  # warms up
    for _ in sys.stdin:
        print(json.dumps(_measured(predict)), flush=True)


def _measured(predict: Callable[[Path], int]) -> dict[str, float]:
    with TemporaryDirectory() as scratch:
        processor, start = time.process_time(), time.perf_counter()
        photos = predict(Path(scratch) / "records.jsonl")
        return {
            "photos": photos,
            "seconds": time.perf_counter() - start,
            "processor": time.process_time() - processor,
        }


if __name__ == "__main__":
    main(*sys.argv[1:])
