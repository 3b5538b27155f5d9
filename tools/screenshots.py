"""Take the screenshots of the page in docs/images, with synthetic pets.

python tools/screenshots.py --model runs/demo/bundle
"""

from __future__ import annotations

import argparse
import io
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from hierpets.data import demo
from hierpets.data.demo import canvas
from hierpets.thumbnails import encode_jpeg
from tools.errors import in_one_line

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
SIDE = 800
ONE, OTHER = ("siamese/906",), ("beagle/901",)
GALLERY = ("siamese/900", "golden/908", "pug/909", "beagle/901", "rabbit/904", "meadow")
FOLDERS = {"siamese": "cat", "golden": "dog", "pug": "dog", "beagle": "dog"}


def draw(name: str) -> bytes:
    """Render a pet of the demo set in a larger size, or a scene without one, as a JPEG."""
    breed, _, number = name.partition("/")
    with mock.patch.multiple(canvas, PHOTO=SIDE, SIZE=2 * SIDE), mock.patch.object(demo, "SIZE", 2 * SIDE):
        canvas._grid.cache_clear()
        if number:
            species = FOLDERS.get(breed)
            photo = demo.render(f"demo:{species}/{breed}/{number}" if species else f"demo:{breed}/-/{number}")
        else:
            scene = canvas.Canvas(np.random.RandomState(8))
            scene.scenery()
            photo = scene.develop()
    canvas._grid.cache_clear()
    return encode_jpeg(photo, 95)


@contextmanager
def served(model: str) -> Iterator[str]:
    """Start a server; yield its address."""
    command = [sys.executable, "-m", "hierpets", "serve", "--model", model, "--port", "0"]
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen([*command, "--feedback", folder], stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            found = re.search(r"http://\S+:\d+", server.stdout.readline())
            if found is None:
                raise SystemExit("the server did not start")
            yield found[0]
        finally:
            server.terminate()
            server.wait(30)


def visit(browser: Browser, url: str, names: tuple[str, ...], **more: Any) -> Page:
    """Open the page and wait for the results of some photos."""
    page = browser.new_context(reduced_motion="reduce", **more).new_page()
    page.goto(url)
    page.locator("#about", has_text="knows").wait_for()
    files = [{"name": f"{n.split('/')[0]}.jpg", "mimeType": "image/jpeg", "buffer": draw(n)} for n in names]
    page.set_input_files("#pick", files)  # type: ignore[arg-type]
    page.locator('.card[aria-busy="false"]').nth(len(names) - 1).wait_for()
    page.wait_for_timeout(300)
    return page


def save(page: Page, name: str, **more: Any) -> None:
    """Save a screenshot with 256 colors, which makes the file small: the page has few, and the photos need no more."""
    shot = Image.open(io.BytesIO(page.screenshot(**more))).convert("RGB")
    shot.quantize(256, dither=Image.Dither.FLOYDSTEINBERG).save(IMAGES / name, optimize=True)
    print(f"{name}: {(IMAGES / name).stat().st_size / 1024:.0f} KB")


def take(browser: Browser, url: str) -> None:
    """Take every screenshot, of a phone and of a desktop."""
    phone = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True, "device_scale_factor": 2}
    desktop = {"viewport": {"width": 1280, "height": 800}}
    page = visit(browser, url, ONE, **phone)
    page.locator("#results").scroll_into_view_if_needed()
    save(page, "page-phone.png", full_page=True)
    page = visit(browser, url, OTHER, color_scheme="dark", **desktop)
    if page.locator(".look").is_visible():
        page.locator(".look").click()
        page.locator('.look[aria-pressed="true"]').wait_for()
        page.wait_for_timeout(300)
    save(page, "page-dark.png", full_page=True)
    save(visit(browser, url, GALLERY, **desktop), "page-gallery.png", full_page=True)


@in_one_line
def main() -> None:
    """Serve a model and take the screenshots of its page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    given = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    IMAGES.mkdir(parents=True, exist_ok=True)
    with served(given.model) as url, sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        take(browser, url)
        browser.close()


if __name__ == "__main__":
    sys.exit(main())
