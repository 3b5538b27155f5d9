"""``hierpets bench``."""

from __future__ import annotations

from pathlib import Path

import click

from hierpets.cli.options import GivenPath, engine_options, model_option, overwrite_option, registry_option
from hierpets.inference.engines.base import EngineOptions

__all__ = ["command"]


@click.command("bench")
@model_option
@click.option("--data", metavar="DIR", help="Photos to measure on; default: synthetic images.")
@engine_options
@click.option("--photos", type=click.IntRange(min=1), default=200, show_default=True, help="Maximum number of photos.")
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="Number of rounds; results are medians over rounds.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=2.0,
    show_default=True,
    help="Duration of each measurement, in seconds.",
)
@click.option("--json", "json_file", type=GivenPath(), metavar="FILE", help="Write the report as JSON.")
@overwrite_option
@registry_option
def command(
    model: Path | None,
    data: str | None,
    engine: EngineOptions,
    photos: int,
    rounds: int,
    seconds: float,
    json_file: Path | None,
    overwrite: bool,
    registry: Path | None,
) -> None:
    """Measure a bundle on this machine: stages, latency, throughput, memory.

    Each engine and precision runs in a process of its own, in alternating rounds. Numbers are medians without the
    warm-up. All of them take less than ten minutes. Run on an idle machine.
    """
    from rich.console import Console

    from hierpets.bench.run import BenchSettings, bench
    from hierpets.bench.table import tables
    from hierpets.cli.progress import ProgressDisplay

    settings = BenchSettings(model, registry, data, engine, photos=photos, rounds=rounds, seconds=seconds)
    with ProgressDisplay() as progress:
        report = bench(settings, json_file=json_file, overwrite=overwrite, progress=progress)
    click.echo(f"measured on {report['photos']['what']}", err=True)
    Console(width=None if Console().is_terminal else 140).print(tables(report))
