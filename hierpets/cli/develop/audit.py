"""``hierpets audit``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hierpets.cli.options import registry_option

if TYPE_CHECKING:
    from hierpets.auditing.findings import Audit

__all__ = ["command"]

BACKBONE = "efficientnet_lite0"  # the quickest of the embedded ones


@click.command("audit")
@click.argument("data", metavar="DIR|CSV|demo")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("audit"),
    show_default=True,
    metavar="DIR",
    help="Where to write audit.json and audit.html, and to keep what is found on the way.",
)
@click.option("--backbone", metavar="NAME", default=BACKBONE, show_default=True, help="Whose features to compare.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--strict", is_flag=True, help="Exit with 1 when a file cannot be read or a photo is in two splits.")
@registry_option
def command(data: str, out: Path, backbone: str, device: Any, strict: bool, registry: Path | None) -> int:
    """Look for what is wrong with labeled photos.

    Counts, unreadable and misnamed files, tiny, dark and gray photos, duplicates, leaks between splits, labels that
    contradict each other or the photo, photos of no pet. Ctrl-C keeps what is done; the same command goes on.
    """
    from hierpets.auditing.page import render_page
    from hierpets.auditing.run import run_audit
    from hierpets.cli.progress import ProgressDisplay
    from hierpets.files import write_all
    from hierpets.inference.engines.base import choose_device
    from hierpets.registry.loading import load_registry

    try:
        with ProgressDisplay() as progress:
            audit = run_audit(
                data,
                out,
                registry=load_registry(registry),
                backbone=backbone,
                device=choose_device(device),
                progress=progress,
            )
    except KeyboardInterrupt:
        click.echo(f"what is done is kept in {out}; run the same command to go on", err=True)
        raise
    document = json.dumps(audit.to_json(), indent=2, ensure_ascii=False) + "\n"
    write_all(out, {"audit.json": document.encode(), "audit.html": render_page(audit).encode()})
    _print(audit, out)
    return 1 if strict and audit.blocking else 0


def _print(audit: Audit, out: Path) -> None:
    """The summary: counts a species, then findings a kind with the surest of each."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from hierpets.auditing.findings import BLOCKING, KINDS
    from hierpets.auditing.page import verdict

    console = Console(highlight=False, width=None if Console().is_terminal else 120)
    console.print(f"[bold]{escape(verdict(audit))}[/bold]")
    for level, balance in audit.levels.items():
        counts = sorted(balance.counts.items(), key=lambda item: -item[1])
        ratio = "" if balance.ratio is None else f", largest to smallest {balance.ratio:.1f} to 1"
        ends = counts if len(counts) <= 4 else [*counts[:2], ("...", None), *counts[-2:]]
        listed = ", ".join(f"{name} {n:,}" if n is not None else name for name, n in ends)
        console.print(escape(f"{level}: {listed}{ratio}"))
    console.print(escape(f"sampler {audit.suggestion.sampler}: {audit.suggestion.reason}"))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column, justify in (("found", "right"), ("kind", "left"), ("for example", "left")):
        table.add_column(column, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for kind, n in audit.summary.items():
        if n:
            first = audit.of_kind(kind)[0]
            style = "red" if kind in BLOCKING else None
            table.add_row(str(n), KINDS[kind].title, escape(f"{first.photos[0].path}: {first.what}"), style=style)
    if table.row_count:
        console.print(table)
    for note in audit.notes:
        console.print(escape(f"note: {note}"))
    console.print(escape(f"pictures in {out / 'audit.html'}, all findings in {out / 'audit.json'}"))
