"""``hierpets bench``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hierpets.cli.options import engine_options, model_option, registry_option

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
    engine: dict[str, Any],
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

    from hierpets.bench.run import Settings, bench, contestants, to_json
    from hierpets.bench.sample import choose_photos
    from hierpets.bench.table import tables
    from hierpets.cli.progress import Narrator
    from hierpets.files import write_text

    candidates = contestants(engine.pop("engine"), engine.pop("precision"))
    settings = Settings(model=model, registry=registry, options=engine, rounds=rounds, seconds=seconds)
    narrator = Narrator(lambda event: None)
    with tempfile.TemporaryDirectory() as scratch:
        sample = choose_photos(data, photos, scratch=Path(scratch))
        click.echo(f"measured on {sample.what}", err=True)
        measured = bench(
            sample,
            candidates,
            settings,
            tell=lambda done, total: narrator({"event": "progress", "task": "measuring", "done": done, "total": total}),
        )
    narrator.close()
    report = to_json(sample, settings, measured)
    if json_file is not None:
        write_text(json_file, json.dumps(report, indent=2) + "\n")
    Console(width=None if Console().is_terminal else 120).print(tables(report))
