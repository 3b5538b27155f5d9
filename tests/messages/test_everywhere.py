"""The language of a prediction, wherever it is asked for."""

import json
import re

import pytest
from click.testing import CliRunner

import hierpets
from hierpets.cli.deploy.predict import command
from hierpets.errors import ConfigError, DataError
from hierpets.messages.catalogue import speaking
from hierpets.page import INDEX, page_texts, render_page
from hierpets.serve.feedback import FeedbackStore
from hierpets.taxonomy import Taxonomy

WORDS = (" the ", " and ", " this ", "This ", " is ", " with ", " breed", " coat", "almost", "most likely")


@pytest.fixture(scope="module")
def predictor(tiny_run):
    return hierpets.load(tiny_run / "bundle")


def text(*arguments):
    return CliRunner().invoke(command, [*map(str, arguments)]).stdout


@pytest.mark.parametrize("language", ["de", "es", "fr", "pt"])
def test_a_recommendation_has_no_english_left(predictor, language):
    photos = ["demo:dog/pug/1", "demo:cat/siamese/2", "demo:rabbit/-/1", "demo:dog/poodle/3"]
    for prediction in predictor.predict(photos, language=language, explain=True):
        record = prediction.record()
        said = [record.recommendation.reason, record.reason, *(out.reason for out in record.recommendation.ruled_out)]
        assert [word for word in WORDS if any(word in sentence for sentence in said)] == [], said


def test_keys_and_labels_of_a_record_never_change(predictor):
    english, german = (predictor("demo:dog/pug/1", language=language).to_json() for language in ("en", "de"))
    assert english["recommendation"]["reason"] != german["recommendation"]["reason"]
    for record in (english, german):
        record.pop("reason")
        record["recommendation"].pop("reason")
        for one in record["recommendation"]["ruled_out"]:
            one.pop("reason")
    assert english == german


def test_predict_speaks_german(tiny_run):
    bundle = tiny_run / "bundle"
    # With the species said, no model is too unsure of it to write a number.
    said = text("--model", bundle, "--language", "de", "--only", "dog", "demo:dog/pug/1", "missing.jpg")
    known, missing = said.splitlines()
    assert re.match(r"demo:dog/pug/1: Hund 100,0\u00a0%, .* \d+(,\d)?\u00a0%", known)
    assert "Fehler: " in missing


def test_predict_in_json_stays_english_in_its_keys(tiny_run):
    said = json.loads(text("--model", tiny_run / "bundle", "--format", "json", "--language", "de", "demo:dog/pug/1"))
    assert set(said[0]) == set(
        json.loads(text("--model", tiny_run / "bundle", "--format", "json", "demo:dog/pug/1"))[0]
    )


def test_only_takes_names_in_any_language(predictor):
    mask = predictor("demo:dog/pug/1", only="Mops", alpha=0.5)
    assert mask.decision.top[0][0] == ("dog", "pug")
    with pytest.raises(ConfigError, match="'Einhorn' is not a species or a breed"):
        predictor("demo:dog/pug/1", only="Einhorn")


def test_feedback_of_a_german_label_is_saved_under_the_label_of_the_model(tmp_path):
    import numpy as np

    store = FeedbackStore(tmp_path, Taxonomy(tree={"cat": (), "dog": ("german_shepherd", "pug")}), max_bytes=10**6)
    photo = np.zeros((32, 32, 3), np.uint8)
    assert store.save(photo, "Hund", "Deutscher Schäferhund").startswith("dog/german_shepherd/")
    assert store.save(photo, "Katze", "").startswith("cat/")
    assert store.save(photo, "dog", "Wolpertinger").startswith("dog/wolpertinger/")


def test_grow_knows_a_breed_by_its_other_names():
    from hierpets.growing.names import check_names

    new, known = (Taxonomy(tree={"dog": breeds}) for breeds in (("mops",), ("german_shepherd", "pug")))
    with pytest.raises(DataError, match="'mops' is another name of 'pug', which the bundle knows; rename the folder"):
        check_names(new, known)


@pytest.mark.parametrize("language", ["en", "de", "es", "fr", "pt"])
def test_the_page_is_translated_text_by_text(language):
    english = INDEX.read_text(encoding="utf-8")
    page = render_page(language, served=True)
    assert f'<html lang="{language}">' in page
    with speaking(language):
        assert (
            len(
                page_texts(
                    page.partition('<script type="application/json"')[0]
                    + "</head>"
                    + page.partition("</script>\n</head>")[2]
                )
            )
            > 0
        )
    left = {shown for shown in page_texts(english) if f">{shown}<" in page} - {"hierpets", "API", "Shampoo", "Site"}
    assert (left == set()) == (language != "en"), left


def test_the_data_of_the_page_cannot_close_its_script():
    block = render_page("de", served=True).partition('id="messages">')[2].partition("</script>")[0]
    assert "<" not in block
    assert json.loads(block)["names"]["dog"]["pug"] == "Mops"
