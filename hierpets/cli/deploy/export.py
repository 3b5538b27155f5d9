"""``hierpets export``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hierpets.cli.options import registry_option
from hierpets.errors import ConfigError

__all__ = ["command"]


@click.command("export")
@click.argument("bundle", type=click.Path(path_type=Path), required=False, metavar="[BUNDLE]")
@click.option("--format", "form", type=click.Choice(["openvino", "onnx", "torchscript"]), required=True)
@click.option(
    "--precision",
    type=click.Choice(["f32", "int8"]),
    default="f32",
    show_default=True,
    help="int8 (openvino): activations are rounded too, by the ranges that the photos of --data show.",
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
    help="Photos to check the answers on; drawn ones when left out.",
)
@registry_option
def command(
    bundle: Path | None, form: Any, precision: Any, out: Path | None, data: Path | None, registry: Path | None
) -> None:
    """Write a bundle's network for another runtime.

    BUNDLE is the released one when left out; it is not written into, so --out must then be given. The file is kept
    only if the likeliest answer changes on at most 0.5 % of photos, against torch in f32; with int8, if the accuracy on
    labeled photos falls by less than 0.3 points. docs/export.md has its inputs and outputs.
    """
    if bundle is None and out is None:
        raise ConfigError("the released bundle is not written into: say with --out where its export should go")
    from hierpets.cli.progress import ProgressDisplay
    from hierpets.export.export import export_bundle, photos_to_check
    from hierpets.model.layout import released_bundle
    from hierpets.registry.loading import load_registry

    photos = photos_to_check(data)
    if data is None:
        click.echo("no --data: checking on drawn pets, which is less than photos of yours would tell", err=True)
    with ProgressDisplay() as progress:
        exported = export_bundle(
            bundle or released_bundle(),
            form,
            registry=load_registry(registry),
            photos=photos,
            precision=precision,
            out=out,
            progress=progress,
        )
    click.echo(exported.parity.words())
    click.echo(f"written to {exported.path}")
