"""Report errors of hierpets in one line, without a traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from hierpets.errors import HierpetsError

__all__ = ["in_one_line"]

Given = ParamSpec("Given")


def in_one_line(main: Callable[Given, int | None]) -> Callable[Given, int]:
    """Wrap the main function of a tool: it returns the exit code, which is 1 after an error of hierpets, and prints
    that error in one line.
    """

    @wraps(main)
    def run(*args: Given.args, **kwargs: Given.kwargs) -> int:
        try:
            return main(*args, **kwargs) or 0
        except HierpetsError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1

    return run
