"""Names of species and breeds, and what else they are called."""

import re
import tracemalloc

import pytest

from hierpets.bundle.layout import released_bundle
from hierpets.bundle.manifest import read_manifest
from hierpets.data.demo.breeds import BREEDS as DEMO
from hierpets.data.labeled.consistency import folded
from hierpets.messages.breeds import breed_names, find_label, local_name, plain, read_names
from hierpets.messages.catalogue import LANGUAGES, speaking
from hierpets.plugin.imagenet import BREEDS as PRETRAINED

TAXONOMY = read_manifest(released_bundle()).taxonomy
LABELS = {(leaf.species, leaf.breed) for leaf in TAXONOMY.leaves}


def test_every_breed_of_the_released_model_and_the_demo_set_has_a_name_in_every_language():
    names = read_names()
    for species, breed in LABELS | set(DEMO):
        assert set(names[species, breed].names) == set(LANGUAGES), (species, breed)
    for species in {species for species, _ in DEMO}:
        assert set(names[species, None].plurals) == set(LANGUAGES) - {"en"}


def test_names_cannot_be_changed_from_outside():
    with pytest.raises(TypeError, match="does not support item assignment"):
        read_names()["dog", "pug"] = read_names()["dog", None]


@pytest.mark.parametrize("language", [language for language in LANGUAGES if language != "en"])
def test_no_two_breeds_of_a_model_are_shown_alike(language):
    shown = [read_names()[leaf.species, leaf.breed].names[language][0] for leaf in TAXONOMY.leaves]
    assert len(set(shown)) == len(shown)


def test_every_other_name_finds_its_own_breed_and_no_other():
    known = list(TAXONOMY.tree["dog"])
    for (species, breed), names in read_names().items():
        if (species, breed) in LABELS and species == "dog":
            for name in (*names.own, *names.further):
                assert find_label(name, known, "dog") == breed, name


def test_the_names_of_pretrained_classes_are_found():
    for breed in {breed for breeds in PRETRAINED.values() for breed in breeds}:
        assert find_label(breed.label, TAXONOMY.tree[breed.species], breed.species) == breed.label


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("Deutscher Schäferhund", "german_shepherd"),
        ("deutscher schaferhund", "german_shepherd"),
        ("Alsatian", "german_shepherd"),
        ("Pastor-alemão", "german_shepherd"),
        ("BERGER ALLEMAND", "german_shepherd"),
        ("German-Shepherd", "german_shepherd"),
        ("VBO:0200577", "german_shepherd"),
        ("Deutscher Wolfspitz", "keeshond"),
        ("Mops", "pug"),
        ("labrador", "labrador_retriever"),
        ("Greyhound", None),
        ("unicorn", None),
        ("", None),
    ],
)
def test_find_label(name, label):
    assert find_label(name, TAXONOMY.tree["dog"], "dog") == label


def test_breeds_have_identifiers_of_their_own():
    listed = [read_names()[leaf.species, leaf.breed].vbo for leaf in TAXONOMY.leaves]
    known = [vbo for vbo in listed if vbo]
    assert all(re.fullmatch(r"VBO:0[12]00\d{3}|VBO:0201\d{3}", vbo) for vbo in known)
    assert len(set(known)) == len(known) >= len(listed) - 1


def test_find_label_knows_labels_that_are_other_names_themselves():
    for name in ("german_shepherd", "Deutscher Schäferhund"):
        assert find_label(name, ["alsatian", "pug"], "dog") == "alsatian"


def test_find_label_does_not_guess_between_two():
    assert find_label("Labrador", ["labrador", "labrador_retriever"]) is None


def test_local_name_follows_the_language():
    assert local_name("dog", "pug") is None
    with speaking("de"):
        assert local_name("dog", "pug") == "Mops"
        assert local_name("dog") == "Hund"
        assert local_name("dog", "a_breed_of_ones_own") is None


def test_breed_names_for_the_page():
    assert breed_names("en") == {}
    table = breed_names("fr")
    assert (table["dog"][""], table["dog"]["*"], table["dog"]["pug"]) == ("chien", "chiens", "Carlin")


def test_plain_ignores_case_accents_and_hyphens():
    assert plain(" São-Bernardo_dog ") == "sao bernardo dog"


@pytest.mark.parametrize("spelled", [plain, folded])
def test_a_name_of_any_length_is_not_kept(spelled):
    """Strangers send them to a server by the thousand, and some letters become eighteen."""
    assert spelled("x") == "x"
    tracemalloc.start()
    try:
        for number in range(20):
            assert spelled(f"{number}" + "\ufdfa" * 5000).startswith(f"{number}")
        assert tracemalloc.get_traced_memory()[0] < 100_000
    finally:
        tracemalloc.stop()
