"""The generated pages of docs say what the code says."""

import pytest

from hierpets.config import TrainConfig
from tools.reference import PAGES, path_of


@pytest.mark.parametrize("page", PAGES)
def test_reference_page_is_up_to_date(page):
    assert path_of(page).read_text() == PAGES[page](), f"run python tools/reference.py {page}"


def test_settings_page_describes_every_setting():
    rows = PAGES["settings"]().split("|---|---|---|---|")[1].strip().splitlines()
    assert len(rows) > len(TrainConfig.model_fields)
    assert not [row for row in rows if row.split("|")[-2].strip() == ""]
