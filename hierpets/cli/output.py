"""Standard output that holds what a command writes and nothing else."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from typing import TextIO

import click

__all__ = ["keep_output"]


def keep_output() -> TextIO:
    """Standard output, for the results of this command. What a plugin prints meanwhile goes to standard error, for in
    the middle of JSON or CSV it would break them.
    """
    output = sys.stdout
    click.get_current_context().with_resource(redirect_stdout(sys.stderr))
    return output
