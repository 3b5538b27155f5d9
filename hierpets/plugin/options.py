"""The options of a plugin: a pydantic model made from the signature of its function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any

from pydantic import ConfigDict, ValidationError

from hierpets.errors import did_you_mean
from hierpets.plugin.kinds import LEADING_ARGUMENTS, Kind
from hierpets.validation.arguments import arguments_model, values_of
from hierpets.validation.problems import ValidationProblem, find_problems

__all__ = ["Options", "unknown_option"]


class Options:
    """The options of a plugin's function: its parameters, with their annotated types, after those that hierpets fills.

    :raises TypeError: the function cannot be called as a plugin of this kind.
    """

    def __init__(self, function: Callable[..., Any], kind: Kind):
        leading = LEADING_ARGUMENTS[kind]
        try:
            signature = inspect.signature(function, eval_str=True)
            signature.bind_partial(*leading)
            parameters = list(signature.parameters.values())
            named = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)][len(leading) :]
            self._model = arguments_model(named, ConfigDict(extra="allow", arbitrary_types_allowed=True))
        except Exception as error:  # an annotation is code, and anything may come of it
            expected = f"{getattr(function, '__name__', 'function')}({', '.join((*leading, '**options'))})"
            raise TypeError(f"cannot be called as {expected}: {error}") from error
        self.names: tuple[str, ...] = tuple(p.name for p in named)
        self._takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)

    def read(self, given: Mapping[str, Any]) -> tuple[dict[str, Any], list[ValidationProblem]]:
        """Return the value of every option, given (and converted) or default, and the problems of those given.

        If there are problems, there are no values.
        """
        unknown = [] if self._takes_any else [name for name in given if name not in self.names]
        problems = [ValidationProblem((name,), unknown_option(name, self.names)) for name in unknown]
        try:
            values = self._model.model_validate({name: value for name, value in given.items() if name not in unknown})
        except ValidationError as error:
            problems += find_problems(error, self._model)
        if problems:
            return {}, problems
        return {**values_of(values, self.names), **(values.model_extra or {})}, []


def unknown_option(name: str, names: Collection[str]) -> str:
    """The message for an option that a plugin does not take."""
    known = f"known: {', '.join(names)}" if names else "it takes none"
    return f"unknown option{did_you_mean(name, names)}; {known}"
