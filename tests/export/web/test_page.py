"""An exported page in Chromium, from a plain static server: it answers as Python does, and asks nobody."""

import re
import shutil

import cv2
import numpy as np
import pytest
from helpers.color_server import encode
from helpers.static_server import serving_folder
from helpers.web_page import PageDetector, as_python, drop, records, show, told, upload

import hierpets
from hierpets.bundle.layout import MANIFEST
from hierpets.bundle.manifest import manifest_text, read_manifest
from hierpets.data.photos import read_photo
from hierpets.export.web.export import export_page
from hierpets.hierarchy.calibration import Temperatures
from hierpets.regions.detections import MIN_SCORE

WIDTHS = pytest.mark.parametrize("width", [390, 1280])
PETS = [f"demo:{leaf}/{n}" for leaf in ("cat/siamese", "dog/dalmatian", "rabbit/-", "dog/pug") for n in range(900, 906)]
FEW = PETS[::3]

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def tiny_page(tiny_run, onnxruntime_web, tmp_path_factory):
    """The page of the tiny bundle."""
    out, registry = tmp_path_factory.mktemp("page") / "out", tiny_run.parent / "registry.yaml"
    return export_page(tiny_run / "bundle", out, runtime=onnxruntime_web, registry=registry).path


def test_page_answers_as_python_without_asking_anybody(tiny_page, tiny_run, visit):
    contents = [encode(read_photo(photo), ".png") for photo in FEW]
    predictor = hierpets.load(tiny_run / "bundle", registry=tiny_run.parent / "registry.yaml", precision="f32")
    with serving_folder(tiny_page) as url:
        page = visit(url)
        show(page, upload("photo.jpg", contents[0]))  # by now all is loaded
        asked = []
        page.context.on("request", lambda request: asked.append(request.url))
        show(page, upload("photo.jpg", contents[0]), upload("photo.jpg", contents[0]))
    # The server is gone.
    ours, theirs = as_python(predictor, contents), records(page, contents)
    assert [address for address in asked if not address.startswith("blob:")] == []
    assert [*map(told, theirs)] == [*map(told, ours)]
    assert len({*map(told, ours)}) > 2
    for a, b in zip(theirs, ours, strict=True):
        assert [leaf["breed"] for leaf in a["top"]] == [leaf["breed"] for leaf in b["top"]]
        assert np.allclose([x["probability"] for x in a["top"]], [x["probability"] for x in b["top"]], atol=1e-4)


def test_page_cannot_send_a_photo_anywhere(tiny_page, visit):
    with serving_folder(tiny_page) as url, serving_folder(tiny_page) as other:
        page = visit(url, expecting="Content Security Policy")
        show(page, upload("photo.jpg", encode(read_photo(PETS[0]))))
        script = "async (address) => fetch(address, {mode: 'no-cors'}).then(() => 'sent', () => 'refused')"
        assert page.evaluate(script, other) == "refused"
        (worker,) = page.workers
        assert worker.evaluate(script, other) == "refused"


@WIDTHS
def test_page_shows_an_answer_with_its_shampoo(tiny_page, visit, width):
    with serving_folder(tiny_page) as url:
        page = visit(url, width)
        assert "never leave this device" in page.locator(".note").first.inner_text()
        assert page.locator("nav").count() == 0
        card = show(page, upload("Minka.jpg", encode(read_photo("demo:cat/siamese/900"))))
        assert card.locator(".answer").inner_text()
        assert card.locator(".product .name").inner_text() and card.locator(".reason").inner_text()
        assert card.locator(".species .label").first.inner_text() == "Cat"
        assert page.locator(".open-feedback").is_hidden() and page.locator(".look").is_hidden()
        assert "hierpets" in page.locator("#model").inner_text()
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_page_answers_several_photos_each_with_its_own(tiny_page, tiny_run, visit):
    with serving_folder(tiny_page) as url:
        page = visit(url)
        contents = [encode(read_photo(photo), ".png") for photo in PETS[::8]]
        apart = [records(page, [content])[0] for content in contents]
        assert [*map(told, records(page, contents))] == [*map(told, apart)]
        show(page, *(upload(f"{n}.png", content) for n, content in enumerate(contents)))
        assert page.locator(".card .file").all_inner_texts() == [f"{n}.png" for n in range(len(contents))]


NO_IMAGE = "This file is no image, or of a kind that this browser cannot show."
WRONG = [
    (b"not a photo", NO_IMAGE),
    (b"", NO_IMAGE),
    (b"%PDF-1.7 ...", NO_IMAGE),
    (cv2.imencode(".png", np.zeros((20000, 30), np.uint8))[1].tobytes(), "30 x 20,000 pixels, above the limit"),
    (cv2.imencode(".png", np.zeros((9000, 9000), np.uint8))[1].tobytes(), "9,000 x 9,000 pixels, above the limit"),
]


def test_page_says_what_is_wrong_with_files_and_answers_the_next(tiny_page, visit):
    with serving_folder(tiny_page) as url:
        page = visit(url)
        cards = show(
            page,
            *(upload("photo.jpg", content) for content, _ in WRONG),
            upload("photo.jpg", encode(read_photo(PETS[0]))),
        )
        for number, (_, problem) in enumerate(WRONG):
            assert cards.nth(number).locator(".answer").inner_text() == "Photo cannot be read"
            assert problem in cards.nth(number).locator(".detail").inner_text()
        assert cards.last.get_attribute("data-level") in ("breed", "species", "unknown")


def test_page_answers_the_photos_in_a_folder_that_is_dropped(tiny_page, visit, tmp_path):
    (tmp_path / "cats").mkdir()
    for name in ("b.png", "a.png"):
        (tmp_path / "cats" / name).write_bytes(encode(read_photo(PETS[0]), ".png"))
    with serving_folder(tiny_page) as url:
        page = visit(url)
        drop(page, tmp_path / "cats")
        page.locator(".card[data-level]").nth(1).wait_for()
        assert page.locator(".card .file").all_inner_texts() == ["a.png", "b.png"]


@pytest.mark.parametrize("name", ["model", "detector"])
def test_page_says_that_the_model_cannot_be_loaded_and_tries_again(tiny_page, visit, name):
    with serving_folder(tiny_page) as url:
        page = visit(url, expecting="404", missing=f"**/{name}-*.onnx")
        photo = upload("photo.jpg", encode(read_photo(PETS[0])))
        cards = show(page, photo)
        assert re.search(rf": {name}-\w+\.onnx is missing or damaged", cards.locator(".detail").inner_text())
        page.context.unroute(f"**/{name}-*.onnx")
        cards.locator(".retry").click()
        page.locator('.card[data-level]:not([data-level="error"])').wait_for()


@pytest.mark.parametrize("name", ["model.en.json", "model-*.onnx", "ort.wasm"])
def test_page_names_the_file_that_a_server_answered_with_another(tiny_page, chromium, name):
    with serving_folder(tiny_page) as url, chromium.new_context(locale="en-US") as context:
        context.route(f"**/{name}", lambda route: route.fulfill(body="<!doctype html>"))
        page = context.new_page()
        page.goto(url)
        cards = show(page, upload("photo.jpg", encode(read_photo(PETS[0]))))
        wrong = re.escape(name).replace(r"\*", r"\w+")
        assert re.search(rf": {wrong} is missing or damaged\.$", cards.locator(".detail").inner_text())


def test_page_says_that_a_file_is_damaged_which_is_json_of_something_else(tiny_page, chromium):
    with serving_folder(tiny_page) as url, chromium.new_context(locale="en-US") as context:
        context.route("**/model.en.json", lambda route: route.fulfill(body="{}"))
        page = context.new_page()
        page.goto(url)
        photo = upload("photo.jpg", encode(read_photo(PETS[0])))
        for _ in range(2):
            cards = show(page, photo)
            assert cards.last.locator(".detail").inner_text().endswith(": model.en.json is missing or damaged.")


def test_page_says_that_it_has_changed_where_its_scripts_are_old(tiny_page, tmp_path, visit):
    folder = tmp_path / "page"
    shutil.copytree(tiny_page, folder)
    known = folder / "model/model.en.json"
    with serving_folder(folder) as url:
        page = visit(url)
        known.write_text(re.sub(r'"scripts":"\w+"', '"scripts":"0123456789abcdef"', known.read_text("utf-8")), "utf-8")
        page.reload()
        cards = show(page, upload("photo.jpg", encode(read_photo(PETS[0]))))
        assert cards.locator(".detail").inner_text() == "The page has changed; reload it."


@pytest.mark.parametrize(
    ("gone", "problem"),
    [
        ("self.OffscreenCanvas", "The model cannot be started: the browser is too old"),
        ("OffscreenCanvas.prototype.getContext", "The model cannot answer this photo."),
    ],
)
def test_page_does_not_call_a_photo_damaged_because_the_browser_cannot_draw(tiny_page, chromium, gone, problem):
    with serving_folder(tiny_page) as url, chromium.new_context(locale="en-US") as context:

        def old(route):
            answer = route.fetch()
            route.fulfill(response=answer, body=f"delete {gone};\n{answer.text()}")

        context.route("**/decode.js", old)
        page = context.new_page()
        page.goto(url)
        cards = show(page, upload("photo.jpg", encode(read_photo(PETS[0]))))
        assert cards.locator(".detail").inner_text().startswith(problem)
        assert cards.locator(".retry").is_visible()


def test_page_says_why_it_cannot_answer_as_a_file(tiny_page, chromium):
    page = chromium.new_page()
    page.goto(tiny_page.joinpath("index.html").as_uri())
    assert "opened as a file" in page.get_by_role("alert").inner_text()
    page.close()


def test_page_speaks_the_language_of_the_browser(tiny_page, visit):
    with serving_folder(tiny_page) as url:
        page = visit(url, locale="de-AT")
        assert page.url.endswith("/index.de.html")
        card = show(page, upload("photo.jpg", encode(read_photo("demo:cat/siamese/900"))))
        assert card.locator(".species .label").first.inner_text() == "Katze"
        assert "It has" not in card.locator(".reason").inner_text()
        assert "Gerät" in page.locator(".note").first.inner_text()
        page.goto(f"{url}/?language=fr#results")
        page.wait_for_url(f"{url}/index.fr.html?language=fr#results")
        page.goto(f"{url}/?language=en")
        assert page.locator("html").get_attribute("lang") == "en"
        card = show(page, upload("photo.jpg", encode(read_photo("demo:cat/siamese/900"))))
        assert card.locator(".species .label").first.inner_text() == "Cat"


def test_page_uses_threads_where_a_server_allows_it(tiny_page, visit):
    with serving_folder(tiny_page, isolated=True) as url:
        page = visit(url)
        assert page.evaluate("crossOriginIsolated")
        cards = show(page, upload("photo.jpg", encode(read_photo(PETS[0]))))
        assert cards.get_attribute("data-level") in ("breed", "species", "unknown")


def test_page_asks_networks_in_turn(cascade, onnxruntime_web, tmp_path, visit):
    bundle, registry = cascade.folder, cascade.registry.path
    page_folder = export_page(bundle, tmp_path / "out", runtime=onnxruntime_web, registry=registry).path
    assert len([*page_folder.glob("model/early0-*.onnx")]) == 1
    contents = [encode(read_photo(photo), ".png") for photo in FEW]
    predictor = hierpets.load(bundle, registry=registry, precision="f32")
    with serving_folder(page_folder) as url:
        theirs = records(visit(url), contents)
    ours = as_python(predictor, contents)
    assert [(*told(one), one["stage"]) for one in theirs] == [(*told(one), one["stage"]) for one in ours]
    assert {one["stage"] for one in ours} == {0, 1}


def far_away(photo, left):
    """A photo as a part of a larger one."""
    pixels = cv2.resize(read_photo(photo), (120, 120), interpolation=cv2.INTER_AREA)
    whole = np.full((360, 480, 3), 200, np.uint8)
    whole[150:270, left : left + 120] = pixels
    return whole


def is_close_call(photo, detector):
    """Whether a rounding decides if the detector sees a pet."""
    likeliest = detector(read_photo(photo)).probability(("cat", "dog")).max()
    return abs(likeliest - MIN_SCORE) < 0.01


def check_marked(cards, part):
    """Two cards: the first photo was looked at again, and shows where, the second was not."""
    first, second = cards.all()
    assert second.locator(".look").is_hidden()
    first.locator(".look").click()
    first.locator(".boxes .edge").wait_for()
    photo, edge = (first.locator(one).bounding_box() for one in (".preview", ".boxes .edge"))
    assert edge["x"] == pytest.approx(photo["x"] + part["left"] * photo["width"], abs=4)
    assert edge["width"] == pytest.approx(part["width"] * photo["width"], abs=6)
    assert first.locator(".overlay").is_hidden()
    first.locator(".look").click()
    assert first.locator(".boxes").is_hidden()


def test_page_looks_again_as_python(tiny_run, onnxruntime_web, tmp_path, visit):
    bundle, registry = tmp_path / "bundle", tiny_run.parent / "registry.yaml"
    shutil.copytree(tiny_run / "bundle", bundle)
    drawn = [encode(far_away(photo, 15 * number), ".png") for number, photo in enumerate(PETS[::2])]
    detector = PageDetector()
    contents = [photo for photo in drawn if not is_close_call(photo, detector)]
    before = hierpets.load(bundle, registry=registry, precision="f32", recommend=False).predict(contents)
    manifest = read_manifest(bundle)
    unsure = {
        "second_look": True,
        "temperatures": Temperatures(species=1e3, breeds=dict.fromkeys(manifest.taxonomy.species, 1e3)),
        "policy": manifest.policy.model_copy(update={"pet": float(np.median([one.pet_score for one in before]))}),
    }
    (bundle / MANIFEST).write_bytes(manifest_text(manifest.model_copy(update=unsure)).encode())
    predictor = hierpets.load(bundle, registry=registry, precision="f32")
    page_folder = export_page(bundle, tmp_path / "out", runtime=onnxruntime_web, registry=registry).path
    answered = list(zip(as_python(predictor, contents), contents, strict=True))
    twice, once = ([pair for pair in answered if bool(pair[0]["second_look"]) is seen] for seen in (True, False))
    ours, contents = zip(*twice[:3], *once[:2], strict=True)
    assert [bool(one["second_look"]) for one in ours] == [True] * 3 + [False] * 2
    with serving_folder(page_folder) as url:
        page = visit(url)
        cards = show(page, upload("small.png", contents[0]), upload("large.png", contents[-1]))
        check_marked(cards, ours[0]["second_look"])
    # The server is gone: the detector was loaded with the networks.
    theirs = records(page, contents)
    for a, b in zip(theirs, ours, strict=True):
        assert (a["second_look"] is None) == (b["second_look"] is None)
        if b["second_look"]:
            assert a["second_look"] == pytest.approx(b["second_look"], abs=0.01)
        assert a["scores"] == pytest.approx(b["scores"], abs=0.05)
