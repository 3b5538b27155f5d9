import time

import pytest
from pydantic import ValidationError

from hierpets.errors import ConfigError
from hierpets.inference.options import PredictOptions
from hierpets.taxonomy import Taxonomy

TAXONOMY = Taxonomy(tree={"cat": ("birman", "chinchilla"), "dog": ("beagle", "chinchilla"), "rabbit": ()})


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["dog"], [0, 0, 1, 1, 0]),
        (["birman"], [1, 0, 0, 0, 0]),
        (["dog/chinchilla", "rabbit"], [0, 0, 0, 1, 1]),
    ],
)
def test_restriction_of_species_and_breeds(names, expected):
    assert PredictOptions(only=names).restriction(TAXONOMY).leaves.astype(int).tolist() == expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["dog"], [0, 0, 0]),
        (["birman"], [1, 0, 0]),
        (["birman", "cat/chinchilla"], [1, 0, 0]),
        (["birman", "cat", "rabbit", "beagle"], [0, 1, 0]),
    ],
)
def test_a_species_is_closed_where_its_breeds_are_named_and_not_itself(names, expected):
    assert PredictOptions(only=names).restriction(TAXONOMY).closed.astype(int).tolist() == expected


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("beagel", "did you mean 'beagle'"),
        ("Heilige Birme", "did you mean 'Heilige Birma'"),
        ("chinchilla", "use cat/chinchilla or dog/chinchilla"),
        ("dog,cat", "only: 'dog,cat' is not a species or a breed of this model; give several names one by one"),
    ],
)
def test_restriction_names_what_is_unknown_or_ambiguous(name, message):
    with pytest.raises(ConfigError, match=message):
        PredictOptions(only=[name]).restriction(TAXONOMY)


def test_predict_options_without_names_mask_nothing():
    assert PredictOptions().restriction(TAXONOMY) is None
    assert PredictOptions(only=[]).restriction(TAXONOMY) is None


def test_predict_options_take_one_name_for_a_list():
    assert PredictOptions(only="dog").only == ("dog",)


def test_predict_options_of_words_replaces_single_options():
    strict = PredictOptions(alpha=0.01, top_k=5)
    assert PredictOptions.of(strict, {"top_k": 2}) == PredictOptions(alpha=0.01, top_k=2)
    assert PredictOptions.of(None, {}) == PredictOptions()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"alpa": 0.1}, r"alpa: unknown key \(did you mean 'alpha'\?\); known: alpha, only, max_level"),
        ({"alpha": float("nan")}, "alpha: expected"),
        ({"alpha": 1.5}, "alpha: expected less than 1, got 1.5"),
        ({"top_k": 0}, "top_k: expected at least 1, got 0"),
        ({"max_level": "leaf"}, "max_level: expected one of breed, species, got 'leaf'"),
        ({"only": 3}, "only: expected a list"),
    ],
)
def test_predict_options_of_says_what_is_wrong(words, message):
    with pytest.raises(ConfigError, match=message):
        PredictOptions.of(None, words)


@pytest.mark.parametrize("given", ["b.jpg", {"alpha": 0.01}])
def test_predict_options_of_refuses_what_are_no_options(given):
    with pytest.raises(ConfigError, match=f"expected PredictOptions, got {type(given).__name__}.*given as a list"):
        PredictOptions.of(given, {})


def test_predict_options_of_names_every_problem_at_once():
    with pytest.raises(ConfigError) as caught:
        PredictOptions.of(None, {"alpha": 2, "top_k": -1})
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == ["alpha", "top_k"]


def test_restriction_bears_many_and_long_names():
    taxonomy = Taxonomy(tree={"dog": tuple(f"breed_{n}" for n in range(120))})
    start = time.perf_counter()
    assert PredictOptions(only=["breed-7"] * 20_000).restriction(taxonomy).leaves.sum() == 1
    with pytest.raises(ConfigError) as caught:
        PredictOptions(only=["shepherd " * 10_000]).restriction(taxonomy)
    assert len(str(caught.value)) < 200
    assert time.perf_counter() - start < 2


def test_predict_options_are_frozen():
    with pytest.raises(ValidationError):
        PredictOptions().alpha = 0.1


def test_restriction_suggests_the_nearest_of_labels_and_other_names():
    taxonomy = Taxonomy(tree={"dog": ("briard", "labrador_retriever")})
    with pytest.raises(ConfigError, match="did you mean 'Labrador'"):
        PredictOptions(only=["labradr"]).restriction(taxonomy)


def test_restriction_of_a_species_that_a_breed_is_called_as():
    taxonomy = Taxonomy(tree={"cat": ("birman", "siamese"), "dog": ("cat", "pug")})
    assert PredictOptions(only=["cat"]).restriction(taxonomy).leaves.tolist() == [True, True, False, False]
    assert PredictOptions(only=["dog/cat"]).restriction(taxonomy).leaves.tolist() == [False, False, True, False]
