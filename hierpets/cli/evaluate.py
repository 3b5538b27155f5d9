"""``hierpets evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hierpets.cli.options import registry_option

__all__ = ["command"]


@click.command("evaluate")
@click.option("--model", type=click.Path(path_type=Path), required=True, metavar="BUNDLE", help="A bundle folder.")
@click.option("--data", required=True, metavar="DIR|CSV|demo", help="Labelled photos.")
@click.option(
    "--split", type=click.Choice(["test", "val", "all"]), help="Which photos; test where there is one, else all."
)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="Where the evidence is written."
)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--engine", type=click.Choice(["auto", "openvino", "torch"]), default="auto", show_default=True)
@registry_option
def command(model: Path, data: str, split: Any, out: Path, device: Any, engine: Any, registry: Path | None) -> int:
    """Measure a bundle at every level on labelled photos."""
    raise NotImplementedError
