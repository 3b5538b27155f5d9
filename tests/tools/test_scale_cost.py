from pathlib import Path

from tools import scale_cost
from tools.pages.marks import marks_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "scale.md"


def test_cost_table_is_counts_over_the_rate():
    table = scale_cost.cost_table(scale_cost.Rate(10.0, None, "stated"), 0.05, [36_000_000])
    assert table.splitlines()[-1] == "| 36,000,000 | 1,000 | 50 | 1.0 |"


def test_training_report_is_counts_over_the_rates():
    training = scale_cost.Training(features=10.0, kept=1000.0, kilobytes=5.0, origin="stated")
    table = scale_cost.training_report(training, 0.05, [36_000_000])
    assert table.splitlines()[-1] == "| 36,000,000 | 1,000 | 50 | 1.0 | 180 | 10.0 |"


def test_scale_cost_table_in_the_docs_was_measured():
    begin, end = marks_of(scale_cost.__file__)
    written = PAGE.read_text().split(begin)[1].split(end)[0]
    assert "1,000,000,000" in written
    assert written.count("measured over") == 2, "prediction and training"
