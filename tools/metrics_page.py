"""Keep the tables of docs/metrics.md true: ``python tools/metrics_page.py make`` writes it, ``check`` compares it."""

from __future__ import annotations

import sys
from pathlib import Path

from hierpets.evaluation.metrics.schema import Metrics
from hierpets.files import write_text
from hierpets.validation.reference import field_table

PAGE = Path(__file__).resolve().parents[1] / "docs" / "metrics.md"
START, END = "<!-- fields: python tools/metrics_page.py make -->\n", "<!-- /fields -->\n"


def with_table(page: str) -> str:
    """The page with the present table between its marks."""
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    return before + START + field_table(Metrics) + END + after


def main(arguments: list[str]) -> int:
    page = PAGE.read_text(encoding="utf-8")
    if arguments == ["make"]:
        write_text(PAGE, with_table(page))
        return 0
    if arguments == ["check"]:
        return 0 if page == with_table(page) else 1
    print("usage: python tools/metrics_page.py make|check", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
