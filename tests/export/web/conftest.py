"""The page of a bundle, and its scripts by themselves, in a browser."""

import json
import shutil

import pytest
from helpers.static_server import serving_folder

from hierpets.export.web.export import SCRIPTS, SHARED
from hierpets.page import ASSETS


@pytest.fixture(scope="module")
def scripts(chromium, tmp_path_factory):
    """Runs a script in a page whose folder holds the exported scripts: ``scripts(source, argument)``.

    Both ways as one text of JSON: Playwright packs thousands of numbers one by one, which takes seconds.
    """

    def run(source, argument):
        script = f"async (given) => JSON.stringify(await ({source})(JSON.parse(given)))"
        return json.loads(page.evaluate(script, json.dumps(argument, allow_nan=False)))

    folder = tmp_path_factory.mktemp("scripts")
    for name in SHARED:
        shutil.copy(ASSETS / name, folder)
    shutil.copytree(SCRIPTS, folder, dirs_exist_ok=True)
    with serving_folder(folder) as url:
        page = chromium.new_page()
        page.goto(f"{url}/ort.LICENSE.txt")
        yield run
        page.close()


@pytest.fixture
def visit(chromium):
    """Opens a page; at the end it must have had no console error and no request to another host."""
    contexts, wrong = [], []

    def visit(url, width=1280, *, expecting=None, missing=None, locale="en-US"):
        phone = width < 500
        context = chromium.new_context(
            viewport={"width": width, "height": 844},
            is_mobile=phone,
            has_touch=phone,
            locale=locale,
            reduced_motion="reduce",  # else each click waits until all stands still
        )
        contexts.append(context)

        def hear(message):
            if message.type in ("error", "warning") and not (expecting and expecting in message.text):
                wrong.append(message.text)

        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("console", hear)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        context.on(
            "request", lambda r: None if r.url.startswith((url, "blob:")) else wrong.append(f"asked for {r.url}")
        )
        if missing:
            context.route(missing, lambda route: route.fulfill(status=404))
        page.goto(url)
        page.locator("#model", has_text="hierpets").wait_for()
        return page

    yield visit
    for context in contexts:
        context.close()
    assert wrong == []
