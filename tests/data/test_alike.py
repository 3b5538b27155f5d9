import pytest

from hierpets.data.labeled.alike import find_lookalikes
from hierpets.messages.breeds import read_names
from hierpets.recommend.check import listed_taxonomy
from hierpets.recommend.loading import load_catalog
from hierpets.taxonomy import Leaf, Taxonomy


def told(tree):
    return {leaf: line.partition(";")[0] for leaf, line in find_lookalikes(Taxonomy(tree=tree)).items()}


@pytest.mark.parametrize(
    ("tree", "leaf", "like"),
    [
        ({"dog": ("pug",), "dogs": ("beagle",)}, Leaf("dogs", None), "almost 'dog'"),
        ({"rabbits": ()}, Leaf("rabbits", None), "almost 'rabbit'"),
        ({"dog": ("samoyd", "samoyed")}, Leaf("dog", "samoyd"), "almost 'samoyed'"),
        ({"dog": ("golden_retriver",)}, Leaf("dog", "golden_retriver"), "almost 'golden_retriever'"),
        ({"cat": ("Siamkatze", "siamese")}, Leaf("cat", "Siamkatze"), "another name of 'siamese'"),
        ({"gecko": ("crested", "crestd")}, Leaf("gecko", "crested"), "almost 'crestd'"),
    ],
)
def test_a_class_that_is_almost_another_is_told_once(tree, leaf, like):
    assert told(tree) == {leaf: f"class {leaf} is {like}"}


def test_a_name_of_its_own_is_not_told():
    everyone = {species: tuple(b for s, b in read_names() if s == species and b) for species, _ in read_names()}
    assert not told(everyone)
    assert not find_lookalikes(listed_taxonomy(load_catalog()))
    others = ("american_bully", "german_wirehaired_pointer", "harrier", "puli", "pumi", "smooth_fox_terrier")
    rest = dict.fromkeys(("rat", "mouse", "goat", "hare", "hedgehog"), ())
    assert not told(everyone | {"dog": (*everyone["dog"], *others), "guinea_pig": ("abyssinian",)} | rest)
    assert not told({"dog": ("Mops", "alsatian")}), "names in other languages are names"
