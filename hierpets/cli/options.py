"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

__all__ = ["engine_options", "model_option", "registry_option"]

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

_ENGINE_OPTIONS = (
    click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True),
    click.option(
        "--engine",
        type=click.Choice(["auto", "openvino", "torch"]),
        default="auto",
        show_default=True,
        help="What runs the network; auto: openvino on the CPU, torch on CUDA.",
    ),
    click.option(
        "--precision",
        type=click.Choice(["auto", "f32", "bf16", "f16", "int8"]),
        default="auto",
        show_default=True,
        help="What it computes in; auto: f16 on CUDA; on the CPU int8 where the bundle has it, else bf16 or f32.",
    ),
    click.option("--compile", is_flag=True, help="Have torch compile the network: a slow start, then faster."),
)


def engine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--device``, ``--engine``, ``--precision`` and ``--compile``: one argument ``engine`` that ``load`` takes."""

    @wraps(command)
    def gathered(**given: Any) -> Any:
        engine = {name: given.pop(name) for name in ("device", "engine", "precision", "compile")}
        return command(engine=engine, **given)

    for option in reversed(_ENGINE_OPTIONS):
        gathered = option(gathered)
    return gathered
