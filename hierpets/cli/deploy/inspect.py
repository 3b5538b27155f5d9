"""``hierpets inspect``."""

from __future__ import annotations

import io
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hierpets.cli.options import engine_options, model_option, registry_option
from hierpets.inference.engines.base import EngineOptions

if TYPE_CHECKING:
    from hierpets.explain.trace import TraceStep

__all__ = ["command"]

BROKEN = 1


@click.command("inspect")
@click.argument("photo")
@model_option
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("inspected.png"),
    show_default=True,
    metavar="PNG",
    help="Where to write what the network sees.",
)
@click.option("--lovely", is_flag=True, help="Describe tensors by lovely-tensors (extra `inspect`).")
@engine_options
@registry_option
def command(
    photo: str,
    model: Path | None,
    out: Path,
    lovely: bool,
    engine: EngineOptions,
    registry: Path | None,
) -> int:
    """Show the tensor at every station of a photo's way.

    One line a station, and a picture of what the network sees. The exit code is 1 when a value is NaN or infinite.
    """
    from PIL import Image

    from hierpets.data.transforms import denormalize
    from hierpets.explain.trace import walk
    from hierpets.files import write_all
    from hierpets.inference.loading import load
    from hierpets.registry.loading import load_registry

    describe = _lovely() if lovely else lambda station: station.line()
    plugins = load_registry(registry)
    predictor = load(model, **asdict(engine), registry=plugins, recommend=False)
    stations = []
    for station in walk(predictor, photo):
        stations.append(station)
        click.echo(describe(station))
    inputs = next(station.array for station in stations if station.name == "transformed")
    png = io.BytesIO()
    Image.fromarray(denormalize(predictor.manifest.preprocess, inputs)).save(png, format="PNG")
    write_all(out.parent, {out.name: png.getvalue()})
    click.echo(f"what the network sees is in {out}")
    broken = [station.name for station in stations if station.broken]
    if broken:
        click.echo(f"NaN or infinite from {broken[0]!r} on: the fault lies between it and the station before", err=True)
    return BROKEN if broken else 0


def _lovely() -> Any:
    """A station described by lovely-tensors."""
    from hierpets.errors import ConfigError

    try:
        import lovely_tensors
    except ImportError:
        raise ConfigError("--lovely needs the extra: pip install 'hierpets[inspect]'") from None
    import torch

    def describe(station: TraceStep) -> str:
        return f"{station.name:<22} {lovely_tensors.lovely(torch.from_numpy(station.array.copy()))}"

    return describe
