"""``tools/model_card.py``: what is written anew without the backbones of the folds, and what stays."""

import re

from hierpets.evaluation.metrics.reading import read_run_metrics
from tools.build_bundle import METRICS
from tools.model_card import PAGE, bundle_megabytes, renewed


def sections(page):
    """The text under each heading, in the order of the page."""
    return dict(part.split("\n", 1) for part in re.split(r"^## ", page, flags=re.MULTILINE)[1:])


def test_only_what_is_said_of_other_photos_is_written_anew():
    page, own = PAGE.read_text(encoding="utf-8"), read_run_metrics(METRICS)["cross_validation"]
    elsewhere = own.model_copy(update={"stress": None})
    after = renewed(page, elsewhere, ["## Out-of-distribution photos\n\nnothing was measured\n"])
    old, new = sections(page), sections(after)
    assert [*new] == [*old]
    changed = {name for name in new if new[name] != old[name]}
    assert {"Accuracy on photos from elsewhere", "Out-of-distribution photos"} <= changed
    assert not {"Accuracy, five-fold cross-validated", "Stress test", "Combiners", "Limits of these numbers"} & changed
    assert f"| breed | {own.by_level['breed'].n} |" in new["Accuracy on photos from elsewhere"]
    assert new["Out-of-distribution photos"].strip() == "nothing was measured"
    accuracy = f"{own.by_level['breed'].accuracy:.1%}"
    assert re.search(rf"^\*\*The gap\.\*\* .*{accuracy}.*{accuracy}", after, re.MULTILINE)


def test_the_size_is_that_of_the_bundle_that_is_there():
    page, own = PAGE.read_text(encoding="utf-8"), read_run_metrics(METRICS)["cross_validation"]
    size = f"; {bundle_megabytes():.1f} MB."
    after = renewed(page.replace(size, "; 99.9 MB."), own.model_copy(update={"stress": None}), [])
    assert size in after
    assert "99.9 MB" not in after
