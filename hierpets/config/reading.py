"""Read settings from a file, options and assignments, and report everything wrong with them in one message."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import BaseModel, ValidationError

from hierpets.config.settings import TrainConfig
from hierpets.errors import ConfigError
from hierpets.validation.document import Location, show_location
from hierpets.validation.problems import find_problems
from hierpets.validation.yaml_file import YamlProblems, parse_mapping

__all__ = ["change_config", "read_config"]


class _Layer(NamedTuple):
    """Settings from one source, and how a message names one of them in that source."""

    values: Iterable[tuple[Location, Any]]
    name: Callable[[Location], str]


def read_config(file: Path | None, options: Mapping[str, Any], assignments: Iterable[str] = ()) -> TrainConfig:
    """Combine the defaults, a YAML file, the command line's options that are not None, and its ``--set KEY=VALUE``.

    Later ones override earlier ones.

    :raises ConfigError: names every key that is unknown or out of range and where it comes from, with a suggestion.
    """
    given = {key: value for key, value in options.items() if value is not None}
    return _combine(
        *([_file_layer(file)] if file is not None else []),
        _Layer(_leaves(given), lambda at: f"--{show_location(at)}".replace("_", "-")),
        _Layer([_assignment(text) for text in assignments], lambda at: f"--set {show_location(at)}"),
    )


def change_config(config: TrainConfig | None, settings: Mapping[str, Any]) -> TrainConfig:
    """Return ``config``, or the defaults, with single settings changed: ``{"seed": 1, "finetune": {"epochs": 4}}``.

    A key may have dots: ``"finetune.epochs"``.

    :raises ConfigError: a key is unknown or out of range (all are named, with suggestions), or ``config`` is of another
        type.
    """
    if config is not None and not isinstance(config, TrainConfig):
        raise ConfigError(
            f"config: expected TrainConfig, got {type(config).__name__}; single settings are given by name, as seed=1"
        )
    base = config.model_fields_set if config is not None else ()
    return _combine(
        _Layer([((name,), getattr(config, name)) for name in base], show_location),
        _Layer(_leaves(settings), show_location),
    )


def _combine(*layers: _Layer) -> TrainConfig:
    """Merge the settings of all layers; later layers override earlier ones."""
    settings: dict[str, Any] = {}
    sources: dict[Location, _Layer] = {}
    for layer in layers:
        for location, value in layer.values:
            _assign(settings, location, value)
            sources[location] = layer
    try:
        return TrainConfig.model_validate(settings)
    except ValidationError as error:
        problems = find_problems(error, TrainConfig)
        raise ConfigError("\n".join(_line(p.location, p.message, sources) for p in problems)) from error


def _line(location: Location, message: str, sources: Mapping[Location, _Layer]) -> str:
    """Prefix a message with the source of its setting: ``FILE:3: seed: expected ...``, ``--set seed: expected ...``.

    The source is the layer that set the value, or else a group that contains it. A message without a location concerns
    several settings, and names them itself.
    """
    for length in range(len(location), 0, -1):
        if layer := sources.get(location[:length]):
            return f"{layer.name(location)}: {message}"
    return f"{show_location(location)}: {message}" if location else message


def _leaves(values: Mapping[str, Any], above: Location = ()) -> Iterator[tuple[Location, Any]]:
    """Yield every setting with its location; groups are split into their settings, so that each can be overridden."""
    for key, value in values.items():
        location = (*above, *str(key).split("."))
        if isinstance(value, Mapping) and _is_group(location):
            yield from _leaves(value, location)
        else:
            yield location, value


def _is_group(location: Location) -> bool:
    field = TrainConfig.model_fields.get(str(location[0]))
    return len(location) == 1 and field is not None and isinstance(field.default, BaseModel)


def _assign(settings: dict[str, Any], location: Location, value: Any) -> None:
    *path, last = location
    for part in path:
        inner = settings.get(str(part))
        if isinstance(inner, BaseModel):
            inner = inner.model_dump()
        settings[str(part)] = dict(inner) if isinstance(inner, Mapping) else {}
        settings = settings[str(part)]
    settings[str(last)] = value


def _file_layer(file: Path) -> _Layer:
    try:
        document = parse_mapping(file)
    except YamlProblems as error:
        raise ConfigError(str(error)) from error
    return _Layer(_leaves(document.value), lambda at: f"{file}:{document.line(at)}: {show_location(at)}")


def _assignment(text: str) -> tuple[Location, Any]:
    """Parse ``finetune.epochs=4`` into a location and a value, which is read as YAML."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {text!r}: expected KEY=VALUE, such as finetune.epochs=4")
    try:
        return tuple(key.strip().split(".")), yaml.safe_load(value)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # an impossible date; nested too deep
        raise ConfigError(f"--set {text!r}: the value is not YAML") from error
