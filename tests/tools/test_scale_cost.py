from pathlib import Path

from tools import scale_cost

PAGE = Path(__file__).resolve().parents[2] / "docs" / "scale.md"


def test_cost_table_is_counts_over_the_rate():
    table = scale_cost.cost_table(scale_cost.Rate(10.0, None, "stated"), 0.05, [36_000_000])
    assert table.splitlines()[-1] == "| 36,000,000 | 1,000 | 50 | 1.0 |"


def test_scale_cost_table_in_the_docs_was_measured():
    written = PAGE.read_text().split(scale_cost.BEGIN)[1].split(scale_cost.END)[0]
    assert "1,000,000,000" in written
    assert "measured over" in written
