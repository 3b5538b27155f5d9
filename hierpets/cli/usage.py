"""Advice for usage errors: some commands take a bundle or photos as an option, others as an argument."""

from __future__ import annotations

import click

__all__ = ["advised"]

GIVEN_BY = {"data": "photos", "model": "a bundle"}  # what options of these names take
SAME = {"--data": "data", "--model": "bundle"}  # the argument that takes the same as an option


def advised(error: click.ClickException) -> click.ClickException:
    """Add advice to the error if photos or a bundle were given as an option instead of an argument, or vice versa."""
    if not isinstance(error, click.UsageError) or error.ctx is None:
        return error
    advice = _advice(error, error.ctx)
    return click.UsageError(error.message + advice, error.ctx) if advice else error


def _advice(error: click.UsageError, context: click.Context) -> str:
    parameters = {parameter.name: parameter for parameter in context.command.params}
    if isinstance(error, click.NoSuchOption):
        argument = parameters.get(SAME.get(error.option_name, ""))
        return f" {argument.make_metavar(context).strip('[]')} goes without it." if argument else ""
    if error.message.startswith("Got unexpected extra argument"):
        places = [f"{what} by --{name}" for name, what in GIVEN_BY.items() if name in parameters]
        return f"; give {' and '.join(places)}" if places else ""
    return ""
