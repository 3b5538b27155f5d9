"""``hierpets evaluate``."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path

import click

from hierpets.cli.options import engine_options, model_option, registry_option
from hierpets.inference.engines.base import EngineOptions

__all__ = ["command"]

SOME_FAILED = 3
THUMBNAIL = 320  # pixels of the shorter side that the report's gallery needs at most


@click.command("evaluate")
@model_option
@click.option("--data", required=True, metavar="DIR|CSV|demo", help="Labeled photos.")
@click.option(
    "--split", type=click.Choice(["test", "val", "all"]), help="Which photos; test where there are some, else all."
)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="Where to write the evidence."
)
@click.option(
    "--not-pets", type=click.Path(path_type=Path), metavar="DIR", help="Photos of no known pet, to measure novelty."
)
@engine_options
@registry_option
def command(
    model: Path | None,
    data: str,
    split: str | None,
    out: Path,
    ood: Path | None,
    engine: EngineOptions,
    registry: Path | None,
) -> int:
    """Measure a bundle at every level on labeled photos.

    Photos that cannot be read are named, left out and counted; the exit code is then 3.
    """
    from hierpets.cli.progress import ProgressDisplay
    from hierpets.data.photos import read_photo
    from hierpets.evaluation.metrics.compute import evaluate_predictions
    from hierpets.evaluation.report.words import headline
    from hierpets.evaluation.report.writing import REPORT_FILE, write_evaluation
    from hierpets.evaluation.run import predict_index, predict_ood, read_labeled
    from hierpets.explain.explainer import lazy_overlay
    from hierpets.inference.loading import load
    from hierpets.registry.loading import load_registry
    from hierpets.workers import cores

    plugins = load_registry(registry)
    predictor = load(model, **asdict(engine), workers=cores(), registry=plugins, recommend=False)
    index = read_labeled(data, predictor.manifest, split=split)
    with ProgressDisplay() as progress:
        predictions, unreadable = predict_index(predictor, index, progress=progress)
    for answer in unreadable:
        click.echo(f"left out: {answer.error}", err=True)
    about = {"model": str(model or "released"), "data": data, "split": split or "default"}
    if unreadable:
        about["left out"] = f"{len(unreadable)} photos that cannot be read"
    strangers = predict_ood(predictor, str(ood)) if ood else None
    metrics = evaluate_predictions(predictions, ood=strangers, about=about)
    write_evaluation(
        out,
        predictions,
        metrics,
        photos=partial(read_photo, shorter_side=THUMBNAIL),
        overlay=lazy_overlay(model, registry=plugins),
    )
    said = headline(metrics)
    for line in (said.verdict, *(f"- {sentence}" for sentence in said.bad)):
        click.echo(line)
    click.echo(f"{len(predictions)} photos; evidence in {out / REPORT_FILE}")
    return SOME_FAILED if unreadable else 0
