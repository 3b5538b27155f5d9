"""``hierpets bench``."""

from __future__ import annotations

from pathlib import Path

import click

from hierpets.cli.options import engine_options, model_option, registry_option
from hierpets.inference.engines.base import EngineOptions

__all__ = ["command"]


@click.command("bench")
@model_option
@click.option("--data", metavar="DIR", help="Photos to measure on; drawn pets when left out.")
@engine_options
@click.option("--photos", type=click.IntRange(min=1), default=200, show_default=True, help="Photos to take at most.")
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True, help="Rounds to take medians of.")
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=2.0,
    show_default=True,
    help="Length of each measurement.",
)
@click.option("--json", "json_file", type=click.Path(path_type=Path), metavar="FILE", help="Write the report as JSON.")
@registry_option
def command(
    model: Path | None,
    data: str | None,
    engine: EngineOptions,
    photos: int,
    rounds: int,
    seconds: float,
    json_file: Path | None,
    registry: Path | None,
) -> None:
    """Measure a bundle on this machine: stages, latency, throughput, memory.

    Each engine and precision runs in a process of its own, in rounds that alternate. Numbers are medians, the warm-up
    left out. Let nothing else run meanwhile.
    """
    import json
    import tempfile

    from rich.console import Console

    from hierpets.bench.run import Settings, backend_configs, bench, to_json
    from hierpets.bench.sample import choose_photos
    from hierpets.bench.table import tables
    from hierpets.cli.progress import ProgressDisplay
    from hierpets.files import write_text

    candidates = backend_configs(engine.engine, engine.precision)
    options = {"device": engine.device, "compile": engine.compile}
    settings = Settings(model=model, registry=registry, options=options, rounds=rounds, seconds=seconds)
    with tempfile.TemporaryDirectory() as scratch, ProgressDisplay() as progress:
        sample = choose_photos(data, photos, scratch=Path(scratch))
        click.echo(f"measured on {sample.what}", err=True)
        measured = bench(sample, candidates, settings, progress=progress)
    report = to_json(sample, settings, measured)
    if json_file is not None:
        write_text(json_file, json.dumps(report, indent=2) + "\n")
    Console(width=None if Console().is_terminal else 120).print(tables(report))
