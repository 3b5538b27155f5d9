"""How the command line prints log messages: names of files may hold characters that steer a terminal."""

from __future__ import annotations

import logging
from copy import copy
from numbers import Number
from typing import Any

from hierpets.text import escaped

__all__ = ["EscapingFormatter", "print_log_safely"]


class EscapingFormatter(logging.Formatter):
    """Escapes the arguments of a message, such as the name of a photo. Line breaks stay in the message itself, in
    errors, which may have several lines, and in tracebacks.
    """

    def format(self, record: logging.LogRecord) -> str:
        safe = copy(record)  # other handlers get what was logged
        if isinstance(safe.args, tuple):
            safe.args = tuple(map(_escape_argument, safe.args))
        return super().format(safe)

    def formatException(self, ei: Any) -> str:  # the name that logging calls
        return _escape_lines(super().formatException(ei))


def print_log_safely() -> None:
    """Escape what is printed to standard error where nobody has configured logging."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(EscapingFormatter())


def _escape_argument(value: object) -> object:
    if isinstance(value, BaseException):
        return _escape_lines(str(value))
    return value if isinstance(value, Number) else escaped(str(value))


def _escape_lines(text: str) -> str:
    return "\n".join(map(escaped, text.splitlines()))
