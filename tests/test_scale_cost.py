import importlib.util
from pathlib import Path

import pytest

PATH = Path(__file__).resolve().parents[1] / "tools" / "scale_cost.py"
spec = importlib.util.spec_from_file_location("scale_cost", PATH)
tool = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tool)


def test_the_table_is_counts_over_the_rate():
    table = tool.cost_table(tool.Rate(10.0, None, "stated"), 0.05, [36_000_000])
    assert table.splitlines()[-1] == "| 36,000,000 | 1,000 | 50 | 1.0 |"


def test_a_page_keeps_all_but_what_lies_between_the_comments():
    page = f"before\n{tool.BEGIN}\nold\n{tool.END}\nafter\n"
    once = tool.replaced(page, "new")
    assert once == f"before\n{tool.BEGIN}\n\nnew\n\n{tool.END}\nafter\n"
    assert tool.replaced(once, "new") == once


def test_a_page_without_the_comments_is_refused():
    with pytest.raises(SystemExit, match="lacks"):
        tool.replaced("nothing", "new")


def test_the_page_in_the_docs_holds_a_measured_table():
    page = (PATH.parents[1] / "docs" / "scale.md").read_text()
    written = page.split(tool.BEGIN)[1].split(tool.END)[0]
    assert "1,000,000,000" in written
    assert "measured over" in written
