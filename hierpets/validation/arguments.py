"""Check the arguments of a call against the annotations of the function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from functools import cache, partial, reduce, wraps
from operator import or_
from types import GenericAlias, UnionType
from typing import Annotated, Any, ParamSpec, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, GetPydanticSchema, ValidationError, create_model
from pydantic_core import core_schema

from hierpets.errors import ConfigError
from hierpets.validation.problems import problem_lines

__all__ = ["arguments_model", "checked", "values_of"]

P = ParamSpec("P")
R = TypeVar("R")

_AS_ANNOTATED = ConfigDict(strict=True, str_min_length=1, arbitrary_types_allowed=True)
_INSTANCE = GetPydanticSchema(lambda kind, _handler: core_schema.is_instance_schema(kind))


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function to refuse arguments that its annotations do not allow: text where a number is expected, an
    empty text, a number out of range. ``**words`` are left to the function itself.

    :raises ConfigError: at the call, with a line for each of them: ``price: expected a number, got '1'``.
    """
    signature = inspect.signature(function)
    get_model = cache(partial(_model_of, function))  # annotations are evaluated at the first call, not at import

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        bound, model = _bind(function, signature, args, kwargs), get_model()
        try:
            bound.arguments |= values_of(model.model_validate(bound.arguments), bound.arguments)
        except ValidationError as error:
            raise ConfigError("\n".join(problem_lines(error, model))) from None
        return function(*bound.args, **bound.kwargs)

    return call


def arguments_model(parameters: Iterable[inspect.Parameter], config: ConfigDict) -> type[BaseModel]:
    """Create a model with a field for each parameter; :func:`values_of` reads its values."""
    # By alias, since a parameter may be named "copy", "json" or "_x", as no field of a model can be.
    fields: dict[str, Any] = {f"argument_{p.name}": (_type(p), _field(p)) for p in parameters}
    return create_model("Arguments", __config__=config, **fields)


def values_of(model: BaseModel, names: Iterable[str]) -> dict[str, Any]:
    """Return the values of those of these parameters that the model has."""
    fields = ((name, f"argument_{name}") for name in names)
    return {name: getattr(model, field) for name, field in fields if field in type(model).model_fields}


def _type(parameter: inspect.Parameter) -> Any:
    return Any if parameter.annotation is parameter.empty else parameter.annotation


def _field(parameter: inspect.Parameter) -> Any:
    if parameter.default is parameter.empty:
        return Field(alias=parameter.name)
    return Field(default=parameter.default, alias=parameter.name)


def _bind(
    function: Callable[..., Any], signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> inspect.BoundArguments:
    try:
        return signature.bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{function.__name__}: {error}") from None


def _model_of(function: Callable[..., Any]) -> type[BaseModel]:
    parameters = inspect.signature(function, eval_str=True).parameters.values()
    return arguments_model((_strict(p) for p in parameters if p.kind is not p.VAR_KEYWORD), _AS_ANNOTATED)


def _strict(parameter: inspect.Parameter) -> inspect.Parameter:
    kind = _instances(parameter.annotation)
    if parameter.kind is not parameter.VAR_POSITIONAL:
        return parameter.replace(annotation=kind)
    several = GenericAlias(tuple, (kind, ...))
    return inspect.Parameter(parameter.name, parameter.KEYWORD_ONLY, annotation=several, default=())


def _instances(annotation: Any) -> Any:
    """Check classes of hierpets by isinstance alone: none is built from a dictionary, and no field is validated."""
    if get_origin(annotation) in (Union, UnionType):
        return reduce(or_, map(_instances, get_args(annotation)))
    own = inspect.isclass(annotation) and annotation.__module__.startswith("hierpets.")
    return Annotated[annotation, _INSTANCE] if own else annotation
