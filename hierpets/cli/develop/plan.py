"""``hierpets plan``."""

from __future__ import annotations

from pathlib import Path

import click

from hierpets.cli.completion import PluginName
from hierpets.cli.options import GivenPath, overwrite_option, registry_option
from hierpets.cli.output import keep_output

__all__ = ["command"]


@click.command("plan")
@click.argument("data", metavar="SOURCE")
@click.option("--backbone", type=PluginName("backbone"), help="Backbone whose features are used.")
@click.option("--backbones", is_flag=True, help="Also rank the backbones of recipe auto: does pretraining help here?")
@click.option(
    "--config",
    "file",
    type=GivenPath(),
    metavar="FILE",
    help="Settings of the training that is planned, as YAML.",
)
@click.option("--price", type=float, metavar="AMOUNT", help="Price of an hour of this machine, for the costs.")
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Output format."
)
@click.option("--out", type=GivenPath(), metavar="DIR", help="Output folder for plan.json and plan.png.")
@overwrite_option
@registry_option
def command(
    data: str,
    backbone: str | None,
    backbones: bool,
    file: Path | None,
    price: float | None,
    form: str,
    out: Path | None,
    overwrite: bool,
    registry: Path | None,
) -> None:
    """Say what can be promised with labeled photos, before anything is trained.

    Accuracy against photos of each breed, the breeds that more photos would help most, and the time and cost of each
    recipe on this machine. SOURCE is a folder, a CSV, demo, or another source of docs/data.md.
    """
    from hierpets.cli.progress import ProgressDisplay
    from hierpets.config import read_config
    from hierpets.planning.run import plan

    output = keep_output()
    config = read_config(file, {"backbone": backbone})
    with ProgressDisplay() as progress:
        found = plan(
            data,
            config,
            backbones=backbones,
            price=price,
            out=out,
            overwrite=overwrite,
            registry=registry,
            progress=progress,
        )
    click.echo(found.model_dump_json(indent=2) if form == "json" else found, file=output)
    if out is not None:
        click.echo(f"written to {out}", err=True)
