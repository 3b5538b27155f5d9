"""The breeds of ImageNet: every class once, under Oxford-IIIT Pet's labels, and with a coat in the catalog."""

from __future__ import annotations

import re
from collections import Counter

from hierpets.plugin.imagenet import BREEDS
from hierpets.recommend.loading import load_catalog

EVERY_BREED = [breed for breeds in BREEDS.values() for breed in breeds]
SNAKE_CASE = re.compile(r"[a-z]+(_[a-z]+)*")

# Of the 37 breeds of Oxford-IIIT Pet.
IN_IMAGENET = {
    "cat": "egyptian_mau persian siamese",
    "dog": "american_pit_bull_terrier basset_hound beagle boxer chihuahua english_cocker_spaniel english_setter "
    "german_shorthaired great_pyrenees japanese_chin keeshond leonberger miniature_pinscher newfoundland "
    "pomeranian pug saint_bernard "
    "samoyed scottish_terrier staffordshire_bull_terrier wheaten_terrier yorkshire_terrier",
}
NOT_IN_IMAGENET = {
    "cat": "abyssinian bengal birman bombay british_shorthair maine_coon ragdoll russian_blue sphynx",
    "dog": "american_bulldog havanese shiba_inu",
}


def names(species: str) -> list[str]:
    """Labels and synonyms of a species; a breed that is several classes counts once."""
    breeds = [breed for breed in set(EVERY_BREED) if breed.species == species]
    return [name for breed in breeds for name in (breed.label, *breed.synonyms)]


def test_breeds_are_all_classes_of_dogs_and_cats():
    assert list(BREEDS) == [*range(151, 269), *range(281, 286)]
    assert [index for index, (breed, *_) in BREEDS.items() if breed.species == "cat"] == [*range(281, 286)]


def test_breeds_are_named_as_imagenet_names_the_class():
    from timm.data import ImageNetInfo

    imagenet, unknown = ImageNetInfo(), []
    for index, breeds in BREEDS.items():
        given = {name for breed in breeds for name in (breed.label, *breed.synonyms)}
        for name in imagenet.index_to_description(index).lower().split(", "):
            if re.sub("[ -]", "_", name) not in given:
                unknown.append((breeds[0].label, name))
    assert unknown == [("eskimo_dog", "husky")]  # most people mean the Siberian one


def test_breeds_have_names_in_snake_case_that_mean_one_breed():
    for species in ("cat", "dog"):
        assert [name for name in names(species) if not SNAKE_CASE.fullmatch(name)] == []
        assert [name for name, count in Counter(names(species)).items() if count > 1] == []
    labels = Counter(breed.label for breed in EVERY_BREED)
    assert [(label, count) for label, count in labels.items() if count > 1] == [("domestic_cat", 2)]


def test_breeds_have_the_labels_of_oxford_where_it_has_the_breed():
    for species, labels in IN_IMAGENET.items():
        assert set(labels.split()) <= {breed.label for breed in EVERY_BREED if breed.species == species}
    for species, labels in NOT_IN_IMAGENET.items():
        assert set(labels.split()) & set(names(species)) == set()


def test_breeds_have_a_coat_in_the_catalog():
    species = load_catalog().species
    assert [breed.label for breed in EVERY_BREED if breed.label not in species[breed.species].breeds] == []
