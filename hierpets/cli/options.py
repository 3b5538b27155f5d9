"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["model_option", "registry_option"]

registry_option = click.option(
    "--registry",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A registry.yaml with plugins; else that of HIERPETS_REGISTRY, else the bundled one.",
)

model_option = click.option(
    "--model",
    type=click.Path(path_type=Path),
    metavar="BUNDLE",
    help="A bundle folder; the released one when left out.",
)
