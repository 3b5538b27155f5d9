"""``hierpets train``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hierpets.cli.completion import PluginName
from hierpets.cli.exits import INTERRUPTED
from hierpets.cli.options import GivenPath, overwrite_option, setting_options
from hierpets.config import CONFIG_FILE, TrainConfig, read_config
from hierpets.text import counted

__all__ = ["command"]

COMMON = (
    "levels",
    "data",
    "out",
    "backbone",
    "recipe",
    "sampler",
    "seed",
    "val_fraction",
    "device",
    "cluster",
    "registry",
    "strict",
)
LOOKS: dict[str, dict[str, Any]] = {
    "levels": {"type": str, "metavar": "LEVELS"},
    "data": {"metavar": "SOURCE"},
    "out": {"metavar": "RUN"},
    "backbone": {"type": PluginName("backbone"), "metavar": "NAME"},
    "sampler": {"type": PluginName("sampler"), "metavar": "NAME"},
    "cluster": {"metavar": "ADDRESS"},
    "registry": {"metavar": "FILE"},
    "strict": {"is_flag": True, "type": bool, "default": None},
}


@click.command("train")
@setting_options(TrainConfig, *COMMON, looks=LOOKS, fill=False)
@click.option("--config", "config_file", type=GivenPath(), metavar="FILE", help="Settings as YAML.")
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="KEY=VALUE",
    help="Any setting of docs/settings.md, such as finetune.epochs=4.",
)
@click.option("--resume", is_flag=True, help="Continue the run in --out where it stopped.")
@overwrite_option
def command(
    config_file: Path | None, assignments: tuple[str, ...], resume: bool, overwrite: bool, **options: Any
) -> int:
    """Train a bundle on labeled photos.

    Options override --config, which overrides the defaults. With --resume, the settings come from the run; one that is
    complete is left as it is.
    """
    config = read_config(config_file or _resumed(resume, options["out"]), options, assignments)
    if "data" not in config.model_fields_set and not resume:
        click.echo("no --data: training on the demo set of synthetic images", err=True)

    from hierpets.data.labeled.index import check_source

    if not resume:  # resuming a complete run needs no photos
        check_source(config.data, registry=config.registry)  # before torch is imported, which takes seconds
    before = _written_at(config.out)
    from hierpets.cli.progress import ProgressDisplay
    from hierpets.training.recipe import train

    with ProgressDisplay() as progress:

        def show(event: dict[str, Any]) -> None:
            if (line := _describe(event)) is not None:
                progress.say(line)

        try:
            train(config=config, listener=show, progress=progress, resume=resume, overwrite=overwrite)
        except KeyboardInterrupt:
            progress.close()
            if overwrite and _written_at(config.out) in (None, before):
                when = "before the new run began: what is there is an old one, if any; rerun with --overwrite"
                click.echo(f"interrupted {when}", err=True)
            else:
                click.echo("interrupted; rerun with --resume to continue", err=True)
            return INTERRUPTED
    return 0


def _resumed(resume: bool, out: Path | None) -> Path | None:
    """The file of settings that a resumed run was started with, if it exists."""
    written = (out or TrainConfig().out) / CONFIG_FILE
    return written if resume and written.is_file() else None


def _written_at(run: Path) -> int | None:
    """When the settings of a run were written, in nanoseconds: a new run replaces them when it begins."""
    settings = run / CONFIG_FILE
    return settings.stat().st_mtime_ns if settings.is_file() else None


def _describe(event: dict[str, Any]) -> str | None:
    """The line to print for an event, or None for one that is only logged."""
    match event["event"]:
        case "data":
            return f"{event['source']}: {event['train']} training photos, {event['val']} validation photos"
        case "individuals":
            photos, animals = f"{event['photos']:,} photos", event["individuals"]
            if animals == 1:
                return f"{photos} show one animal, as far as can be told, and are held out together"
            return f"{photos} show {animals:,} animals, as far as can be told: those of one are held out together"
        case "comparing":
            if event["candidates"] == 1:
                return None
            return f"comparing {event['candidates']} candidates; --recipe heads takes one without comparing"
        case "candidate":
            return f"  {event['number']} of {event['total']}: {_row(event)}"
        case "chosen":
            which = "chosen" if event["selection"]["compared"] > 1 else "cross-validated"
            return f"{which}: {_row(event)}\n{event['said']}"
        case "early_candidate":
            return f"  asked first, {event['choice']} answers {event['share']:.0%}: {event['cost']:.0%} of the work"
        case "early":
            return f"asked first: {event['backbone']}, answers {event['share']:.0%}, above {event['threshold']:.3g}"
        case "skipped":
            return f"fine-tuning skipped: {event['why']}"
        case "resumed":
            return f"resuming at epoch {event['epoch'] + 1}, step {event['step'] + 1}"
        case "stalled":
            return f"stopped after epoch {event['epoch']}: none of the last {event['patience']} epochs was better"
        case "finetuned":
            numbers = f"balanced accuracy {event['best']:.1%} for {event['start']:.1%}, network alone"
            photos = counted(event["photos"], "validation photo")
            if event["won"]:
                return f"fine-tuning helped: {numbers}, on the {photos} that it was chosen by: a little too good"
            return f"fine-tuning: {numbers}, on {photos}, not more than a standard error: the heads are kept"
        case "metrics":
            breed = f", breed accuracy {event['breed']:.1%}" if event["breed"] is not None else ""
            return f"{event['on'].replace('_', '-')}: species accuracy {event['species']:.1%}{breed}"
        case "quantized":
            return f"int8: {event['why']}" if event["done"] else f"not quantized: {event['why']}"
        case "bundle":
            return f"bundle written to {event['path']} in {event['seconds']:.0f} s"
        case "epoch":
            shown = [f"training loss {event['loss']:.3f}"] if event.get("loss") is not None else []
            shown += [f"{level} {event[level]:.1%}" for level in ("breed", "species") if event.get(level) is not None]
            shown += [f"validation loss {event['nll']:.3f}"] if event.get("nll") is not None else []
            return f"epoch {event['epoch']}, network alone: {', '.join(shown)}"
    return None


def _row(event: dict[str, Any]) -> str:
    breed = f"breed {event['breed']:.2%}, " if event["breed"] is not None else ""
    what = f"{event['backbone']}, {event['view']}, {event['head']}"
    corrupted = f", corrupted photos {event['stressed']:.2%}" if event["stressed"] is not None else ""
    return f"{what}: balanced accuracy {breed}species {event['species']:.2%}{corrupted}, log loss {event['nll']:.3f}"
