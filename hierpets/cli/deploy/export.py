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
    help="What to write; docs/export.md compares the three.",
)
@click.option(
    "--precision",
    type=click.Choice(["f32", "int8"]),
    default="f32",
    show_default=True,
    help="int8 (openvino): quantize activations too, by their ranges on the photos of --data.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write here, with the manifest; else into the bundle.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="Photos to check the export with; synthetic images when omitted.",
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

    BUNDLE is the released one when omitted; it is read-only, so --out is then required. The file is kept only if the
    top-1 class changes on at most 0.5% of the photos, against torch in f32; with int8, only if the accuracy on labeled
    photos falls by less than 0.3 points.
    """
    from hierpets.cli.progress import ProgressDisplay
    from hierpets.export.export import export_bundle

    if data is None:
        click.echo("no --data: checking on synthetic images, which say less than your own photos", err=True)
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
    click.echo(f"written to {exported.path}")
