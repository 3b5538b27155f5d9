"""Numbers and names as people write them."""

import pytest

from hierpets.text import join_words, likelihood, percent, pretty


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


def test_join_words_names_the_first_few():
    assert join_words(["a"]) == "a" and join_words(["a", "b", "c"]) == "a, b and c"
    assert join_words(list("abcd"), most=2) == "a, b and 2 more" and join_words(list("ab"), most=2) == "a and b"
