"""Numbers and names as people write them."""

import pytest

from hierpets.text import capital, escaped, is_printable, join_words, likelihood, percent, pretty, told_apart


@pytest.mark.parametrize("text", ["", "maine_coon", "Deutscher Schäferhund", "می\u200cخواهم", "क्\u200dष", "猫"])
def test_printable_text_stays_as_it_is(text):
    assert is_printable(text)
    assert escaped(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;x\x07", r"\x1b]0;x\x07"),
        ("a\nb\tc\x9b", r"a\nb\tc\x9b"),
        ("\u202ea\u2066", r"\u202ea\u2066"),
        ("a\u2028b\u2029", r"a\u2028b\u2029"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_text_that_moves_a_cursor_or_turns_a_line_is_escaped(text, shown):
    assert not is_printable(text)
    assert escaped(text) == shown


@pytest.mark.parametrize(
    ("share", "digits", "shown"),
    [
        (0.9132, 1, "91.3%"),
        (1.0, 1, "100%"),
        (0.0, 1, "0%"),
        (0.99996, 1, ">99.9%"),
        (0.00001, 1, "<0.1%"),
        (0.996, 0, ">99%"),
        (0.5, 0, "50%"),
        (None, 1, "–"),
    ],
)
def test_percent_rounds_neither_to_all_nor_to_none(share, digits, shown):
    assert percent(share, digits) == shown


@pytest.mark.parametrize(("p", "shown"), [(1.0, ">99%"), (0.41, "41%"), (0.0042, "0.4%"), (0.0001, "<0.1%"), (0, "0%")])
def test_likelihood_is_never_certain(p, shown):
    assert likelihood(p) == shown


def test_pretty_drops_the_species_and_the_underscores():
    assert pretty("cat/british_shorthair") == "british shorthair" and pretty("rabbit") == "rabbit"


def test_only_a_breed_of_two_species_is_told_with_its_species():
    assert told_apart(["cat/angora", "house_rabbit/angora", "cat/maine_coon", "horse"]) == {
        "cat/angora": "cat angora",
        "house_rabbit/angora": "house rabbit angora",
        "cat/maine_coon": "maine coon",
        "horse": "horse",
    }


def test_capital_leaves_the_other_letters():
    assert capital("deutscher Schäferhund") == "Deutscher Schäferhund" and capital("") == ""


def test_join_words_names_the_first_few():
    assert join_words(["a"]) == "a" and join_words(["a", "b", "c"]) == "a, b and c"
    assert join_words(list("abcd"), limit=2) == "a, b and 2 more" and join_words(list("ab"), limit=2) == "a and b"
