"""Reserves standard output for the results of a command."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from typing import TextIO

import click

__all__ = ["keep_output"]


def keep_output() -> TextIO:
    """Return standard output for the results of this command, and redirect everything else that is printed, such as by
    plugins, to standard error: in the middle of JSON or CSV it would break the format.
    """
    output = sys.stdout
    click.get_current_context().with_resource(redirect_stdout(sys.stderr))
    return output
