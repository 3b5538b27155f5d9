"""``hierpets export``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hierpets.cli.options import overwrite_option, registry_option

__all__ = ["command"]


@click.command("export")
@click.argument("bundle", type=click.Path(path_type=Path), required=False, metavar="[BUNDLE]")
@click.option(
    "--format",
    "form",
    type=click.Choice(["openvino", "onnx", "torchscript"]),
    required=True,
    help="Output format; docs/export.md compares them.",
)
@click.option(
    "--precision",
    type=click.Choice(["f32", "int8"]),
    default="f32",
    show_default=True,
    help="int8 (openvino only): also quantize activations, calibrated on the photos of --data.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Output folder, which also gets the manifest; default: the bundle itself.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="Photos to check the export with; default: synthetic images.",
)
@overwrite_option
@registry_option
def command(
    bundle: Path | None,
    form: Any,
    precision: Any,
    out: Path | None,
    data: Path | None,
    overwrite: bool,
    registry: Path | None,
) -> None:
    """Write a bundle's network for another runtime.

    Without BUNDLE, the released bundle is exported; it is read-only and needs --out. The file is kept only if the
    top-1 class changes on at most 0.5% of the photos, against torch in f32; with int8, only if the accuracy on labeled
    photos falls by less than 0.3 points.
    """
    from hierpets.cli.progress import ProgressDisplay
    from hierpets.export.export import export_bundle

    if data is None:
        click.echo("no --data: checking on synthetic images; your own photos make a better check", err=True)
    with ProgressDisplay() as progress:
        exported = export_bundle(
            bundle,
            form,
            data=data,
            precision=precision,
            out=out,
            overwrite=overwrite,
            registry=registry,
            progress=progress,
        )
    click.echo(exported.parity.words())
    if exported.left_out:
        click.echo(
            "the main network alone, which answers every photo; networks that the bundle asks first are left out"
        )
    click.echo(f"written to {exported.path}")
