"""The page in a real Chromium, at the width of a phone and of a desktop."""

import os
import re
from collections import Counter
from io import BytesIO

import cv2
import numpy as np
import pytest
from helpers.color_server import encode, find_halves, make_predictor, plain, serving, side_by_side, with_exif
from helpers.web_page import drop, show, upload
from PIL import Image

from hierpets.data.labeled.index import read_index
from hierpets.inference.options import PredictOptions
from hierpets.recommend.loading import load_catalog
from hierpets.serve.settings import ServeSettings
from hierpets.text import likelihood

WIDTHS = pytest.mark.parametrize("width", [390, 1280])

pytestmark = pytest.mark.browser


def turned_by_exif(jpeg):
    """The same JPEG, to be turned a quarter by whoever shows it."""
    return with_exif(jpeg).replace(b"\x01\x12\0\x03\0\0\0\x01\0\x01", b"\x01\x12\0\x03\0\0\0\x01\0\x06")


@pytest.fixture(scope="module")
def feedback(tmp_path_factory):
    return tmp_path_factory.mktemp("feedback")


@pytest.fixture(scope="module")
def url(feedback):
    def explain(photo, options):
        return encode(255 - photo, ".png")

    predictor = make_predictor(finder=find_halves)
    with serving(predictor, ServeSettings(feedback=feedback), explainer=explain) as (url, _):
        yield url


@pytest.fixture
def visit(chromium, url):
    """Opens the page; at the end it must have had no console error and no request to another host.

    It does not move, but where a test asks for it: each click would wait until all stands still.
    """
    contexts, wrong = [], []

    def visit(width=1280, *, scheme="light", path="/", expecting=None, knows="knows", reduced_motion="reduce", **more):
        context = chromium.new_context(
            viewport={"width": width, "height": 844},
            color_scheme=scheme,
            reduced_motion=reduced_motion,
            is_mobile=width < 500,
            has_touch=width < 500,
            **more,
        )
        contexts.append(context)

        def hear(message):
            if message.type in ("error", "warning") and not (expecting and expecting in message.text):
                wrong.append(message.text)

        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", hear)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda r: None if r.url.startswith((url, "blob:")) else wrong.append(f"asked for {r.url}"))
        page.goto(url + path)
        page.locator("#about", has_text=knows if path.partition("?")[0] == "/" else "record").wait_for()
        return page

    yield visit
    for context in contexts:
        context.close()
    assert wrong == []


def correct(card, breed):
    """Send feedback about a card."""
    card.locator(".open-feedback").click()
    card.locator("[name=breed]").fill(breed)
    card.get_by_role("checkbox").check()
    card.locator("[type=submit]").press("Enter")


def focused(page):
    """The class of what has the keyboard's focus."""
    return page.evaluate("document.activeElement.className")


def fits(page):
    """Whether nothing is wider than the page; a phone's ``innerWidth`` grows with what is."""
    return page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


@WIDTHS
def test_page_shows_breed_coat_and_shampoo(visit, width):
    page = visit(width)
    assert "a cat, a dog or a horse" in page.locator("#lead").inner_text()
    card = show(page, upload("Minka.jpg", plain("siamese", (400, 600))))
    assert card.locator(".answer").inner_text() == "Siamese"
    assert "A cat." in card.locator(".detail").inner_text()
    assert card.locator(".species .label").all_inner_texts() == ["Cat"]
    assert card.locator(".breeds .label").first.inner_text() == "Siamese"
    assert "Short and close" in card.locator(".chips").inner_text()
    assert card.locator(".product .name").inner_text()
    assert "Siamese" in card.locator(".reason").inner_text()
    assert card.locator(".preview").evaluate("image => image.naturalWidth") == 600
    page.get_by_role("status").filter(has_text="Minka.jpg: Siamese.").wait_for(state="attached")  # said after a pause
    assert fits(page)


ENGLISH = re.compile(
    r"\b(the|and|this|that|with|breed|coat|photo|photos|sure|known|knows|almost|most|likely|suits|why|look|wrong|dog|cat)\b",
    re.I,
)


def everything(page):
    """What is shown, and what is read aloud."""
    heard = "Array.from(document.querySelectorAll('[aria-label], [alt], title'), e => e.ariaLabel ?? e.alt ?? e.text)"
    return [page.locator("body").inner_text(), *page.evaluate(heard)]


def test_page_has_no_english_left_in_german(visit):
    page = visit(locale="de-DE", knows="kennt")
    assert page.locator("html").get_attribute("lang") == "de"
    show(page, upload("a.jpg", plain("siamese")), upload("b.jpg", plain("a dog")), upload("c.jpg", plain("nothing")))
    shown = everything(page)
    assert "Siamkatze" in shown[0]
    assert "%" in shown[0]
    page.locator(".open-feedback").first.click()
    products = "|".join(product.name for product in load_catalog().products.values())  # they have one name everywhere
    said = re.sub(products, "", "\n".join(filter(None, [*shown, *everything(page)])))
    assert ENGLISH.findall(said) == []
    page.locator(".feedback input[name=breed]").first.fill("Siamkatze")


def test_page_writes_numbers_and_prices_as_the_language_does(visit):
    page = visit(locale="fr-FR", knows="connaît")
    card = show(page, upload("a.jpg", plain("siamese")))
    assert re.search(r"\d[\u202f\u00a0]%", card.locator(".species .value").first.inner_text())
    assert re.search(r"\d,\d\d\s€", card.locator(".price").inner_text())


def test_page_sets_a_space_before_the_colon_of_a_product_that_is_ruled_out_in_french(visit):
    page = visit(locale="fr-FR", knows="connaît")

    def rule_out(route):
        answer = route.fetch()
        (record,) = answer.json()
        record["recommendation"]["ruled_out"] = [{"product": "a", "name": "Soin", "reason": "il contient du parfum."}]
        route.fulfill(response=answer, json=[record])

    page.route("**/v1/predict", rule_out)
    card = show(page, upload("a.jpg", plain("siamese")))
    assert card.locator(".ruled li").all_inner_texts() == ["Soin\u00a0: il contient du parfum."]


def test_page_speaks_the_language_of_the_url(visit):
    page = visit(path="/?language=es", knows="conoce")
    assert page.locator("html").get_attribute("lang") == "es"
    assert page.locator("h1").inner_text() == "¿Quién es?"


def test_page_bars_are_as_long_as_the_numbers_beside_them(visit):
    card = show(visit(), upload("dog.jpg", plain("a dog")))
    shares, lengths = [], []
    for row in card.locator(".breeds li").all():
        shares.append(int(row.locator(".value").inner_text().rstrip("%")) / 100)
        track = row.locator(".track").bounding_box()["width"]
        row.page.wait_for_timeout(60)
        lengths.append(row.locator(".fill").bounding_box()["width"] / track)
    assert sum(shares) == pytest.approx(1, abs=0.02)
    assert lengths == pytest.approx(shares, abs=0.01)


def test_page_says_that_a_breed_is_uncertain(visit):
    page = visit()

    def too_many(route):
        answer = route.fetch()
        (record,) = answer.json()
        route.fulfill(response=answer, json=[record | {"breeds": [], "source": "rolled_up_to_species"}])

    page.route("**/v1/predict", too_many)
    card = show(page, upload("dog.jpg", plain("a dog")))
    assert card.locator(".answer").inner_text() == "A dog, breed uncertain"
    assert card.locator(".detail").inner_text() == "Beagle 46%, Basset Hound 42%."
    assert "All other dogs" not in card.locator(".breeds").inner_text()  # three candidates are all there are


def test_page_says_that_a_pet_is_not_recognized(visit):
    card = show(visit(), upload("car.jpg", plain("nothing")))
    assert card.locator(".answer").inner_text() == "Pet not recognized"
    assert "cats, dogs and horses" in card.locator(".detail").inner_text()
    assert "Most probable species" in card.locator(".likely").inner_text()
    assert card.locator(".product .name").inner_text() == "No recommendation"
    assert card.locator(".coat").is_hidden()


@WIDTHS
def test_page_tells_an_unreadable_file_from_its_neighbors(visit, width):
    page = visit(width)
    cards = show(
        page, upload("a.jpg", plain("siamese")), upload("torn.jpg", plain("siamese")[:300]), upload("b.txt", b"hi")
    )
    assert cards.locator(".answer").all_inner_texts() == ["Siamese", "Photo cannot be read", "Photo cannot be read"]
    assert "truncated" in cards.nth(1).locator(".detail").inner_text().lower()
    assert cards.nth(2).locator(".detail").inner_text() == "This file is not an image."
    assert cards.nth(2).locator(".no-preview").is_visible()
    assert page.locator("#summary").inner_text() == "1 cat and 2 unreadable"
    assert fits(page)


@pytest.fixture(scope="module")
def twelve_megapixels():
    """Red and full of detail, as large as a phone's, and lying on its side until its EXIF is heeded."""
    noise = np.random.default_rng(0).integers(0, 60, (3000, 4000), np.uint8)
    photo = np.full((3000, 4000, 3), (195, 10, 10), np.uint8)
    photo += cv2.GaussianBlur(noise, (3, 3), 0)[..., None]
    content = turned_by_exif(encode(photo))
    assert len(content) > 2_000_000
    return content


def test_page_shrinks_twelve_megapixels_and_keeps_them_upright(visit, twelve_megapixels):
    page = visit(390)
    card = show(page, upload("phone.jpg", twelve_megapixels))
    assert card.locator(".answer").inner_text() == "Siamese"
    assert card.locator(".preview").evaluate("image => [image.naturalWidth, image.naturalHeight]") == [1200, 1600]
    sent = page.evaluate("performance.getEntriesByType('resource').filter(r => r.name.endsWith('/v1/predict')).length")
    assert sent == 1


def test_page_shrinks_a_large_webp_and_keeps_it_upright(visit):
    exif, file = Image.Exif(), BytesIO()
    exif[0x0112] = 6
    noise = np.random.default_rng(0).integers(0, 60, (900, 1800, 3), np.uint8)
    photo = Image.fromarray(noise + np.array((195, 10, 10), np.uint8))
    photo.save(file, "WEBP", lossless=True, quality=0, method=0, exif=exif)
    assert len(file.getvalue()) > 1_500_000
    card = show(visit(), upload("photo.webp", file.getvalue()))
    assert card.locator(".answer").inner_text() == "Siamese"
    assert card.locator(".preview").evaluate("image => [image.naturalWidth, image.naturalHeight]") == [800, 1600]


@WIDTHS
def test_page_shows_twelve_photos_as_a_gallery(visit, width):
    page = visit(width)
    colors = ["siamese", "a dog", "nothing"] * 4
    cards = show(page, *(upload(f"{n}.jpg", plain(color, (60 + n, 90))) for n, color in enumerate(colors)))
    assert page.locator("#results-title").inner_text() == "12 photos"
    assert page.locator("#summary").inner_text() == "4 cats, 4 dogs and 4 not recognized"
    expected = {"siamese": "Siamese", "a dog": "Beagle or Basset Hound", "nothing": "Pet not recognized"}
    assert cards.locator(".answer").all_inner_texts() == [expected[color] for color in colors]
    assert fits(page)
    page.locator("#clear").click()
    assert page.locator(".card").count() == 0
    assert page.locator("#results").is_hidden()


def test_page_takes_photos_that_are_dropped_and_pasted(visit):
    page = visit()
    page.evaluate(
        """async bytes => {
            const give = async (kind, init) => {
                const carried = new DataTransfer();
                carried.items.add(new File([new Uint8Array(bytes)], `${kind}.jpg`, { type: "image/jpeg" }));
                document.querySelector("#drop").dispatchEvent(init(kind, carried));
                await new Promise((resolve) => setTimeout(resolve));
            };
            const drag = (kind, dataTransfer) => new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true });
            await give("dragover", drag);
            await give("drop", drag);
            await give("paste", (kind, clipboardData) => new ClipboardEvent(kind, { clipboardData, bubbles: true }));
        }""",
        list(plain("siamese")),
    )
    page.locator('.card[aria-busy="false"]').nth(1).wait_for()
    assert page.locator(".file").all_inner_texts() == ["drop.jpg", "paste.jpg"]
    assert not page.locator("#drop.over").count()


def test_page_opens_folders_that_are_dropped(visit, tmp_path):
    within = tmp_path / "pets" / "dogs" / "old"
    within.mkdir(parents=True)
    for path in (tmp_path / "pets/1.jpg", within / "2.jpg", within / "._2.jpg", tmp_path / "alone.jpg"):
        path.write_bytes(plain("siamese"))
    (within / "notes.txt").write_text("no photo")
    page = visit()
    drop(page, tmp_path / "pets", tmp_path / "alone.jpg")
    page.locator(".card[data-level=breed]").nth(2).wait_for()
    assert page.locator(".file").all_inner_texts() == ["1.jpg", "2.jpg", "alone.jpg"]


GONE = "This file cannot be read: it is a folder, or was moved or changed."


def test_page_says_that_a_folder_without_photos_is_one(visit, tmp_path):
    page, folder = visit(expecting="ERR_FILE"), tmp_path / "empty"
    folder.mkdir()
    drop(page, folder)
    card = page.locator(".card[data-level=error]")
    card.wait_for()
    assert (card.locator(".file").inner_text(), card.locator(".detail").inner_text()) == ("empty", GONE)
    assert card.locator(".retry").is_hidden()


def test_page_says_that_a_photo_is_gone_or_was_changed_while_it_waited(visit, tmp_path):
    page, held = visit(expecting="ERR_"), []
    photos = [tmp_path / f"{number}.jpg" for number in range(5)]
    for photo in photos:
        photo.write_bytes(plain("siamese"))
    page.route("**/v1/predict", lambda route: held.append(route))
    page.set_input_files("#pick", photos)
    while len(held) < 3:
        page.wait_for_timeout(10)
    photos[3].unlink()
    photos[4].write_bytes(plain("a dog", (50, 70)))
    os.utime(photos[4], (2e9, 2e9))
    for route in held:
        route.continue_()
    page.locator('.card[aria-busy="false"]').nth(4).wait_for()
    assert page.locator(".detail").all_inner_texts()[3:] == [GONE, GONE]
    assert page.locator(".card[data-level=breed]").count() == 3


def test_page_offers_the_camera_on_a_phone(visit):
    page = visit(390)
    assert page.get_by_text("Take a photo").is_visible()
    assert page.locator("#camera").get_attribute("capture") == "environment"


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_page_shows_and_hides_where_the_model_looked(visit, motion):
    page = visit(reduced_motion=motion)
    card = show(page, upload("cat.jpg", plain("siamese")))
    button = card.locator(".look")
    button.click()
    card.locator(".overlay").wait_for()
    assert button.get_attribute("aria-pressed") == "true"
    assert card.locator(".overlay").evaluate("image => image.decode().then(() => image.naturalWidth)") == 60
    button.click()
    assert card.locator(".overlay").is_hidden()


@pytest.mark.parametrize(("button", "route"), [(".look", "**/v1/explain"), (".each", "**/v1/predict?regions=true")])
def test_page_shows_why_a_view_cannot_be_had(visit, button, route):
    page = visit(expecting="503")
    card = show(page, upload("cat.jpg", plain("siamese")))
    assert card.locator(".view-problem").is_hidden()
    problem = {"title": "Unavailable", "detail": "the server is stopping"}
    page.route(route, lambda sent: sent.fulfill(status=503, json=problem))
    card.locator(button).click()
    assert card.locator(".view-problem:visible").inner_text() == "The server is stopping"
    page.unroute(route)
    card.locator(button).click()
    card.locator(f"{button}[aria-pressed=true]").wait_for()
    assert card.locator(".view-problem").is_hidden()


@WIDTHS
def test_page_draws_each_pet_and_names_it(visit, width):
    page = visit(width)
    card = show(page, upload("two.jpg", encode(side_by_side("siamese", "a dog"))))
    assert card.locator(".regions").is_hidden()
    button = card.locator(".each")
    button.click()
    card.locator(".regions").wait_for()
    assert [line.split()[0] for line in card.locator(".regions strong").all_inner_texts()] == ["Siamese", "Beagle"]
    photo = card.locator(".photo").bounding_box()
    left, right = (edge.bounding_box() for edge in card.locator(".boxes .edge").all())
    assert left["x"] == pytest.approx(photo["x"], abs=2)
    assert right["x"] == pytest.approx(photo["x"] + photo["width"] / 2, abs=2)
    assert left["height"] == pytest.approx(photo["width"] / 2, abs=4)
    assert fits(page)
    button.click()
    assert card.locator(".regions").is_hidden()
    assert card.locator(".boxes").is_hidden()


def test_page_shows_where_it_looked_again(visit):
    def small(route):
        response = route.fetch()
        box = {"left": 0.25, "top": 0.5, "width": 0.5, "height": 0.25}
        route.fulfill(response=response, json=[record | {"second_look": box} for record in response.json()])

    page = visit()
    page.route("**/v1/predict", small)
    card = show(page, upload("two.jpg", encode(side_by_side("siamese", "a dog"))))
    assert card.locator(".boxes").is_hidden()
    card.locator(".look").click()
    card.locator(".boxes .edge").wait_for()
    photo, edge = (card.locator(one).bounding_box() for one in (".photo", ".boxes .edge"))
    assert edge["x"] == pytest.approx(photo["x"] + photo["width"] / 4, abs=2)
    assert edge["width"] == pytest.approx(photo["width"] / 2, abs=4)
    assert card.locator(".boxes text").count() == 0, "one that is not one of several has no number"
    card.locator(".each").click()
    card.locator(".boxes text").first.wait_for()
    assert card.locator(".boxes .edge").count() == 2
    card.locator(".each").click()
    assert card.locator(".boxes .edge").count() == 1
    card.locator(".look").click()
    assert card.locator(".boxes").is_hidden()


def test_page_says_that_no_pet_stands_out(visit):
    card = show(visit(), upload("cat.jpg", plain("siamese", (50, 50))))
    card.locator(".each").click()
    card.locator(".regions").wait_for()
    assert card.locator(".regions li").all_inner_texts() == ["No pet stands out in this photo."]
    assert card.locator(".regions li").evaluate("item => getComputedStyle(item).listStyleType") == "none"


def test_page_sends_feedback_only_with_consent(visit, feedback):
    page = visit(390)
    card = show(page, upload("dog.jpg", plain("a dog")))
    card.get_by_text("That’s wrong").click()
    assert card.get_by_label("Species").input_value() == "dog"
    card.get_by_label("Breed").fill("English Setter")
    card.get_by_text("Send").click()
    assert card.locator(".feedback").is_visible()  # the browser asks for the tick
    card.get_by_role("checkbox").check()
    card.get_by_text("Send").click()
    card.locator(".feedback").wait_for(state="hidden")
    assert card.locator(".thanks").inner_text() == "Thank you. Saved as dog, english setter."
    assert ("dog", "english_setter") in {(r.species, r.breed) for r in read_index(str(feedback)).records}


def test_page_says_in_its_language_why_a_name_is_refused(visit):
    card = show(visit(expecting="422", locale="de-DE", knows="kennt"), upload("dog.jpg", plain("a dog")))
    correct(card, "St. Bernhard-Mix / Pudel")
    card.locator(".said:not(:empty)").wait_for()
    assert card.locator(".said").inner_text().startswith("Ein Name hat bis zu 60 Buchstaben, Ziffern, Leerzeichen")
    assert card.locator(".feedback").is_visible()


def test_page_asks_what_a_photo_shows_that_it_takes_for_no_pet(visit):
    def take_for_no_pet(route):
        response = route.fetch()
        nothing = {"level": "unknown", "species": None, "breed": None, "top": [], "source": "not_a_known_pet"}
        route.fulfill(response=response, json=[record | nothing for record in response.json()])

    page = visit()
    page.route("**/v1/predict*", take_for_no_pet)
    card = show(page, upload("dog.jpg", plain("a dog")))
    card.get_by_text("That’s wrong").click()
    assert card.get_by_label("Species").input_value() == ""
    assert card.get_by_text("Send").is_visible()


def test_page_works_with_the_keyboard(visit):
    page = visit()
    show(page, upload("a.jpg", plain("siamese")), upload("b.jpg", plain("siamese", (50, 50))))
    page.locator("body").press("Tab")
    reached = []
    for _ in range(22):
        reached.append(
            page.evaluate(
                "document.activeElement.id || document.activeElement.className || document.activeElement.tagName"
            )
        )
        page.keyboard.press("Tab")
    for target in ("skip", "brand", "pick", "clear", "remove", "look", "each", "SUMMARY", "button quiet open-feedback"):
        assert target in reached, reached
    page.locator(".remove").first.press("Enter")
    assert page.locator(".card").count() == 1
    assert page.evaluate("document.activeElement.className") == "remove"


@pytest.mark.parametrize("kind", ["look", "each"])
def test_page_keeps_the_focus_on_a_button_that_waits(visit, kind):
    page = visit()
    card = show(page, upload("cat.jpg", plain("siamese")))
    held = []
    page.route(re.compile("/v1/(explain|predict)"), lambda route: held.append(route))
    card.locator(f".{kind}").press("Enter")
    card.locator(f".{kind}[aria-disabled=true]").wait_for()
    assert focused(page) == kind
    page.keyboard.press("Enter")  # which asks for nothing more
    while not held:  # the button says that it waits before the request is on its way
        page.wait_for_timeout(10)
    held[0].continue_()
    card.locator(f".{kind}[aria-pressed=true]").wait_for()
    assert (focused(page), len(held)) == (kind, 1)


def test_page_moves_the_focus_to_the_thanks_for_feedback(visit):
    page = visit()
    card = show(page, upload("cat.jpg", plain("siamese")))
    correct(card, "Bengal")
    card.locator(".thanks").wait_for()
    assert focused(page) == "thanks"


def test_page_lets_a_photo_be_removed_while_it_is_analyzed_and_under_boxes(visit):
    page = visit()
    card = show(page, upload("two.jpg", encode(side_by_side("siamese", "a dog"))))
    card.locator(".each").click()
    card.locator(".boxes").wait_for()
    card.locator(".remove").click()
    page.route("**/v1/predict", lambda route: None)  # never answered
    page.set_input_files("#pick", [upload("cat.jpg", plain("siamese"))])
    page.locator(".card[aria-busy=true] .remove").click()
    assert page.locator(".card").count() == 0


def test_page_shows_a_photo_by_its_map_where_the_browser_cannot_show_it(visit):
    card = show(visit(), upload("scan.tif", encode(side_by_side("siamese"), ".tif")))
    assert card.locator(".no-preview").is_visible()
    card.locator(".look").click()
    card.locator(".overlay").wait_for()
    assert card.locator(".no-preview").is_hidden()


def test_page_draws_every_bar_in_forced_colors(visit):
    page = visit(forced_colors="active")
    card = show(page, upload("dog.jpg", plain("a dog")))
    card.evaluate("card => card.querySelector('.breeds li:last-child').classList.add('rest')")
    look = "fills => fills.map(fill => getComputedStyle(fill).backgroundColor + getComputedStyle(fill).opacity)"
    for source in ("breed", "rolled_up_to_species"):
        card.evaluate("(card, source) => { card.dataset.source = source; }", source)
        assert len(set(card.locator(".fill").evaluate_all(look))) == 1


def test_page_shows_reasons_of_one_photo_and_folds_those_of_several(visit):
    page = visit()
    cards = show(page, upload("car.jpg", plain("nothing")))
    assert cards.locator(".reason").is_visible()
    cards = show(page, upload("cat.jpg", plain("siamese")))
    assert cards.locator(".reason:visible").count() == 0
    cards.first.get_by_text("Why none").click()
    assert cards.first.locator(".reason").is_visible()
    cards.last.locator(".remove").click()
    assert cards.locator(".reason").is_visible()


@pytest.mark.parametrize(
    ("language", "one", "more"),
    [
        ("es", "1 no reconocida y 1 ilegible", "2 no reconocidas y 2 ilegibles"),
        ("fr", "1 non reconnue et 1 illisible", "2 non reconnues et 2 illisibles"),
        ("pt", "1 não reconhecida e 1 ilegível", "2 não reconhecidas e 2 ilegíveis"),
    ],
)
def test_page_counts_as_the_language_does(visit, language, one, more):
    page = visit(path=f"/?language={language}", knows="")
    for summary in (one, more):
        show(page, upload("car.jpg", plain("nothing")), upload("b.txt", b"hi"))
        assert page.locator("#summary").inner_text() == summary


def test_page_shows_a_file_name_as_text_alone(visit):
    name = "<img src=x onerror=alert(1)>" + "w" * 100 + ".jpg"
    page = visit(390)
    card = show(page, upload(name, plain("siamese")))
    assert card.locator(".file").inner_text() == name
    assert fits(page)
    show(page, upload(name, plain("siamese")))
    assert card.first.locator(".headline").bounding_box()["width"] < 390


def test_page_says_nothing_of_breeds_that_were_not_asked_for(chromium):
    settings = ServeSettings(options=PredictOptions(max_level="species"))
    with serving(make_predictor(), settings) as (url, _):
        page = chromium.new_page()
        page.goto(url)
        page.locator("#about", has_text="knows").wait_for()
        card = show(page, upload("cat.jpg", plain("siamese")))
        said, bars = card.inner_text(), card.locator(".species > *, .breeds > *").all_inner_texts()
        page.close()
    assert "A cat" in said
    assert len(bars) == 1 and "Cat" in bars[0], "of the species alone"
    assert "uncertain" not in said and "breed we cannot tell" not in said


def test_page_does_not_move_for_those_who_ask(visit):
    for motion, moves in (("no-preference", True), ("reduce", False)):
        page = visit(reduced_motion=motion)
        show(page, upload("cat.jpg", plain("siamese")))
        assert (page.evaluate("document.getAnimations().length") > 0) == moves


def test_page_asks_a_busy_server_again(visit):
    page = visit(expecting="status of 429")
    asked = Counter()

    def refuse_once(route):
        place = route.request.url.partition("/v1/")[2]
        asked[place] += 1
        if asked[place] > 1:
            return route.continue_()
        return route.fulfill(status=429, headers={"retry-after": "0.01"}, json={"detail": "busy"})

    page.route("**/v1/*", refuse_once)
    card = show(page, upload("cat.jpg", plain("siamese")))
    assert card.locator(".answer").inner_text() == "Siamese"
    card.locator(".look").click()
    card.locator(".overlay").wait_for()
    card.locator(".each").click()
    card.locator(".regions").wait_for()
    correct(card, "Siamese")
    card.locator(".thanks").wait_for()
    assert asked == {"predict": 2, "explain": 2, "predict?regions=true": 2, "feedback": 2}


def test_page_can_retry_when_the_server_is_gone(visit):
    page = visit(expecting="ERR_FAILED")
    page.route("**/v1/predict", lambda route: route.abort())
    cards = show(page, upload("cat.jpg", plain("siamese")), upload("dog.jpg", plain("a dog")))
    assert cards.first.locator(".detail").inner_text() == "The server cannot be reached."
    assert page.locator("#summary").inner_text() == "2 without an answer"
    page.unroute("**/v1/predict")
    cards.first.get_by_text("Try again").press("Enter")
    assert focused(page) == "answer"
    cards.first.locator(".findings").wait_for()
    assert cards.first.locator(".answer").inner_text() == "Siamese"
    assert page.locator("#summary").inner_text() == "1 cat and 1 without an answer"
    assert focused(page) == "answer"


def test_page_does_not_offer_to_send_a_photo_again_that_is_too_large(visit):
    page = visit(expecting="status of 413")
    problem = {"title": "The upload is too large", "detail": "expected at most 64 MB, got 70 MB"}
    page.route("**/v1/predict", lambda route: route.fulfill(status=413, json=problem))
    card = show(page, upload("cat.jpg", plain("siamese")))
    assert card.locator(".answer").inner_text() == "Photo cannot be read"
    assert card.locator(".detail").inner_text() == "Expected at most 64 MB, got 70 MB."
    assert card.locator(".retry").is_hidden()


def test_page_counts_pets_of_a_model_that_it_could_not_ask_about(visit):
    page = visit(expecting="ERR_FAILED")
    page.route("**/v1/model", lambda route: route.abort())
    page.reload()
    show(page, upload("a.jpg", plain("siamese")), upload("b.jpg", plain("siamese")))
    assert page.locator("#summary").inner_text() == "2 cats"


@pytest.mark.parametrize(
    ("width", "scheme"),
    [
        (390, "light"),
        (1280, "dark"),
        pytest.param(390, "dark", marks=pytest.mark.slow),
        pytest.param(1280, "light", marks=pytest.mark.slow),
    ],
)
def test_page_has_no_accessibility_violation(visit, width, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()

    # What differs in the dark are the colors.
    options = {"resultTypes": ["violations"]} | ({"runOnly": ["color-contrast"]} if scheme == "dark" else {})

    def check(page, state):
        page.wait_for_timeout(100)
        results = axe.run(page, options=options)
        assert results.violations_count == 0, f"{state}: {results.generate_report()}"

    page = visit(width, scheme=scheme)
    check(page, "empty")
    show(page, upload("cat.jpg", plain("siamese")))
    check(page, "one answer")
    page.get_by_text("That’s wrong").click()
    check(page, "feedback")
    show(page, upload("dog.jpg", plain("a dog")), upload("car.jpg", plain("nothing")), upload("bad.jpg", b"bad"))
    page.locator(".look").first.click()
    page.locator(".overlay").first.wait_for()
    check(page, "gallery")
    check(visit(width, scheme=scheme, path="/docs"), "docs")


@pytest.mark.data
def test_page_shows_real_photos_with_their_results(visit, data_dir):
    photos = sorted((data_dir / "pets").glob("*/*/*.jpg"))[::400]
    page = visit(390)
    page.set_input_files("#pick", photos)
    page.locator('.card[aria-busy="false"]').nth(len(photos) - 1).wait_for()
    assert page.locator(".card[data-level='error']").count() == 0
    for preview in page.locator(".preview").all():
        assert preview.evaluate("image => image.decode().then(() => image.naturalWidth)") > 100
    assert fits(page)


def test_page_of_the_api_names_every_operation_option_and_problem(visit):
    from hierpets.serve.problems import CATALOG

    page = visit(path="/docs")
    page.locator(".operation").last.wait_for()  # they are drawn at once, when the description has come
    assert page.locator(".operation").count() == 7
    assert "?max_level=" in page.locator(".operation").first.inner_text()
    for kind, (status, _) in CATALOG.items():
        assert page.locator(f"#{kind}").inner_text() == f"{kind}, {status}"


def test_pages_work_behind_a_proxy_that_serves_them_below_a_path(chromium, url):
    def answer(route):
        """As a proxy that takes off the path."""
        below = route.request.url.removeprefix(f"{url}/pets/")
        if below == route.request.url:
            strayed.append(below)
        route.fulfill(response=route.fetch(url=f"{url}/{below}"))

    strayed, context = [], chromium.new_context()
    page = context.new_page()
    page.route(f"{url}/**", answer)
    page.goto(f"{url}/pets/")
    assert show(page, upload("Minka.jpg", plain("siamese"))).locator(".answer").inner_text() == "Siamese"
    page.get_by_role("link", name="API").click()
    page.locator(".operation").last.wait_for()
    assert page.locator("#example").inner_text() == f"curl -F photo=@pet.jpg {url}/pets/v1/predict"
    page.get_by_role("link", name="Photos").click()
    page.wait_for_url(f"{url}/pets/")
    page.unroute_all(behavior="wait")  # requests of the page that are still open
    context.close()
    assert strayed == []


def test_page_of_the_api_breaks_no_word_of_its_head_on_a_small_phone(visit):
    page = visit(320, path="/docs")
    heights = [link.bounding_box()["height"] for link in page.locator(".top a").all()]
    assert max(heights) < 44  # two lines of a link with its padding take 61
    assert fits(page)


def test_page_names_the_model_in_its_footer(visit):
    page = visit()
    assert page.locator("#model").inner_text().startswith("Model 1.2 (0123456789abcdef), hierpets ")


def test_page_percent_is_that_of_the_sentences_beside_it(visit):
    shares = [0.0, 0.0004, 0.0042, 0.0094, 0.0096, 0.41, 0.994, 0.996, 1.0, *np.random.default_rng(0).random(200)]
    script = "async shares => { const { percent } = await import('/static/words.js'); return shares.map(percent); }"
    assert visit().evaluate(script, shares) == [likelihood(share) for share in shares]


def test_page_calls_a_dog_of_another_breed_not_recognized(visit):
    page = visit()

    def unlike_any_breed(route):
        answer = route.fetch()
        (record,) = answer.json()
        record |= {"scores": {"pet": 3.0, "listed": 0.1}, "breeds": []}
        route.fulfill(response=answer, json=[record])

    page.route("**/v1/predict", unlike_any_breed)
    card = show(page, upload("dog.jpg", plain("a dog")))
    assert card.locator(".answer").inner_text() == "A dog, breed not recognized"
    assert card.locator(".detail").inner_text() == "Closest: Beagle."
    assert card.locator(".breeds-title").inner_text() == "Closest known breeds"


def test_page_names_the_breeds_that_an_answer_leaves_open(visit):
    card = show(visit(), upload("dog.jpg", plain("a dog")))
    assert card.locator(".answer").inner_text() == "Beagle or Basset Hound"
    assert card.locator(".detail").inner_text() == "A dog. 88% sure that it is one of these."


def test_page_says_that_a_breed_is_known_from_general_training(visit):
    page = visit()

    def pretrained(route):
        answer = route.fetch()
        (record,) = answer.json()
        record |= {"level": "breed", "breed": {"label": "whippet", "probability": 0.9, "origin": "pretrained"}}
        route.fulfill(response=answer, json=[record])

    page.route("**/v1/predict", pretrained)
    card = show(page, upload("dog.jpg", plain("a dog")))
    assert card.locator(".answer").inner_text() == "Whippet"
    assert card.locator(".detail").inner_text().endswith("Known from pretraining alone.")
