"""What is said in other languages: complete, with the same placeholders, and current."""

import json
import re

import pytest
from babel import Locale
from babel.numbers import format_decimal, format_percent

from hierpets.messages.catalogue import FOLDER, LANGUAGES, choose_language, current_language, number, say, speaking
from hierpets.text import likelihood
from tools.messages import TRANSLATED, english, json_text, merged, missing, placeholders, po_text, read_language

OTHERS = pytest.mark.parametrize("language", TRANSLATED)


@pytest.fixture(scope="module")
def messages():
    return english()


@OTHERS
def test_every_message_is_translated(language):
    assert [message.id for message in merged(language) if message.id and missing(message)] == []


@OTHERS
def test_files_are_current(language):
    assert (FOLDER / f"{language}.po").read_text() == po_text(merged(language)), "run python tools/messages.py"
    assert (FOLDER / f"{language}.json").read_text() == json_text(merged(language)), "run python tools/messages.py"


@OTHERS
def test_placeholders_are_those_of_the_english_message(language):
    for message in read_language(language):
        if isinstance(message.id, str):
            assert placeholders(message.string) == placeholders(message.id), message.id
        else:
            for form in message.string:
                assert placeholders(form) <= placeholders("".join(message.id)), message.id
            assert placeholders(message.string[1]) == placeholders(message.id[1]), message.id


@OTHERS
def test_there_are_two_forms_and_one_is_the_singular(language):
    """The script takes the first form where ``Intl.PluralRules`` says "one", as CLDR does, and the second elsewhere."""
    plural = Locale(language).plural_form
    assert plural(1) == "one"
    assert plural(2) != "one"
    assert read_language(language).num_plurals == 2


@OTHERS
def test_edges_of_a_message_are_kept(language):
    """Messages are put together: a space in front, a full stop at the end."""
    for message in read_language(language):
        for one, other in zip(*map(_forms, (message.id, message.string)), strict=True):
            assert one.endswith((" ", ".")) == other.endswith((" ", ".")) or not one, one
            assert one.startswith("  ") == other.startswith("  "), one


def _forms(text):
    return [text] if isinstance(text, str) else list(text)


def test_no_line_in_french_begins_with_what_ends_a_clause():
    said = [form for message in read_language("fr") if message.id for form in _forms(message.string)]
    assert [form for form in said if re.search(r"(?<!\N{NO-BREAK SPACE}):(?= )| [;?!]", form)] == []


@OTHERS
@pytest.mark.parametrize("share", [0.004, 0.41, 0.93])
def test_numbers_are_those_of_cldr(language, share):
    with speaking(language):
        assert number(f"{share:.1%}") == format_percent(share, "#,##0.0" + _percent_sign(language), locale=language)
        assert number(f"{share:.3f}") == format_decimal(share, "0.000", locale=language)
        assert likelihood(1.0) == ">" + format_percent(0.99, locale=language)


def _percent_sign(language):
    return Locale(language).percent_formats[None].pattern.removeprefix("#,##0")


def test_extraction_finds_code_script_page_and_tables(messages):
    files = set(messages.values())
    assert {"hierpets/recommend/sentences.py", "hierpets/hierarchy/decision.py", "plugins/shampoo/skin.py"} <= files
    assert {
        "hierpets/page/static/app.js",
        "hierpets/export/web/page/backend.js",
        "page/index.html",
        "plugins/shampoo/products.yaml",
    } <= files
    assert ("{count} photo", "{count} photos") in messages


def test_no_sentence_hides_inside_an_f_string():
    """Python before 3.12 gives an f-string as one token, in which no message is found."""
    from tools.messages import ROOT

    for path in [*(ROOT / "hierpets").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")]:
        hidden = re.findall(r"f\"[^\"\n]*\{say\('[^\n]*", path.read_text()) + re.findall(
            r"f'[^'\n]*\{say\(\"[^\n]*", path.read_text()
        )
        assert hidden == [], path


def test_say_is_english_unless_told_otherwise():
    assert current_language() == "en"
    assert say("a {name}", name="cat") == "a cat"
    with speaking("de"):
        assert say("a {name}", name="Katze") == "Katze"
        assert say("an own claim that nobody translated") == "an own claim that nobody translated"
    assert current_language() == "en"


def test_speaking_ends_with_an_error():
    with pytest.raises(ValueError, match="x"), speaking("fr"):
        raise ValueError("x")
    assert current_language() == "en"


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("de", "de"),
        ("de-CH,de;q=0.9,en;q=0.8", "de"),
        ("en;q=0.5, fr;q=0.9", "fr"),
        ("ja,pt-BR;q=0.7,en;q=0.6", "pt"),
        ("ja", "en"),
        ("", "en"),
        ("*", "en"),
        ("de;q=0", "en"),
        ("de;q=often,es", "es"),
        ("x" * 5000, "en"),
        (",".join(["ja"] * 100_000 + ["de"]), "en"),
    ],
)
def test_choose_language(accepted, language):
    assert choose_language(accepted) == language


@OTHERS
def test_json_is_a_table_of_texts(language):
    table = json.loads((FOLDER / f"{language}.json").read_text())
    assert all(isinstance(value, str) or len(value) == 2 for value in table.values())
    assert LANGUAGES[0] == "en"
