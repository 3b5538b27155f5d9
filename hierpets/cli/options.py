"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import click

from hierpets.inference.engines.base import DEVICES, ENGINES, PRECISIONS, EngineOptions
from hierpets.text import capital

if TYPE_CHECKING:  # at run time, importing pydantic here would delay `hierpets predict`, which loads its model first
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

__all__ = ["GivenPath", "engine_options", "model_option", "overwrite_option", "registry_option", "setting_options"]


class GivenPath(click.Path):
    """A path that is not empty: an empty one, such as from an unset variable, would mean the current folder."""

    def __init__(self, **limits: bool):
        super().__init__(path_type=Path, **limits)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("expected a path, got an empty text", param, ctx)
        return super().convert(value, param, ctx)


registry_option = click.option(
    "--registry",
    type=GivenPath(),
    metavar="FILE",
    help="A registry.yaml with plugins; default: HIERPETS_REGISTRY, then the built-in one.",
)

model_option = click.option(
    "--model",
    type=GivenPath(),
    metavar="BUNDLE",
    help="Bundle folder; default: the released bundle.",
)

overwrite_option = click.option("--overwrite", is_flag=True, help="Replace existing output.")

_ENGINE_OPTIONS = (
    click.option(
        "--device",
        type=click.Choice(DEVICES),
        default="auto",
        show_default=True,
        help="Device to compute on; auto: a GPU if available.",
    ),
    click.option(
        "--engine",
        type=click.Choice(ENGINES),
        default="auto",
        show_default=True,
        help="Engine that runs the network; auto: openvino on the CPU, torch on CUDA.",
    ),
    click.option(
        "--precision",
        type=click.Choice(PRECISIONS),
        default="auto",
        show_default=True,
        help="Number format; auto: f16 on CUDA; on the CPU int8 if the bundle supports it, else bf16 or f32.",
    ),
    click.option("--compile", is_flag=True, help="Compile the network with torch: slower start, faster predictions."),
)


def engine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--device``, ``--engine``, ``--precision`` and ``--compile``, passed as one argument ``engine``."""

    @wraps(command)
    def gathered(**given: Any) -> Any:
        names = ("device", "engine", "precision", "compile")
        return command(engine=EngineOptions(**{name: given.pop(name) for name in names}), **given)

    for option in reversed(_ENGINE_OPTIONS):
        gathered = option(gathered)
    return gathered


def setting_options(
    model: type[BaseModel],
    *names: str,
    looks: Mapping[str, Mapping[str, Any]] | None = None,
    fill: bool = True,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add an option for each of ``names``, fields of a settings model, which define type, default and help.

    ``looks`` are further arguments of :func:`click.option` by field. Without ``fill``, an option that is not given is
    None, and the default is only mentioned in the help: the value may come from another source of settings.
    """

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for name in reversed(names):
            arguments = {**_option_arguments(model.model_fields[name], fill=fill), **(looks or {}).get(name, {})}
            command = click.option(f"--{name.replace('_', '-')}", **arguments)(command)
        return command

    return add


def _option_arguments(field: FieldInfo, *, fill: bool) -> dict[str, Any]:
    """The arguments of :func:`click.option` that follow from a field."""
    text = field.description or ""
    text, has_default = f"{capital(text)}.", field.default is not None
    if fill:
        return {
            "type": _click_type(field.annotation),
            "default": field.default,
            "show_default": has_default,
            "help": text,
        }
    shown = f"  [default: {field.default}]" if has_default and field.annotation is not bool else ""
    return {"type": _click_type(field.annotation), "help": text + shown}


def _click_type(annotation: Any) -> Any:
    """The click type of an annotation: ``float | None`` is float, a literal a choice; a path completes to files."""
    if get_origin(annotation) is Literal:
        return click.Choice(get_args(annotation))
    inner = next((part for part in get_args(annotation) if part is not NoneType), annotation)
    return GivenPath() if inner is Path else inner
