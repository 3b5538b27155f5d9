"""``hierpets compare``: two evaluations on the same photos."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

__all__ = ["command"]


@click.command("compare")
@click.argument("run_a", type=click.Path(exists=True, path_type=Path))
@click.argument("run_b", type=click.Path(exists=True, path_type=Path))
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the bootstrap.")
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
def command(run_a: Path, run_b: Path, seed: int, as_json: bool) -> None:
    """Tell whether RUN_B is better than RUN_A, or whether the difference could be luck.

    Both are folders written by `hierpets evaluate` on the same photos. Differences are B minus A.
    """
    import json

    from hierpets.evaluation.comparison import compare_records
    from hierpets.evaluation.records import find_records, read_records

    a, b = (read_records(find_records(run)) for run in (run_a, run_b))
    result = compare_records(a, b, names=(str(run_a), str(run_b)), seed=seed)
    if as_json:
        click.echo(json.dumps(result, indent=2, allow_nan=False))
    else:
        _show(result)


def _show(result: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    table = Table(title=f"{result['n']} photos, in %, 95 % interval of the difference", title_justify="left")
    for heading in ("level", "metric", "A", "B", "B - A", "interval", "p"):
        table.add_column(heading, justify="left" if heading in ("level", "metric") else "right")
    levels = {level: found for level, found in result["levels"].items() if found}
    for level, found in levels.items():
        for metric in ("accuracy", "balanced_accuracy"):
            table.add_row(*_row(level, metric, found))
    console.print(f"A  {escape(result['a'])}\nB  {escape(result['b'])}")
    console.print(table)
    for level, found in levels.items():
        color = "green" if found["winner"] else "yellow"
        console.print(f"[{color}]{level}[/]: {escape(found['verdict'])}")


def _row(level: str, metric: str, found: dict[str, Any]) -> tuple[str, ...]:
    low, high = found["interval"][metric]
    p_value = f"{found['mcnemar']['p_value']:.2g}" if metric == "accuracy" else ""
    return (
        level,
        metric.partition("_")[0],
        f"{100 * found['a'][metric]:.1f}",
        f"{100 * found['b'][metric]:.1f}",
        f"{100 * found['difference'][metric]:+.1f}",
        f"{100 * low:+.1f} to {100 * high:+.1f}",
        p_value,
    )
