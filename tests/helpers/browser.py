"""Chromium for the tests of pages: the system's, or the one that Playwright installed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["ADVICE", "ARGUMENTS", "find_chromium", "started_chromium"]

ADVICE = "`make browser` installs Chromium"
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
"""What is taken first starts fastest: the headless shell draws no toolbars for each page that nobody sees."""
ARGUMENTS = ["--no-sandbox"]
COMPILED_ONCE = "--js-flags=--liftoff-only"
"""Each visit compiles ONNX Runtime Web anew, and for a few photos no better code is worth its compilation."""


def find_chromium() -> str | None:
    """The path of a Chromium; None where there is none, or no Playwright to drive it."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    for name in BROWSERS:
        if found := shutil.which(name):
            return found
    with sync_playwright() as started:
        own = started.chromium.executable_path
    return own if Path(own).is_file() else None


@contextmanager
def started_chromium(executable: str) -> Iterator[Any]:
    """A running browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=executable, args=[*ARGUMENTS, COMPILED_ONCE])
        yield browser
        browser.close()
