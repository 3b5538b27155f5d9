"""``hierpets evaluate``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hierpets.cli.exits import SOME_FAILED
from hierpets.cli.options import GivenPath, engine_options, model_option, overwrite_option, registry_option
from hierpets.inference.engines.base import EngineOptions
from hierpets.text import escaped

if TYPE_CHECKING:
    from hierpets.evaluation.report.headline import Headline
    from hierpets.evaluation.run import Split

__all__ = ["command"]


@click.command("evaluate")
@model_option
@click.option(
    "--data",
    required=True,
    metavar="SOURCE",
    help="Labeled photos: a folder, a CSV, demo, or another source of docs/data.md.",
)
@click.option(
    "--split",
    type=click.Choice(["test", "val", "all"]),
    help="Photos to evaluate; val: those held out from training. Default: test if the data has that split, else all.",
)
@click.option(
    "--ood",
    type=GivenPath(),
    metavar="DIR",
    help="Folder of out-of-distribution photos (no known pet), optionally in subfolders by kind.",
)
@click.option(
    "--stress",
    is_flag=True,
    help="Also measure 200 of the photos at most made smaller, softer, darker and so on: some minutes.",
)
@click.option("--keep-seen", is_flag=True, help="Measure photos that the model was fitted to as well.")
@click.option("--out", type=GivenPath(), required=True, metavar="DIR", help="Output folder for metrics and report.")
@overwrite_option
@engine_options
@registry_option
def command(
    model: Path | None,
    data: str,
    split: Split | None,
    ood: Path | None,
    stress: bool,
    keep_seen: bool,
    out: Path,
    overwrite: bool,
    engine: EngineOptions,
    registry: Path | None,
) -> int:
    """Measure a model at every level on labeled photos.

    Writes metrics.json, predictions.jsonl, report.html and figures/. Photos that cannot be read are named, left out and
    counted; the exit code is then 3.
    """
    from hierpets.cli.progress import ProgressDisplay
    from hierpets.evaluation.run import evaluate

    with ProgressDisplay() as progress:
        found = evaluate(
            model,
            data,
            split=split,
            ood=ood,
            stress=stress,
            keep_seen=keep_seen,
            out=out,
            registry=registry,
            overwrite=overwrite,
            progress=progress,
            **asdict(engine),
        )
    for prediction in found.unreadable:
        click.echo(f"skipped: {escaped(str(prediction.error))}", err=True)
    _print(found.headline)
    click.echo(f"Model {found.metrics.model}; report in {found.report}")
    return SOME_FAILED if found.unreadable else 0


def _print(headline: Headline) -> None:
    click.echo(headline.verdict)
    for mark, sentences in (("+", headline.strengths), ("-", headline.weaknesses), ("!", headline.caveats)):
        for sentence in sentences:
            click.echo(f"{mark} {sentence}")
