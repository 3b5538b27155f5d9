"""``hierpets inspect``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hierpets.cli.options import GivenPath, engine_options, model_option, overwrite_option, registry_option
from hierpets.inference.engines.base import EngineOptions
from hierpets.libraries import needed_for

if TYPE_CHECKING:
    from hierpets.explain.trace import TraceStep

__all__ = ["command"]

BROKEN = 1


@click.command("inspect")
@click.argument("photo", type=click.Path(path_type=str))
@model_option
@click.option(
    "--out",
    type=GivenPath(dir_okay=False),
    default=Path("inspected.png"),
    show_default=True,
    metavar="PNG",
    help="Image file to write, with what the network sees.",
)
@overwrite_option
@click.option("--lovely", is_flag=True, help="Describe tensors with lovely-tensors (needs the extra `inspect`).")
@engine_options
@registry_option
def command(
    photo: str,
    model: Path | None,
    out: Path,
    overwrite: bool,
    lovely: bool,
    engine: EngineOptions,
    registry: Path | None,
) -> int:
    """Show the tensors at every pipeline stage for one photo.

    One line per tensor, and a picture of what the network sees. The exit code is 1 if a value is NaN or infinite.
    """
    from hierpets.explain.run import inspect_photo

    describe = _lovely() if lovely else None
    steps = inspect_photo(photo, bundle=model, out=out, overwrite=overwrite, registry=registry, **asdict(engine))
    for step in steps:
        click.echo(describe(step) if describe else step.line())
    click.echo(f"wrote what the network sees to {out}")
    broken = next((step.name for step in steps if step.broken), None)
    if broken:
        click.echo(f"NaN or infinite values, first at {broken!r}", err=True)
    return BROKEN if broken else 0


def _lovely() -> Callable[[TraceStep], str]:
    """A function that describes a tensor with lovely-tensors."""
    with needed_for("--lovely"):
        import lovely_tensors
    import torch

    def describe(step: TraceStep) -> str:
        return f"{step.name:<22} {lovely_tensors.lovely(torch.from_numpy(step.array.copy()))}"

    return describe
