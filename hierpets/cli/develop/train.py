"""``hierpets train``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hierpets.cli.options import registry_option
from hierpets.config import LEVELS, parse_levels, read_config

__all__ = ["command"]


@click.command("train")
@click.option("--levels", metavar="LEVELS", help=f"What to learn: {' or '.join(LEVELS)}.")
@click.option("--data", metavar="DIR|CSV|demo", help="Labeled photos; the embedded drawn pets when left out.")
@click.option("--out", type=click.Path(path_type=Path), metavar="RUN", help="The run folder.")
@click.option("--backbone", metavar="NAME", help="A backbone plugin.")
@click.option(
    "--recipe",
    type=click.Choice(["auto", "heads", "finetune"]),
    help="Compare and keep the best, closed-form heads, or the whole network.",
)
@click.option("--sampler", metavar="NAME", help="A sampler plugin.")
@click.option("--seed", type=int, help="Seed of the split and of all that is random.")
@click.option("--val-fraction", type=float, help="Share of the photos held out when the data names no split.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), help="Where to compute.")
@click.option("--config", "config_file", type=click.Path(path_type=Path), metavar="FILE", help="Settings as YAML.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Any setting, such as finetune.epochs=4.")
@click.option("--resume", is_flag=True, help="Go on from the run's last checkpoint.")
@registry_option
def command(
    config_file: Path | None, resume: bool, levels: str | None, settings: tuple[str, ...], **overrides: Any
) -> None:
    """Train a bundle on labeled photos.

    Options that are not given come from --config, then from the defaults.
    """
    chosen = overrides | {"levels": parse_levels(levels) if levels is not None else None}
    config = read_config(config_file, chosen, settings)
    if config.data == "demo":
        click.echo("no --data: training on the embedded demo set of drawn pets", err=True)

    from hierpets.cli.progress import ProgressDisplay
    from hierpets.training.recipe import train
    from hierpets.training.track import broadcast, find_tracker

    tracker = find_tracker(config.out)
    try:
        with ProgressDisplay() as progress:

            def tell(event: dict[str, Any]) -> None:
                if (line := _describe(event)) is not None:
                    progress.say(line)

            train(config, listener=broadcast(tell, tracker), progress=progress, resume=resume)
    finally:
        if tracker is not None:
            tracker.close()


def _describe(event: dict[str, Any]) -> str | None:
    """The line of an event, or None for one that only the log keeps."""
    match event["event"]:
        case "data":
            return f"{event['source']}: {event['train']} photos to train on, {event['val']} to validate"
        case "candidate":
            return "  " + _row(event)
        case "chosen":
            return f"best of {event['compared']} by cross-validation: {_row(event)}"
        case "skipped":
            return f"not fine-tuned: {event['why']}"
        case "finetuned":
            won = "fine-tuning wins" if event["won"] else "the closed-form heads stay"
            return f"{won}: balanced accuracy {event['best']:.1%}, {event['start']:.1%} at the start"
        case "metrics":
            breed = f", breed accuracy {event['breed']:.1%}" if event["breed"] is not None else ""
            return f"{event['on'].replace('_', ' ')}: species accuracy {event['species']:.1%}{breed}"
        case "bundle":
            return f"bundle written to {event['path']} in {event['seconds']:.0f} s"
        case "epoch":
            told = [f"loss {event['loss']:.3f}"] if event.get("loss") is not None else []
            told += [f"{level} {event[level]:.1%}" for level in ("breed", "species") if event.get(level) is not None]
            told += [f"validation loss {event['nll']:.3f}"] if event.get("nll") is not None else []
            return f"epoch {event['epoch']}: {', '.join(told)}"
    return None


def _row(event: dict[str, Any]) -> str:
    breed = f"breed {event['breed']:.2%}, " if event["breed"] is not None else ""
    what = f"{event['backbone']}, {event['view']}, {event['head']}"
    return f"{what}: balanced accuracy {breed}species {event['species']:.2%}, log loss {event['nll']:.3f}"
