"""The tables of docs/metrics.md: ``python tools/metrics_page.py make`` writes them, ``check`` compares them."""

from __future__ import annotations

import sys
from pathlib import Path

from pydantic import BaseModel

from hierpets.evaluation.comparison import Comparison
from hierpets.evaluation.metrics.schema import Metrics
from hierpets.evaluation.records import EvaluationRecord
from hierpets.files import write_text
from hierpets.validation.reference import field_table

PAGE = Path(__file__).resolve().parents[1] / "docs" / "metrics.md"
TABLES: dict[str, type[BaseModel]] = {"fields": Metrics, "records": EvaluationRecord, "comparison": Comparison}


def with_tables(page: str) -> str:
    """The page with the present tables between their marks."""
    for name, model in TABLES.items():
        start, end = f"<!-- {name}: python tools/metrics_page.py make -->\n", f"<!-- /{name} -->\n"
        before, _, rest = page.partition(start)
        _, _, after = rest.partition(end)
        page = before + start + field_table(model) + end + after
    return page


def main(arguments: list[str]) -> int:
    page = PAGE.read_text(encoding="utf-8")
    if arguments == ["make"]:
        write_text(PAGE, with_tables(page))
        return 0
    if arguments == ["check"]:
        return 0 if page == with_tables(page) else 1
    print("usage: python tools/metrics_page.py make|check", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
