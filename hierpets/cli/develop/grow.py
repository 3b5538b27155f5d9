"""``hierpets grow``: new breeds and species from a few photos."""

from __future__ import annotations

from pathlib import Path

import click

from hierpets.cli.options import GivenPath, model_option, overwrite_option, registry_option
from hierpets.text import escaped

__all__ = ["command"]

SOURCE = "New labeled photos: a folder SPECIES/BREED, a CSV, or another source of docs/data.md."


@click.command("grow")
@model_option
@click.option("--data", required=True, metavar="SOURCE", help=SOURCE)
@click.option("--out", type=GivenPath(), required=True, metavar="BUNDLE", help="Bundle to write.")
@click.option("--check", metavar="SOURCE", help="Photos of classes known before, to compare both bundles on.")
@click.option("--trust-labels", is_flag=True, help="Learn from photos that look like another animal, too.")
@registry_option
@overwrite_option
def command(
    model: Path | None,
    data: str,
    out: Path,
    check: str | None,
    trust_labels: bool,
    registry: Path | None,
    overwrite: bool,
) -> None:
    """Add breeds and species to a bundle from a few photos, without the old ones.

    The photos are of new breeds, of new species with or without breeds, or more of known ones. The heads of the new
    bundle are those of a fit to all photos at once; temperatures and the thresholds of pets and of early networks stay.
    """
    from hierpets.cli.progress import ProgressDisplay
    from hierpets.growing.grow import grow

    with ProgressDisplay() as progress:
        result = grow(
            model,
            data,
            out=out,
            check=check,
            trust_labels=trust_labels,
            overwrite=overwrite,
            registry=registry,
            progress=progress,
        )
    click.echo(str(result))
    for line in result.warnings:
        click.echo(f"warning: {escaped(line)}", err=True)
    if result.before_and_after is not None:
        click.echo(str(result.before_and_after))
    click.echo(f"bundle written to {result.bundle}")
