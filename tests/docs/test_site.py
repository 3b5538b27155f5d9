"""The documentation site: it is built strictly, its links lead somewhere, and it asks no other host for anything."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest

ROOT = Path(__file__).parents[2]
LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "link": "href"}
WIDE = ["", "start/", "settings/", "cli/", "api/", "plugin_api/", "model_card/", "output/"]
"""Pages with wide tables, long lines or signatures."""
NOT_LOADED = {"canonical", "next", "prev", "alternate", "edit"}


class Page(HTMLParser):
    """What an HTML page links to, loads and has as anchors."""

    def __init__(self, html: str):
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors = {""}
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag in LOADED and LOADED[tag] in given and given.get("rel") not in NOT_LOADED:
            self.loaded.append(given[LOADED[tag]])


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(out)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return out


@pytest.fixture(scope="session")
def pages(site) -> dict[str, Page]:
    """By address: ``/`` is the start, ``/api/`` another."""
    found = ((file, file.relative_to(site).as_posix()) for file in site.rglob("*.html"))
    return {f"/{name.removesuffix('index.html')}": Page(file.read_text(encoding="utf-8")) for file, name in found}


def test_every_page_is_built(pages):
    written = {f"/{file.stem}/" for file in (ROOT / "docs").glob("*.md") if file.stem != "index"}
    assert {"/", *written} <= set(pages)


def test_links_lead_to_a_page_and_an_anchor(site, pages):
    broken = []
    for address, page in pages.items():
        for link in page.links:
            parts = urlsplit(urljoin(address, link))
            if parts.scheme or parts.netloc:
                continue
            path = parts.path.removeprefix("/hierpets")  # where 404.html expects the site
            there = pages.get(path)
            missing = there is None and not (site / path.lstrip("/")).is_file()
            if missing or (there is not None and unquote(parts.fragment) not in there.anchors):
                broken.append(f"{address}: {link}")
    assert broken == []


def test_no_page_asks_another_host(site, pages):
    assert [url for page in pages.values() for url in page.loaded if urlsplit(url).netloc] == []
    styles = {file.name: file.read_text(encoding="utf-8") for file in site.rglob("*.css")}
    assert styles
    asked = re.compile(r"(?:url\(|@import\s+)[\"']?(?:https?:)?//")
    assert [name for name, text in styles.items() if asked.search(text)] == []


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="session")
def address(site) -> Iterator[str]:
    """The site on a plain server of files."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.browser
@pytest.mark.parametrize("width", [360, pytest.param(1280, marks=pytest.mark.slow)])
def test_pages_fit_their_screen(chromium, address, width):
    page = chromium.new_page(viewport={"width": width, "height": 800})
    too_wide = []
    for name in WIDE:
        page.goto(f"{address}/{name}")
        if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
            too_wide.append(name)
    page.close()
    assert too_wide == []


@pytest.mark.browser
def test_search_finds_a_setting_and_asks_no_other_host(chromium, address):
    page = chromium.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{address}/")
    page.click(".md-search__input")
    page.type(".md-search__input", "layer_decay")
    page.wait_for_selector(".md-search-result__item a[href*='settings/']", state="attached")
    page.close()
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []
