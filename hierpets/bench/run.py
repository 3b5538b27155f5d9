"""Benchmarks engines and precisions side by side: each in its own process, in alternating rounds; reports medians."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hierpets.bench.numbers import bound, find_limit, median_of
from hierpets.bench.probe import MODES, Mode
from hierpets.bench.sample import PhotoSample, choose_photos
from hierpets.bundle.layout import released_bundle
from hierpets.bundle.manifest import read_manifest
from hierpets.children import child_command, child_environment
from hierpets.errors import DeviceError, HierpetsError
from hierpets.files import check_output, write_file
from hierpets.inference.engines.base import ENGINES, PRECISIONS, EngineOptions, choose_device
from hierpets.progress import Progress, no_progress
from hierpets.workers import cores

__all__ = ["BackendConfig", "BackendResult", "BenchSettings", "backend_configs", "bench", "measure", "to_report"]

SCHEMA_VERSION = 1
EMULATED = "this CPU has no bfloat16, which torch imitates slowly; --engine torch --precision bf16 measures that"


@dataclass(frozen=True)
class BenchSettings:
    """What to measure, on which photos, and for how long.

    ``model`` None is the released bundle. ``data`` is a folder, of which at most ``photos`` are used; None means
    synthetic images. In ``engine``, an engine or precision of ``auto`` means all of them. Every number is the median
    over ``rounds``; each measurement takes about ``seconds``.
    """

    model: Path | None = None
    registry: Path | None = None
    data: str | None = None
    engine: EngineOptions = field(default_factory=EngineOptions)
    photos: int = 200
    rounds: int = 3
    seconds: float = 2.0


@dataclass(frozen=True)
class BackendConfig:
    """An engine and a precision to run the network with."""

    engine: str
    precision: str

    def __str__(self) -> str:
        return f"{self.engine} {self.precision}"


TORCH_BF16 = BackendConfig("torch", "bf16")


@dataclass(frozen=True)
class BackendResult:
    """The medians of one configuration (milliseconds, photos per second, MB), or why it is ``unavailable``."""

    config: BackendConfig
    numbers: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    unavailable: str | None = None


def bench(
    settings: BenchSettings,
    *,
    json_file: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Measure a bundle on this machine. Return the report that ``docs/bench.md`` describes, and write it to
    ``json_file``, if given.

    :raises ConfigError: ``json_file`` exists and ``overwrite`` is not given, or it cannot be written.
    :raises BundleError: the bundle is missing or damaged.
    :raises DataError: there are no photos to measure on.
    :raises HierpetsError: nothing could be measured.
    """
    if json_file is not None:
        check_output(Path(json_file), overwrite=overwrite)
    read_manifest(settings.model or released_bundle())  # fail here rather than in every process
    with tempfile.TemporaryDirectory() as scratch:
        sample = choose_photos(settings.data, settings.photos, scratch=Path(scratch))
        configs = backend_configs(settings.engine.engine, settings.engine.precision)
        report = to_report(sample, settings, measure(sample, configs, settings, progress=progress))
    if json_file is not None:
        write_file(Path(json_file), json.dumps(report, indent=2) + "\n")
    return report


def backend_configs(engine: str, precision: str) -> list[BackendConfig]:
    """List the combinations of engine and precision that two options select; ``auto`` selects all."""
    engines = [name for name in ENGINES if name != "auto"] if engine == "auto" else [engine]
    precisions = [name for name in PRECISIONS if name != "auto"] if precision == "auto" else [precision]
    return [BackendConfig(e, p) for e in engines for p in precisions]


def measure(
    sample: PhotoSample,
    configs: Sequence[BackendConfig],
    settings: BenchSettings,
    *,
    progress: Progress = no_progress,
) -> list[BackendResult]:
    """Measure every configuration. The result of one that this machine or bundle does not support has the reason.

    :raises HierpetsError: nothing could be measured.
    """
    rounds: dict[BackendConfig, list[dict[str, Any]]] = {config: [] for config in configs}
    unavailable = {config: EMULATED for config in configs if config == TORCH_BF16 and _is_emulated(settings.engine)}
    progress("measuring", 0, settings.rounds * len(configs))
    for turn in range(settings.rounds):
        for n, config in enumerate(configs):
            if config not in unavailable:
                result = run_probes(config, sample, settings)
                if "error" in result:
                    unavailable[config] = result["error"]["message"]
                else:
                    rounds[config].append(result)
            progress("measuring", turn * len(configs) + n + 1, settings.rounds * len(configs))
    if len(unavailable) == len(configs):
        raise DeviceError("\n".join(dict.fromkeys(unavailable.values())))
    return [
        BackendResult(c, unavailable=unavailable[c]) if c in unavailable else _medians(c, rounds[c]) for c in configs
    ]


def _is_emulated(options: EngineOptions) -> bool:
    """Whether torch would emulate bfloat16 on a CPU without it, many times slower than float32, although the user did
    not explicitly choose it.
    """
    if options.precision != "auto" or choose_device(options.device) != "cpu":
        return False
    from hierpets.inference.engines.openvino import capabilities

    return "BF16" not in capabilities()


def _medians(config: BackendConfig, rounds: Sequence[dict[str, Any]]) -> BackendResult:
    return BackendResult(config, {part: median_of([measured[part] for measured in rounds]) for part in rounds[0]})


def run_probes(config: BackendConfig, sample: PhotoSample, settings: BenchSettings) -> dict[str, Any]:
    """Measure both modes; return their numbers, or the error of the first that fails."""
    numbers: dict[str, Any] = {}
    for mode in MODES:
        numbers |= run_probe(config, mode, sample, settings)
        if "error" in numbers:
            break
    return numbers


def run_probe(config: BackendConfig, mode: Mode, sample: PhotoSample, settings: BenchSettings) -> dict[str, Any]:
    """Run one measurement in a fresh process.

    :raises HierpetsError: the process died.
    """
    job = {
        "mode": mode,
        "model": str(settings.model) if settings.model else None,
        "registry": str(settings.registry) if settings.registry else None,
        "engine": config.engine,
        "precision": config.precision,
        "options": {"device": settings.engine.device, "compile": settings.engine.compile},
        "photos": sample.paths,
        "seconds": settings.seconds,
        "started": time.time(),
    }
    run = subprocess.run(  # noqa: S603
        child_command("hierpets.bench.probe"),
        env=child_environment(),
        input=json.dumps(job),
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        last = (run.stderr.strip().splitlines() or ["no message"])[-1]
        raise HierpetsError(f"measuring {config} failed: {last}")
    return json.loads(run.stdout)


def to_report(sample: PhotoSample, settings: BenchSettings, results: Sequence[BackendResult]) -> dict[str, Any]:
    """Make the report as JSON values."""
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
        "results": [_row(result) for result in results],
    }


def _row(result: BackendResult) -> dict[str, Any]:
    config, numbers = result.config, result.numbers
    row = {"engine": config.engine, "precision": config.precision, "unavailable": result.unavailable}
    if result.unavailable is not None:
        return row
    rates = numbers["rates"]
    limit = find_limit(**rates)
    return row | {
        "start_ms": numbers["start"],
        "stages_ms": numbers["stages"],
        "latency_ms": numbers["latency"],
        "photos_per_second": {**rates, "bound": bound(rates["decode"], rates["network"])},
        "peak_memory_mb": {"single": numbers["memory"].get("peak"), "stream": numbers["stream_memory"].get("peak")},
        "limit": limit._asdict(),
    }
