"""Measures engines and precisions side by side: a process each, in rounds that alternate, medians over the rounds."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hierpets.bench.numbers import bound, find_limit, median_of
from hierpets.bench.probe import WAYS
from hierpets.bench.sample import Sample
from hierpets.errors import DeviceError, HierpetsError
from hierpets.progress import Progress, no_progress
from hierpets.workers import cores

__all__ = ["BackendConfig", "Measured", "Settings", "backend_configs", "bench", "to_json"]

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Settings:
    """What to measure, and for how long. ``options``: what else ``hierpets.load`` is given, such as ``device``."""

    model: Path | None = None
    registry: Path | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    rounds: int = 3
    seconds: float = 2.0


@dataclass(frozen=True)
class BackendConfig:
    """One way to run the network."""

    engine: str
    precision: str


@dataclass(frozen=True)
class Measured:
    """The medians of one contestant: milliseconds, photos a second, MB; or why it could not be measured."""

    contestant: BackendConfig
    numbers: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    unavailable: str | None = None


def backend_configs(engine: str, precision: str) -> list[BackendConfig]:
    """Every engine and precision that the two options name; ``auto`` names them all."""
    from hierpets.inference.engines.base import ENGINES, PRECISIONS

    engines = [name for name in ENGINES if name != "auto"] if engine == "auto" else [engine]
    precisions = [name for name in PRECISIONS if name != "auto"] if precision == "auto" else [precision]
    return [BackendConfig(e, p) for e in engines for p in precisions]


def bench(
    sample: Sample,
    candidates: Sequence[BackendConfig],
    settings: Settings,
    *,
    progress: Progress = no_progress,
) -> list[Measured]:
    """Measure every contestant; one that this machine or this bundle has not is kept with the reason.

    :raises HierpetsError: nothing could be measured.
    """
    rounds: dict[BackendConfig, list[dict[str, Any]]] = {c: [] for c in candidates}
    refused: dict[BackendConfig, str] = {}
    for turn in range(settings.rounds):
        for n, contestant in enumerate(candidates):
            if contestant not in refused:
                result = run_probes(contestant, sample, settings)
                if "error" in result:
                    refused[contestant] = result["error"]["message"]
                else:
                    rounds[contestant].append(result)
            progress("measuring", turn * len(candidates) + n + 1, settings.rounds * len(candidates))
    if len(refused) == len(candidates):
        raise DeviceError("\n".join(dict.fromkeys(refused.values())))
    return [Measured(c, unavailable=refused[c]) if c in refused else _medians(c, rounds[c]) for c in candidates]


def _medians(contestant: BackendConfig, rounds: Sequence[dict[str, Any]]) -> Measured:
    return Measured(contestant, {part: median_of([measured[part] for measured in rounds]) for part in rounds[0]})


def run_probes(contestant: BackendConfig, sample: Sample, settings: Settings) -> dict[str, Any]:
    """The numbers of both ways, or the error of the first that has one."""
    numbers: dict[str, Any] = {}
    for way in WAYS:
        numbers |= run_probe(contestant, way, sample, settings)
        if "error" in numbers:
            break
    return numbers


def run_probe(contestant: BackendConfig, way: str, sample: Sample, settings: Settings) -> dict[str, Any]:
    """One measurement in a fresh process."""
    job = asdict(contestant) | {
        "way": way,
        "model": str(settings.model) if settings.model else None,
        "registry": str(settings.registry) if settings.registry else None,
        "options": dict(settings.options),
        "photos": sample.paths,
        "seconds": settings.seconds,
        "started": time.time(),
    }
    run = subprocess.run(
        [sys.executable, "-m", "hierpets.bench.probe"],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        last = (run.stderr.strip().splitlines() or ["no message"])[-1]
        raise HierpetsError(f"measuring {contestant.engine} {contestant.precision} broke off: {last}")
    result: dict[str, Any] = json.loads(run.stdout)
    return result


def to_json(sample: Sample, settings: Settings, measured: Sequence[Measured]) -> dict[str, Any]:
    """The report as plain data; docs/bench.md describes it."""
    return {
        "schema_version": SCHEMA_VERSION,
        "machine": {
            "cores": cores(),
            "cpu_count": os.cpu_count(),
            "processor": platform.processor() or platform.machine(),
            "python": platform.python_version(),
            "system": platform.platform(),
        },
        "model": str(settings.model or "released"),
        "photos": {"count": len(sample.paths), "what": sample.what},
        "rounds": settings.rounds,
        "seconds": settings.seconds,
        "results": [_row(m) for m in measured],
    }


def _row(m: Measured) -> dict[str, Any]:
    row = {"engine": m.contestant.engine, "precision": m.contestant.precision, "unavailable": m.unavailable}
    if m.unavailable is not None:
        return row
    rates = m.numbers["rates"]
    limit = find_limit(throughput=rates["throughput"], decode=rates["decode"], network=rates["network"])
    return row | {
        "start_ms": m.numbers["start"],
        "stages_ms": m.numbers["stages"],
        "latency_ms": m.numbers["latency"],
        "photos_per_second": {**rates, "bound": bound(rates["decode"], rates["network"])},
        "peak_memory_mb": {
            "single": m.numbers["memory"].get("peak"),
            "stream": m.numbers["stream_memory"].get("peak"),
        },
        "limit": limit._asdict(),
    }
