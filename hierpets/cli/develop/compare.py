"""``hierpets compare``: two evaluations on the same photos."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hierpets.cli.options import GivenPath
from hierpets.text import counted

if TYPE_CHECKING:
    from hierpets.evaluation.comparison.result import Comparison, LevelComparison

__all__ = ["command"]


@click.command("compare")
@click.argument("run_a", type=GivenPath(exists=True))
@click.argument("run_b", type=GivenPath(exists=True))
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the bootstrap.")
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
def command(run_a: Path, run_b: Path, seed: int, as_json: bool) -> None:
    """Test whether RUN_B is better than RUN_A, or whether the difference could be chance.

    Both are folders written by `hierpets evaluate` on the same photos. Differences are B minus A.
    """
    import json

    from hierpets.evaluation.comparison.run import compare

    comparison = compare(run_a, run_b, seed=seed)
    if as_json:
        click.echo(json.dumps(comparison.to_json(), indent=2, allow_nan=False))
    else:
        _show(comparison)


def _show(comparison: Comparison) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    table = Table(title=f"{counted(comparison.n, 'photo')}, in %, 95% interval of the difference", title_justify="left")
    for heading in ("level", "metric", "A", "B", "B - A", "interval", "p"):
        table.add_column(heading, justify="left" if heading in ("level", "metric") else "right")
    for name, level in comparison.measured.items():
        for metric in ("accuracy", "balanced_accuracy"):
            table.add_row(*_row(name, metric, level))
    for side, name, model in (("A", comparison.a, comparison.model_a), ("B", comparison.b, comparison.model_b)):
        console.print(f"{side}  {escape(name)}" + (f"  model {model}" if model else ""))
    console.print(table)
    for name, level in comparison.measured.items():
        color = "green" if level.winner else "yellow"
        console.print(f"[{color}]{name}[/]: {escape(level.verdict)}")


def _row(name: str, metric: str, level: LevelComparison) -> tuple[str, ...]:
    a, b, difference, (low, high) = (
        getattr(part, metric) for part in (level.a, level.b, level.difference, level.interval)
    )
    return (
        name,
        metric.partition("_")[0],
        f"{100 * a:.1f}",
        f"{100 * b:.1f}",
        f"{100 * difference:+.1f}",
        f"{100 * low:+.1f} to {100 * high:+.1f}",
        f"{level.mcnemar.p_value:.2g}" if metric == "accuracy" else "",
    )
