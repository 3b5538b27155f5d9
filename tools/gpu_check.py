"""Checks the CUDA paths on a machine with a GPU: whether they predict as the CPU does, and whether they are fast.

    python tools/gpu_check.py [--model BUNDLE] [--data DIR] [--json gpu_check.json]

Prints a table and writes JSON. Exits with 1 when a check fails, and with 2, after one line, without a CUDA device.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hierpets.errors import HierpetsError
from hierpets.export.export import photos_to_check
from hierpets.export.parity import Parity, measure_parity
from hierpets.files import write_text
from hierpets.inference.engines.base import Engine, Precision, RawOutput, warm_up
from hierpets.inference.loading import load
from hierpets.inference.predictor import Predictor

NO_GPU = 2
BATCH, BATCHES, SINGLES = 32, 24, 50
# (precision, compiled): what is measured; the others are compared with the first
CONFIGS: tuple[tuple[Precision, bool], ...] = (("f32", False), ("f16", False), ("bf16", False), ("f16", True))


@dataclass(frozen=True)
class Row:
    """One configuration. Times are of the network alone, copies included; ``stream`` is from path to prediction."""

    config: str
    parity: Parity
    first_ms: float  # the first call, with all that is prepared then
    latency_ms: float  # median at batch 1
    alone: float  # photos per second at batch 32, each batch waited for
    overlapped: float  # the same with several batches in flight
    stream: float  # photos per second, decoding included
    unmixed: bool  # batches in flight gave what each gives alone
    memory_mb: float


def measure(config: str, predictor: Predictor, reference: Predictor, photos: Sequence[str]) -> Row:
    """Measure one configuration on photos; what is prepared at the first call is timed apart."""
    engine, size = predictor.engine, predictor.manifest.preprocess.size
    _forget_peak()
    _, first = _timed(lambda: warm_up(engine, size, times=1))
    warm_up(engine, size)
    warm_up(engine, size, batch_size=BATCH)
    one, several = _noise(size, 1, SINGLES), _noise(size, BATCH, BATCHES)
    latency = statistics.median(_timed(partial(engine, batch))[1] for batch in one)
    apart, alone = _timed(lambda: [engine(batch) for batch in several])
    together, overlapped = _timed(lambda: _in_flight(engine, several))
    predictor.predict(photos)  # prepares batches of every size
    return Row(
        config=config,
        parity=measure_parity(reference, predictor, photos),
        first_ms=first * 1e3,
        latency_ms=latency * 1e3,
        alone=BATCH * BATCHES / alone,
        overlapped=BATCH * BATCHES / overlapped,
        stream=len(photos) / _timed(lambda: predictor.predict(photos))[1],
        unmixed=all(_alike(a, b) for a, b in zip(apart, together, strict=True)),
        memory_mb=torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else 0.0,
    )


def failures(rows: Sequence[Row]) -> list[str]:
    """One sentence for each thing that is wrong. The first row is float32."""
    exact = rows[0]
    wrong = [f"{row.config}: {row.parity.words()}" for row in rows if not row.parity.holds]
    wrong += [f"{row.config}: batches in flight differ from the same batches alone" for row in rows if not row.unmixed]
    wrong += [
        f"{row.config}: {row.overlapped:.0f} photos/s with copies overlapped, {row.alone:.0f} without"
        for row in rows
        if row.overlapped < 0.95 * row.alone
    ]
    wrong += [
        f"{row.config}: {row.overlapped:.0f} photos/s, no more than {exact.overlapped:.0f} in {exact.config}"
        for row in rows[1:]
        if row.overlapped < exact.overlapped
    ]
    return wrong


def render(rows: Sequence[Row]) -> str:
    """The rows as a table."""
    head = ("config", "top-1 same", "leaf diff", "first ms", "batch 1 ms", "photos/s", "overlapped", "stream", "MB")
    cells = [
        (
            row.config,
            f"{row.parity.same}/{row.parity.photos}",
            f"{row.parity.largest['leaf']:.1e}",
            f"{row.first_ms:.0f}",
            f"{row.latency_ms:.2f}",
            f"{row.alone:.0f}",
            f"{row.overlapped:.0f}",
            f"{row.stream:.0f}",
            f"{row.memory_mb:.0f}",
        )
        for row in rows
    ]
    widths = [max(len(line[i]) for line in (head, *cells)) for i in range(len(head))]
    return "\n".join("  ".join(cell.rjust(w) for cell, w in zip(line, widths, strict=True)) for line in (head, *cells))


def report(rows: Sequence[Row], wrong: Sequence[str]) -> dict[str, Any]:
    """All of it, for a file."""
    return {
        "machine": machine(),
        "rows": [{**asdict(row), "parity": row.parity.to_json()} for row in rows],
        "failures": list(wrong),
    }


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    gpu = torch.cuda.get_device_properties(0) if torch.cuda.is_available() else None
    return {
        "gpu": gpu.name if gpu else None,
        "gpu_memory_mb": gpu.total_memory // 2**20 if gpu else None,
        "compute_capability": f"{gpu.major}.{gpu.minor}" if gpu else None,
        "cuda": torch.version.cuda,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def _in_flight(engine: Engine, batches: Sequence[np.ndarray]) -> list[RawOutput]:
    with ThreadPoolExecutor(engine.workers) as workers:
        return list(workers.map(engine, batches))


def _alike(a: RawOutput, b: RawOutput) -> bool:
    # cuDNN may sum in another order; the rows of another photo are further away than this.
    return all(np.allclose(x, y, rtol=1e-2, atol=1e-2 * np.abs(x).max()) for x, y in zip(a, b, strict=True))


def _noise(size: int, batch: int, count: int) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.normal(size=(batch, 3, size, size)).astype(np.float32) for _ in range(count)]


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    started = time.perf_counter()
    done = work()  # an engine gives arrays, so a GPU has finished when it returns
    return done, time.perf_counter() - started


def _forget_peak() -> None:
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a bundle; the released one when omitted")
    parser.add_argument("--data", type=Path, help="a folder of photos; synthetic images when omitted")
    parser.add_argument("--json", type=Path, default=Path("gpu_check.json"), help="where to write the numbers")
    given = parser.parse_args(arguments)
    if not torch.cuda.is_available():
        print(f"gpu_check: torch {torch.__version__} finds no CUDA device here; nothing was checked", file=sys.stderr)
        return NO_GPU
    try:
        return check(given.model, given.data, given.json)
    except HierpetsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def check(model: Path | None, data: Path | None, written: Path) -> int:
    photos = photos_to_check(data)
    reference = load(model, engine="torch", device="cpu", precision="f32", recommend=False)
    rows = []
    for precision, compiled in CONFIGS:
        if precision == "bf16" and not torch.cuda.is_bf16_supported():
            print("bf16: skipped, this GPU does not support it")
            continue
        predictor = load(model, device="cuda", precision=precision, compile=compiled, recommend=False)
        config = f"{precision}{' compiled' if compiled else ''}"
        rows.append(measure(config, predictor, reference, photos))
    wrong = failures(rows)
    print(render(rows))
    write_text(written, json.dumps(report(rows, wrong), indent=2) + "\n")
    for sentence in wrong:
        print(f"FAILED {sentence}")
    print(f"{len(wrong)} checks failed; numbers in {written}" if wrong else f"all checks hold; numbers in {written}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
