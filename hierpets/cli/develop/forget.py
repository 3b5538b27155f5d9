"""``hierpets forget``: a bundle without some of its breeds or species."""

from __future__ import annotations

from pathlib import Path

import click

from hierpets.cli.completion import LEAF_NAME
from hierpets.cli.options import GivenPath, model_option, overwrite_option, registry_option

__all__ = ["command"]


@click.command("forget")
@click.argument("names", nargs=-1, required=True, metavar="NAME...", type=LEAF_NAME)
@model_option
@click.option("--out", type=GivenPath(), required=True, metavar="BUNDLE", help="Bundle to write.")
@registry_option
@overwrite_option
def command(names: tuple[str, ...], model: Path | None, out: Path, registry: Path | None, overwrite: bool) -> None:
    """Take breeds, such as dog/pug, or whole species, such as rabbit, out of a bundle."""
    from hierpets.growing.forget import forget

    result = forget(model, *names, out=out, overwrite=overwrite, registry=registry)
    click.echo(result)
    for line in result.warnings:
        click.echo(f"warning: {line}", err=True)
    click.echo(f"bundle written to {result.bundle}")
