"""The report in a real Chromium: no error, no request, nothing that sticks out of a phone."""

from __future__ import annotations

import numpy as np
import pytest

from hierpets.evaluation.metrics.compute import evaluate_predictions
from hierpets.evaluation.predictions import OODPredictions
from hierpets.evaluation.report.writing import write_evaluation
from hierpets.taxonomy import Taxonomy

pytestmark = pytest.mark.browser

TREE = {
    "cat": tuple(f"cat_breed_with_a_rather_long_name_{i}" for i in range(12)),
    "dog": (*(f"dog_{i}" for i in range(24)), "<script>document.title='owned'<\\script>"),
    "onewordwithoutanybreakthatisfarlongerthanaphoneiswide" * 2: (),
}


@pytest.fixture(scope="module")
def report(tmp_path_factory, make_predictions):
    out = tmp_path_factory.mktemp("browser")
    predictions = make_predictions(Taxonomy(tree=TREE), 600)
    rng = np.random.default_rng(0)
    ood = OODPredictions(("a", "b"), np.array([2.0, 3.0]), np.array(["unknown", "unknown"]), ("car", "x" * 80))
    metrics = evaluate_predictions(
        predictions, ood=ood, about={"bundle": "runs/" + "deep/" * 30, "data": "photos"}, resamples=20
    )
    write_evaluation(out, predictions, metrics, photos=lambda path: rng.integers(0, 255, (240, 320, 3), np.uint8))
    return (out / "report.html").as_uri()


@pytest.fixture
def open_page(chromium, report):
    """Open the report at a width; gives the page and what it complained of or asked for."""
    opened = []

    def at(width: int, scheme: str = "light"):
        page = chromium.new_page(viewport={"width": width, "height": 844}, color_scheme=scheme)
        heard: list[str] = []
        page.on("console", lambda message: heard.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: heard.append(f"error: {error}"))
        page.on("request", lambda request: heard.append(request.url) if not request.url.startswith("data:") else None)
        page.goto(report)
        opened.append(page)
        return page, heard

    yield at
    for page in opened:
        page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_report_gives_no_console_error_and_makes_no_request(open_page, report, scheme):
    page, heard = open_page(1280, scheme)
    page.wait_for_load_state("networkidle")
    assert heard == [report]
    assert page.title() == "hierpets: evaluation"


def test_report_shows_figures_to_their_last_label_on_a_phone(open_page):
    page, _ = open_page(360)
    cut = page.evaluate(
        """[...document.querySelectorAll('figure:not(.wide) .scroll')]
            .filter(e => e.scrollWidth > e.clientWidth).map(e => e.ariaLabel)"""
    )
    assert not [title for title in cut if not title.startswith("Confusion matrix")]  # they grow with their classes


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_report_does_not_scroll_sideways(open_page, width):
    page, _ = open_page(width)
    for details in page.query_selector_all("summary"):
        details.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    sticking_out = page.evaluate(
        """width => [...document.querySelectorAll('body *')]
            .filter(e => !e.closest('.scroll') && e.getBoundingClientRect().right > width + 1)
            .map(e => e.tagName + ': ' + e.textContent.slice(0, 40))""",
        width,
    )
    assert sticking_out == []


def test_report_figures_scroll_inside_their_own_frame(open_page):
    page, _ = open_page(390)
    frames = page.evaluate("[...document.querySelectorAll('.scroll')].map(e => [e.scrollWidth, e.clientWidth])")
    assert any(inside > shown for inside, shown in frames)
    assert all(shown <= 390 for _, shown in frames)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_report_text_stands_out_from_its_ground(open_page, scheme):
    """WCAG 2 AA: a contrast of 4.5 for every color of text, on the page and on a card."""
    page, _ = open_page(1280, scheme)
    names = ("ink", "muted", "bad", "good", "warn", "series-0")
    colors = page.evaluate(
        "names => names.map(n => getComputedStyle(document.documentElement).getPropertyValue('--' + n))",
        [*names, "bg", "panel"],
    )
    *texts, ground, panel = map(luminance, colors)
    for name, text in zip(names, texts, strict=True):
        for under in (ground, panel):
            bright, dark = max(text, under), min(text, under)
            assert (bright + 0.05) / (dark + 0.05) >= 4.5, (name, scheme)


def luminance(color: str) -> float:
    channels = np.array([int(color.strip()[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_report_figures_follow_the_theme(open_page):
    inks = []
    for scheme in ("light", "dark"):
        page, _ = open_page(1280, scheme)
        inks.append(page.evaluate("getComputedStyle(document.querySelector('svg text')).fill"))
    assert inks[0] != inks[1]


def test_report_prints_with_every_table_open(open_page):
    page, _ = open_page(1280)
    assert page.pdf(format="A4")[:5] == b"%PDF-"
    page.emulate_media(media="print")
    # The browser may draw a frame before it lays the page out anew.
    page.wait_for_function("document.querySelector('details table').checkVisibility({contentVisibilityAuto: true})")
