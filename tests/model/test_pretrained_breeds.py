import numpy as np
import pytest
import torch

from hierpets.model.pretrained_breeds import PretrainedBreeds
from hierpets.plugin import Labels, PretrainedBreed, PretrainedHead
from hierpets.taxonomy import Leaf, Taxonomy

TRAINED = Taxonomy(tree={"cat": ("birman",), "dog": ("Pit-Bull", "beagle", "pug"), "rabbit": ()})
BREEDS = {
    3: (PretrainedBreed("dog", "beagle"),),
    1: (PretrainedBreed("dog", "amstaff"), PretrainedBreed("dog", "american_pit_bull", ("pit_bull",))),
    5: (PretrainedBreed("dog", "labrador", ("lab",)),),
    7: (PretrainedBreed("cat", "tabby"),),
    8: (PretrainedBreed("cat", "tabby"),),
    9: (PretrainedBreed("rabbit", "angora"),),
    11: (PretrainedBreed("horse", "sorrel"),),
}
HEAD = PretrainedHead(torch.nn.Linear(4, 12), {}, BREEDS)


def leaves(breeds: PretrainedBreeds) -> list[str]:
    return list(map(str, breeds.taxonomy.leaves))


def test_a_species_is_extended_by_the_breeds_that_match_none_of_its_own():
    found = PretrainedBreeds.of(TRAINED, HEAD, extended={"dog", "rabbit"})
    assert leaves(found) == [
        "cat/birman", "dog/Pit-Bull", "dog/amstaff", "dog/beagle", "dog/labrador", "dog/pug", "rabbit",
    ]  # fmt: skip
    assert [str(leaf) for leaf, o in zip(found.taxonomy.leaves, found.origins, strict=True) if o == "pretrained"] == [
        "dog/amstaff",
        "dog/labrador",
    ]
    assert found.trained == TRAINED.leaves
    assert [leaves(found)[c] for c in found.trained_columns] == list(map(str, TRAINED.leaves))


def test_a_class_is_shared_by_the_breeds_that_it_does_not_tell_apart_and_a_breed_has_all_its_classes():
    found = PretrainedBreeds.of(TRAINED, HEAD, extended={"cat", "dog"})
    share = {
        int(k): dict(zip(leaves(found), row.tolist(), strict=True))
        for k, row in zip(found.classes, found.shares, strict=True)
    }
    assert list(share) == [1, 3, 5, 7, 8]  # of no species without breeds, and of none that has no photos
    assert {leaf for leaf, s in share[1].items() if s} == {"dog/Pit-Bull", "dog/amstaff"}
    assert share[1]["dog/amstaff"] == share[1]["dog/Pit-Bull"] == 0.5
    assert share[7]["cat/tabby"] == share[8]["cat/tabby"] == share[3]["dog/beagle"] == 1.0
    np.testing.assert_array_equal(
        found.classes_of(np.array([leaves(found).index("cat/tabby")])), [[False] * 3 + [True] * 2]
    )


def test_without_extension_a_breed_that_no_photo_shows_has_no_share():
    found = PretrainedBreeds.of(TRAINED, HEAD)
    assert found.taxonomy == TRAINED
    assert dict(zip(found.classes.tolist(), found.shares.sum(axis=1).tolist(), strict=True)) == {
        1: 0.5,
        3: 1,
        5: 0,
        7: 0,
        8: 0,
    }
    nothing = PretrainedBreeds.of(TRAINED, None)
    assert nothing.shares.shape == (0, len(TRAINED.leaves))


def test_labels_keep_their_leaf():
    found = PretrainedBreeds.of(TRAINED, HEAD, extended={"dog"})
    labels = Labels(np.array([1, 1, 0, 2]), np.array([2, -1, 0, 4]), TRAINED.species, tuple(map(str, TRAINED.leaves)))
    again = found.relabel(labels)
    assert [again.leaf_names[leaf] if leaf >= 0 else None for leaf in again.leaf] == [
        "dog/beagle",
        None,
        "cat/birman",
        "rabbit",
    ]


def test_other_leaves_keep_what_the_head_knows_of_them():
    before = PretrainedBreeds.of(TRAINED, HEAD, extended={"dog"})
    grown = Taxonomy(tree={"dog": ("beagle", "labrador", "mix")})
    after = before.of_others(grown, {Leaf("dog", "amstaff"), Leaf("cat", "tabby")})
    assert leaves(after) == ["dog/amstaff", "dog/beagle", "dog/labrador", "dog/mix"]
    assert after.origins == ("pretrained", "trained", "trained", "trained")
    assert after.classes.tolist() == [1, 3, 5]
    assert after.shares.tolist() == [[0.5, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]
    assert set(after.class_species.tolist()) == {0}


def test_a_new_leaf_is_matched_with_a_breed_that_has_no_leaf_yet():
    before = PretrainedBreeds.of(TRAINED, HEAD)
    dogs = ("Lab", "Pit-Bull", "amstaff", "american_pit_bull", "beagle", "mix", "pug")
    grown = Taxonomy(tree=TRAINED.tree | {"dog": tuple(sorted(dogs))})
    shares = dict(zip(leaves(after := before.of_others(grown, set(), BREEDS)), after.shares.T.tolist(), strict=True))
    assert after.classes.tolist() == [1, 3, 5, 7, 8]
    assert shares["dog/Lab"] == [0, 0, 1, 0, 0]
    assert shares["dog/amstaff"] == shares["dog/Pit-Bull"] == [0.5, 0, 0, 0, 0]
    assert shares["dog/american_pit_bull"] == shares["dog/mix"] == [0] * 5  # the Pit-Bull was there before
    again = after.of_others(TRAINED, set()).of_others(grown, set(), BREEDS)
    np.testing.assert_array_equal(again.shares, after.shares)


@pytest.mark.parametrize("given", ["american pit bull", "PIT_BULL", "pit-bull", "Pít Bull"])
def test_a_name_matches_in_any_spelling(given):
    tree = Taxonomy(tree={"dog": ("x", given)})
    found = PretrainedBreeds.of(tree, HEAD, extended={"dog"})
    assert "dog/american_pit_bull" not in leaves(found)
    assert found.shares[0].sum() == 1.0
