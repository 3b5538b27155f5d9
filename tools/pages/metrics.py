"""``docs/metrics.md``: its tables of the files that ``hierpets evaluate`` and ``hierpets compare`` write."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel

from hierpets.evaluation.comparison.result import Comparison
from hierpets.evaluation.metrics.schema import Metrics
from hierpets.evaluation.records import EvaluationRecord
from hierpets.validation.reference import field_table
from tools.pages.marks import replace_marked

__all__ = ["metrics_page"]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"
TABLES: dict[str, type[BaseModel]] = {"fields": Metrics, "records": EvaluationRecord, "comparison": Comparison}


def metrics_page() -> str:
    """Return the page with the current tables between their marks."""
    page = PAGE.read_text(encoding="utf-8")
    for name, model in TABLES.items():
        begin, end = f"<!-- {name}: tools/reference.py metrics -->", f"<!-- end of {name} -->"
        page = replace_marked(page, begin, end, field_table(model))
    return page
