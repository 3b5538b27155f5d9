"""``hierpets export``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from hierpets.cli.options import GivenPath, overwrite_option, registry_option

__all__ = ["command"]


@click.command("export")
@click.argument("bundle", type=GivenPath(), required=False, metavar="[BUNDLE]")
@click.option(
    "--format",
    "form",
    type=click.Choice(["openvino", "onnx", "torchscript", "web"]),
    required=True,
    help="Output format; docs/export.md compares them. web: a page that answers in the browser, docs/web.md.",
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
    type=GivenPath(file_okay=False),
    metavar="DIR",
    help="Output folder, which also gets the manifest; default: the bundle itself.",
)
@click.option(
    "--data",
    type=GivenPath(exists=True, file_okay=False),
    metavar="DIR",
    help="Photos to check the export with; default: synthetic images.",
)
@click.option(
    "--runtime",
    type=GivenPath(exists=True, dir_okay=False),
    metavar="FILE.tgz",
    help="web only: ONNX Runtime Web as npm packs it; default: npm downloads it once.",
)
@overwrite_option
@registry_option
def command(
    bundle: Path | None,
    form: Any,
    precision: Any,
    out: Path | None,
    data: Path | None,
    runtime: Path | None,
    overwrite: bool,
    registry: Path | None,
) -> None:
    """Write a bundle's network for another runtime, or with the format web a page that answers in the browser.

    Without BUNDLE, the released bundle is exported; it is read-only and needs --out. The file is kept only if the
    top-1 class changes on at most 0.5% of the photos, against torch in f32; with int8, only if the accuracy is expected
    to fall by less than 0.3 points.
    """
    from hierpets.cli.progress import ProgressDisplay

    common: dict[str, Any] = {"data": data, "overwrite": overwrite, "registry": registry}
    if form == "web":
        _check_web(out, precision)
    elif runtime is not None:
        raise click.UsageError("--runtime is for --format web")
    if data is None:
        click.echo("no --data: checking on synthetic images; your own photos make a better check", err=True)
    with ProgressDisplay() as progress:
        if form == "web":
            lines = _export_page(bundle, out, runtime=runtime, progress=progress, **common)
        else:
            lines = _export_bundle(bundle, form, out=out, precision=precision, progress=progress, **common)
    click.echo("\n".join(lines))


def _check_web(out: Path | None, precision: str) -> None:
    if out is None:
        raise click.UsageError("--format web writes a folder for a static server; choose one with --out")
    if precision != "f32":
        raise click.UsageError("--precision int8: not supported for the format web, which computes in f32")


def _export_page(bundle: Path | None, out: Any, **options: Any) -> list[str]:
    from hierpets.export.web.export import export_page

    page = export_page(bundle, out, **options)
    return [
        *(parity.words() for parity in page.parities),
        f"written to {page.path}, {page.size / 1e6:.1f} MB; to look at it: "
        f"python -m http.server --directory {shlex.quote(str(page.path))}",
    ]


def _export_bundle(bundle: Path | None, form: Any, **options: Any) -> list[str]:
    from hierpets.export.export import export_bundle

    exported = export_bundle(bundle, form, **options)
    alone = "the main network alone, which answers every photo; networks that the bundle asks first are left out"
    return [exported.parity.words(), *([alone] if exported.left_out else []), f"written to {exported.path}"]
