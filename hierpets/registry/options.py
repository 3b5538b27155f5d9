"""The options of a plugin: a pydantic model made from the signature of its function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from hierpets.errors import did_you_mean

__all__ = ["Options"]


class Options:
    """The options that ``function`` takes after its first ``skip`` parameters, each of its annotated type."""

    def __init__(self, function: Callable[..., Any], skip: int):
        parameters = list(inspect.signature(function, eval_str=True).parameters.values())
        named = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)][skip:]
        self.names: tuple[str, ...] = tuple(p.name for p in named)
        self._open = any(p.kind is p.VAR_KEYWORD for p in parameters)
        self._model = _model(named, allow_others=self._open)

    def read(self, given: Mapping[str, Any]) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        """Every option with its value, converted or by default, and ``(option, what is wrong)`` for each problem."""
        try:
            values = self._model.model_validate(dict(given))
        except ValidationError as errors:
            return {}, [self._explain(dict(error)) for error in errors.errors(include_url=False)]
        named = {name: getattr(values, f"option_{name}") for name in self.names}
        return {**named, **(values.model_extra or {})}, []

    def _explain(self, error: dict[str, Any]) -> tuple[str, str]:
        option = str(error["loc"][0]) if error["loc"] else ""
        if error["type"] == "extra_forbidden":
            known = f"known: {', '.join(self.names)}" if self.names else "it takes none"
            return option, f"unknown option{did_you_mean(option, self.names)}; {known}"
        if error["type"] == "missing":
            return option, "is needed and has no default"
        message = error["msg"][:1].lower() + error["msg"][1:]
        return option, f"{message}, got {error['input']!r}"


def _model(parameters: list[inspect.Parameter], *, allow_others: bool) -> type[BaseModel]:
    config = ConfigDict(extra="allow" if allow_others else "forbid", arbitrary_types_allowed=True)
    # Aliases, for an option may be called "copy", "json" or "_x", which no field of a model may be.
    fields: dict[str, Any] = {f"option_{p.name}": (_type(p), _field(p)) for p in parameters}
    return create_model("Options", __config__=config, **fields)


def _type(parameter: inspect.Parameter) -> Any:
    return Any if parameter.annotation is parameter.empty else parameter.annotation


def _field(parameter: inspect.Parameter) -> Any:
    if parameter.default is parameter.empty:
        return Field(alias=parameter.name)
    return Field(default=parameter.default, alias=parameter.name)
