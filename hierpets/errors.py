"""The errors that users can get. Each message says what was expected, what was given, where, and what to do.

HierpetsError
├── ConfigError      a setting, a level or a path that makes no sense
├── DataError        a data set that cannot be trained on or evaluated
│   └── ImageError   one photo that cannot be read
├── RegistryError    registry.yaml is wrong; carries every problem at once
│   └── CatalogError    a file of breeds, ingredients or products beside it is wrong
├── PluginError      a plugin cannot be imported, or broke its contract
├── BundleError      a bundle is missing, damaged or of another schema
├── DeviceError      a requested device or engine is not available, or a GPU has too little memory
└── InternalError    hierpets failed on one photo for an unknown reason
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from numbers import Integral
from types import NoneType
from typing import Any

__all__ = [
    "BundleError",
    "CatalogError",
    "ConfigError",
    "DataError",
    "DeviceError",
    "HierpetsError",
    "ImageError",
    "InternalError",
    "PluginError",
    "RegistryError",
    "check_count",
    "check_path",
    "check_type",
    "did_you_mean",
    "first_line",
    "reason_of",
    "shown",
    "within_gpu_memory",
    "without_name",
]

LONGEST_WORD = 100
LONGEST = 60  # characters of a value in a message


class HierpetsError(Exception):
    """Anything a user can cause and fix. The command line prints it as one line."""


class ConfigError(HierpetsError):
    """An invalid setting, level or path."""


class DataError(HierpetsError):
    """A data set that cannot be used for training or evaluation."""


class ImageError(DataError):
    """A photo that cannot be read: missing, empty, not an image, too large, damaged."""


class RegistryError(HierpetsError):
    """registry.yaml is invalid. ``problems`` holds one line for each thing to fix."""

    def __init__(self, problems: Iterable[str]):
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.problems,)  # not the text, as an exception is pickled


class CatalogError(RegistryError):
    """A file of breeds, ingredients or products is invalid. ``problems`` holds one line for each thing to fix."""


class PluginError(HierpetsError):
    """A plugin that cannot be imported, or violates its contract."""


class BundleError(HierpetsError):
    """A bundle that is missing, damaged or of another schema."""


class DeviceError(HierpetsError):
    """A device or engine that is not available, or a GPU with too little memory."""


class InternalError(HierpetsError):
    """An unexpected failure on one photo; the log has the traceback."""


@contextmanager
def within_gpu_memory() -> Iterator[None]:
    """Report running out of GPU memory inside as an error of the device, not of the code.

    :raises DeviceError: the GPU has too little memory.
    """
    try:
        yield
    except RuntimeError as error:
        if type(error).__name__ != "OutOfMemoryError":  # that of torch, by name so that torch is not imported
            raise
        what = ". ".join(first_line(error).split(". ")[:2])
        raise DeviceError(
            f"{what}: use --device cpu, end what else uses the GPU or, to fine-tune, lower finetune.batch_size"
        ) from error


def first_line(error: BaseException) -> str:
    """The first line of the message, or the type of the error if it has none."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def reason_of(error: BaseException) -> str:
    """The system's reason for a failed file or connection, without error number and path; otherwise the message."""
    return getattr(error, "strerror", None) or str(error)


def without_name(error: Exception, name: str) -> str:
    """The message without the name in front of it, for output that has the name already."""
    return str(error).removeprefix(f"{name}: ")


def did_you_mean(word: object, choices: Iterable[str]) -> str:
    """``" (did you mean 'x'?)"`` for the nearest choice, or an empty string."""
    if not isinstance(word, str) or len(word) > LONGEST_WORD:
        return ""  # comparing takes quadratic time
    nearest = get_close_matches(word, list(choices), n=1, cutoff=0.65)
    return f" (did you mean {nearest[0]!r}?)" if nearest else ""


def shown(value: object) -> str:
    """A value for an error message: its repr, shortened to fit into a line; its type if the repr has several lines."""
    if value is None:
        return "nothing"
    text = repr(value)
    if "\n" in text:
        return type(value).__name__
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def check_type(name: str, given: Any, kinds: type | tuple[type, ...], expected: str) -> None:
    """Check the type of an argument. It is cheap: for use before heavy imports, or once per photo.

    :raises ConfigError: it has another type.
    """
    if not isinstance(given, kinds):
        raise ConfigError(f"{name}: expected {expected}, got {shown(given)}")


def check_path(name: str, given: Any) -> None:
    """:raises ConfigError: neither a path nor None; or an empty text, which would stand for the current folder."""
    check_type(name, given, (str, os.PathLike, NoneType), "a path")
    if given == "":
        raise ConfigError(f"{name}: expected a path, got ''")


def check_count(name: str, given: Any) -> None:
    """:raises ConfigError: not a whole number, or less than 1."""
    if isinstance(given, bool) or not isinstance(given, Integral) or int(given) < 1:
        raise ConfigError(f"{name}: expected a whole number of at least 1, got {shown(given)}")
