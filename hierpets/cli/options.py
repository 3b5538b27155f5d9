"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["registry_option"]

registry_option = click.option(
    "--registry",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A registry.yaml with plugins; else that of HIERPETS_REGISTRY, else the bundled one.",
)
