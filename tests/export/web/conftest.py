"""The scripts of the page by themselves, in a browser."""

import pytest
from helpers.static_server import serving_folder

from hierpets.export.web.export import SCRIPTS


@pytest.fixture(scope="module")
def scripts(chromium):
    """Runs a script in a page whose folder is that of the exported scripts: ``scripts(source, argument)``."""
    with serving_folder(SCRIPTS) as url:
        page = chromium.new_page()
        page.goto(f"{url}/ort.LICENSE.txt")
        yield page.evaluate
        page.close()
