"""The audit's page in a real Chromium: no error, no request, nothing wider than a phone."""

import pytest

from hierpets.auditing.balance import ClassBalance, SuggestedSampler
from hierpets.auditing.findings import Audit, AuditFinding, count_kinds
from hierpets.auditing.kinds import KINDS
from hierpets.auditing.page import render_page
from hierpets.data.records import PhotoRecord

pytestmark = pytest.mark.browser
LONG = "a" * 90
ODD = "<img src=x onerror=document.title='owned'>"


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    photos = tuple(PhotoRecord(f"demo:dog/{breed}/1", "dog", ODD, "train") for breed in ("pug", "husky", "golden"))
    gone = PhotoRecord(f"/{LONG}/{LONG}.jpg", LONG, ODD, "val")
    findings = tuple(AuditFinding.of(kind, (*photos, gone), f"{ODD} {LONG}") for kind in KINDS for _ in range(2))
    levels = {
        "species": ClassBalance(counts={"dog": 3, LONG: 0}, imbalance_ratio=None),
        "breed": ClassBalance(counts={f"dog/{ODD}": 3}, imbalance_ratio=None),
    }
    audit = Audit(
        data=f"photos/{LONG}",
        backbone="tiny",
        photos=4,
        splits={"train": 3, "val": 1},
        levels=levels,
        sampler=SuggestedSampler(name="shuffle", reason=ODD),
        summary=count_kinds(findings),
        findings=findings,
        notes=(ODD,),
    )
    file = tmp_path_factory.mktemp("audit") / "audit.html"
    file.write_text(render_page(audit), encoding="utf-8")
    return file.as_uri()


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_render_page_is_quiet_and_fits_in_a_browser(chromium, page_file, width, scheme):
    page = chromium.new_page(viewport={"width": width, "height": 844}, color_scheme=scheme)
    heard = []
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("request", lambda request: heard.append(request.url) if not request.url.startswith("data:") else None)
    page.goto(page_file)
    assert heard == [page_file]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.title().startswith("hierpets: audit of")
    shown = page.evaluate("[...document.images].map(image => image.complete && image.naturalWidth > 0)")
    assert len(shown) == 6 * len(KINDS)
    assert all(shown)
    assert page.evaluate("[...document.querySelectorAll('a')].every(a => document.querySelector(a.hash))")
    page.close()
