"""``hierpets checklist``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hierpets.cli.options import GivenPath, registry_option

if TYPE_CHECKING:
    from hierpets.checklist.run import Checklist

__all__ = ["command"]

STYLES = {"pass": "green", "warn": "yellow", "fail": "red", "not done": "dim"}


@click.command("checklist")
@click.argument("run", type=GivenPath(), metavar="RUN")
@click.option("--measure", is_flag=True, help="Also run the measurements: a random backbone, and both engines.")
@click.option("--strict", is_flag=True, help="Exit with 1 when an item fails.")
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Output format."
)
@registry_option
def command(run: Path, measure: bool, strict: bool, form: str, registry: Path | None) -> int:
    """Check a training run before you trust its model.

    Each line is pass, warn, fail or not done, with the number behind it and the command to run next.
    It reads RUN/config.yaml, metrics.json and bundle/, RUN/audit/audit.json, RUN/*/metrics.json of `hierpets evaluate`
    and RUN/measured.json of --measure.
    """
    from hierpets.checklist.run import check_run
    from hierpets.cli.progress import ProgressDisplay

    with ProgressDisplay() as progress:
        checklist = check_run(run, measure=measure, registry=registry, progress=progress)
    if form == "json":
        click.echo(json.dumps(checklist.to_json(), indent=2))
    else:
        _print(checklist)
    return 1 if strict and checklist.failed else 0


def _print(checklist: Checklist) -> None:
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{escape(str(checklist.run))}  model {checklist.model}")
    for item in checklist.items:
        console.print(f"[{STYLES[item.status]}]{item.status:<8}[/] {escape(item.question)} {escape(item.evidence)}")
        if item.next_step:
            console.print(f"         [dim]-> {escape(item.next_step)}[/dim]")
    counted = {status: sum(item.status == status for item in checklist.items) for status in STYLES}
    console.print(", ".join(f"{n} {status}" for status, n in counted.items() if n))
