"""The page of the released bundle and real photos; prints what docs/web.md says."""

import io
import json
import os
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from helpers.browser import ARGUMENTS
from helpers.static_server import serving_folder
from helpers.web_page import as_python, records, told
from PIL import Image

import hierpets
from hierpets.data.listing import find_photos
from hierpets.export.web.export import MAX_BYTES, export_page

KINDS = ("pets", "elsewhere", "unseen-breeds", "horses", "not-pets")
AT_ONCE = 50
LARGE = 40  # photos of the size that phones take, which a browser decodes slowly


@pytest.fixture(scope="module")
def chromium(chromium, chromium_path):
    """One that compiles as people's browsers do: how long it takes is told."""
    browser = chromium.browser_type.launch(executable_path=chromium_path, args=ARGUMENTS)
    yield browser
    browser.close()


def spread(folder, most):
    found = [path for kind in KINDS for path in find_photos(folder / kind)]
    return [Path(path).read_bytes() for path in found[:: max(1, len(found) // most)]]


def from_phone(content):
    """The same photo in the size of 12 megapixels, which is decoded at a reduction."""
    photo = Image.open(io.BytesIO(content)).convert("RGB")
    larger, made = 3024 / min(photo.size), io.BytesIO()
    photo.resize((round(photo.width * larger), round(photo.height * larger)), Image.Resampling.BICUBIC).save(
        made, "JPEG", quality=88
    )
    return made.getvalue()


def in_pieces(page, contents):
    pieces = (contents[start : start + AT_ONCE] for start in range(0, len(contents), AT_ONCE))
    return [record for piece in pieces for record in records(page, piece)]


def names(record):
    return {breed["label"] for breed in record["breeds"]}


def compared(theirs, ours):
    """How often and how closely the page and Python agree on photos that both can read."""
    pairs = [pair for pair in zip(theirs, ours, strict=True) if all(record["level"] for record in pair)]
    off = [abs(a["top"][0]["probability"] - b["top"][0]["probability"]) for a, b in pairs if a["top"] and b["top"]]
    products = [[one["recommendation"]["product"] for one in pair] for pair in pairs]
    return {
        "photos": len(pairs),
        "same level and leaf": sum(told(a) == told(b) for a, b in pairs),
        "same set": sum(names(a) == names(b) for a, b in pairs),
        "same product": sum(a == b for a, b in products),
        "product on the page alone": sum(a is not None and b is None for a, b in products),
        "probability off: median, 99th percentile, most": [*np.percentile(off, [50, 99]).tolist(), max(off)],
        "levels": Counter(b["level"] for _, b in pairs),
        "sets": sum(bool(b["breeds"]) for _, b in pairs),
        "asked again about": sum(b["second_look"] is not None for _, b in pairs),
    }


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.browser
@pytest.mark.timeout(3600)
def test_released_page_answers_real_photos_as_python_does(onnxruntime_web, tmp_path, visit, data_dir):
    contents = spread(data_dir, int(os.environ.get("HIERPETS_WEB_PHOTOS", "400")))
    large = [from_phone(content) for content in spread(data_dir, LARGE)]
    exported = export_page(None, tmp_path / "out", runtime=onnxruntime_web)
    with serving_folder(exported.path) as url:
        page = visit(url)
        page.set_default_timeout(0)
        start = time.perf_counter()
        records(page, contents[:1])
        first, start = time.perf_counter() - start, time.perf_counter()
        theirs = in_pieces(page, contents)
        each = (time.perf_counter() - start) / len(contents)
        theirs_large = in_pieces(page, large)
    found = {}
    for precision in ("f32", "auto"):
        predictor = hierpets.load(precision=precision)
        found[precision] = compared(theirs, as_python(predictor, contents))
        found[f"{precision}, of 12 megapixels"] = compared(theirs_large, as_python(predictor, large))
    print(json.dumps({"bytes": exported.size, "first answer s": first, "a photo s": each, **found}, indent=2))
    assert exported.size < MAX_BYTES and (exported.path / "model/LICENSE").is_file()
    assert found["f32"]["photos"] >= 0.99 * len(contents)
    assert found["f32"]["same level and leaf"] >= 0.995 * found["f32"]["photos"]
    assert found["f32"]["same product"] >= 0.99 * found["f32"]["photos"]
    large = found["f32, of 12 megapixels"]
    assert large["same level and leaf"] >= 0.9 * large["photos"]
