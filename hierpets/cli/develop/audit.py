"""``hierpets audit``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hierpets.cli.completion import PluginName
from hierpets.cli.options import GivenPath, overwrite_option, registry_option
from hierpets.inference.engines.base import DEVICES, Device
from hierpets.text import escaped

if TYPE_CHECKING:
    from rich.table import Table

    from hierpets.auditing.balance import ClassBalance
    from hierpets.auditing.findings import Audit

__all__ = ["command"]

SHOWN = 2  # classes at each end of a level


@click.command("audit")
@click.argument("data", metavar="SOURCE")
@click.option(
    "--out",
    type=GivenPath(),
    default=Path("audit"),
    show_default=True,
    metavar="DIR",
    help="Output folder for audit.json and audit.html.",
)
@click.option(
    "--backbone",
    type=PluginName("backbone"),
    default="efficientnet_lite0",
    show_default=True,
    help="Backbone whose features are compared.",
)
@click.option(
    "--device", type=click.Choice(DEVICES), default="auto", show_default=True, help="Device to compute features on."
)
@click.option("--strict", is_flag=True, help="Exit with 1 if a file cannot be read or a photo is in two splits.")
@overwrite_option
@registry_option
def command(
    data: str, out: Path, backbone: str, device: Device, strict: bool, overwrite: bool, registry: Path | None
) -> int:
    """Find problems in labeled photos: a folder, a CSV, demo, or another source of docs/data.md.

    Class counts, unreadable and misnamed files, tiny, dark and gray photos, duplicates, leaks between splits, suspected
    label errors, misspelled classes, outliers. If you press Ctrl-C, the same command continues where it stopped.
    """
    from hierpets.auditing.run import audit
    from hierpets.cli.progress import ProgressDisplay

    with ProgressDisplay() as progress:
        result = audit(
            data,
            out=out,
            backbone=backbone,
            device=device,
            registry=registry,
            overwrite=overwrite,
            progress=progress,
        )
    _print(result, out)
    return 1 if strict and result.blocking else 0


def _print(audit: Audit, out: Path) -> None:
    """Print the headline, counts per class, findings per kind, notes, and where to find the rest."""
    from rich.console import Console
    from rich.markup import escape

    from hierpets.auditing.findings import AUDIT_FILE, PAGE_FILE

    console = Console(highlight=False, width=None if Console().is_terminal else 120)
    console.print(f"[bold]{escape(audit.headline)}[/bold]")
    for level, balance in audit.levels.items():
        console.print(escape(f"{level}: {_counts(balance)}"))
    console.print(escape(f"sampler {audit.sampler.name}: {audit.sampler.reason}"))
    if audit.findings:
        console.print(_table(audit))
    for note in audit.notes:
        console.print(escape(f"note: {note}"))
    console.print(escape(f"wrote {out / PAGE_FILE} (with pictures) and {out / AUDIT_FILE}"))


def _counts(balance: ClassBalance) -> str:
    """``beagle 200, pug 90, ..., boxer 12, poodle 9, largest to smallest 22.2 to 1``."""
    counts = [f"{name} {n:,}" for name, n in sorted(balance.counts.items(), key=lambda item: -item[1])]
    ends = counts if len(counts) <= 2 * SHOWN else [*counts[:SHOWN], "...", *counts[-SHOWN:]]
    ratio = balance.imbalance_ratio
    return ", ".join(ends) + ("" if ratio is None else f", largest to smallest {ratio:.1f} to 1")


def _table(audit: Audit) -> Table:
    """A table with a row for each kind of finding, and the one with the highest score as an example."""
    from rich.markup import escape
    from rich.table import Table

    from hierpets.auditing.kinds import BLOCKING, KINDS

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("found", justify="right")
    table.add_column("kind", overflow="fold")
    table.add_column("for example", overflow="fold")
    for kind, n in audit.summary.items():
        if n:
            first = audit.of_kind(kind)[0]
            style = "red" if kind in BLOCKING else None
            table.add_row(
                str(n), KINDS[kind].title, escape(escaped(f"{first.photos[0].path}: {first.what}")), style=style
            )
    return table
