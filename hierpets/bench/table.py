"""Formats a report as tables for a terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

__all__ = ["tables"]

STAGES = {
    "load": "Load",
    "decode": "Decode",
    "preprocess": "Preprocess",
    "network": "Network",
    "decision": "Decision",
    "recommendation": "Recommend",
}
RATES = (
    "first",
    "p50",
    "p95",
    "p99",
    "photos/s",
    "decode alone",
    "network alone",
    "of bound",
    "peak single",
    "peak stream",
)


def tables(report: dict[str, Any]) -> RenderableType:
    """Format a report of ``run.bench``: stages, then latency, throughput and memory, then a sentence per engine."""
    rows = [row for row in report["results"] if row["unavailable"] is None]
    lines = [f"{_name(row)}: {row['limit']['sentence']}" for row in rows]
    lines += [f"{_name(row)}: not measured: {row['unavailable']}" for row in report["results"] if row["unavailable"]]
    return Group(_stage_table(rows), _rate_table(rows), *lines)


def _stage_table(rows: list[dict[str, Any]]) -> Table:
    table = Table("engine", title="Each stage alone, ms per photo (Load: ms once)", title_justify="left")
    for heading in STAGES.values():
        table.add_column(heading, justify="right")
    for row in rows:
        stages = row["start_ms"] | row["stages_ms"]
        table.add_row(_name(row), *(_ms(stages[stage]) for stage in STAGES))
    return table


def _rate_table(rows: list[dict[str, Any]]) -> Table:
    title = "The whole pipeline: latency of one photo (ms), throughput of many (photos/s), memory (MB)"
    table = Table("engine", title=title, title_justify="left")
    for heading in RATES:
        table.add_column(heading, justify="right")
    for row in rows:
        rates = row["photos_per_second"]
        table.add_row(
            _name(row),
            _ms(row["start_ms"]["first_answer"]),
            *(_ms(value) for value in row["latency_ms"].values()),
            *(f"{rates[key]:.0f}" for key in ("throughput", "decode", "network")),
            f"{row['limit']['reached']:.0%}",
            *("-" if peak is None else f"{peak:.0f}" for peak in row["peak_memory_mb"].values()),
        )
    return table


def _name(row: dict[str, Any]) -> str:
    return f"{row['engine']} {row['precision']}"


def _ms(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"
