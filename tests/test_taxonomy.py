import numpy as np
import pytest
from pydantic import ValidationError

from hierpets.errors import DataError
from hierpets.taxonomy import UNKNOWN_LEAF, Leaf, Taxonomy

RAGGED = Taxonomy(tree={"cat": ("birman", "siamese"), "rabbit": (), "dog": ("pug",)})


def test_leaves_stand_species_by_species_and_a_bare_species_is_one_leaf():
    assert RAGGED.leaves == (Leaf("cat", "birman"), Leaf("cat", "siamese"), Leaf("rabbit", None), Leaf("dog", "pug"))
    assert RAGGED.slices == (slice(0, 2), slice(2, 3), slice(3, 4))
    np.testing.assert_array_equal(RAGGED.leaf_species, [0, 0, 1, 2])


def test_leaf_index_knows_labels_without_a_breed():
    assert RAGGED.leaf_index("cat", "siamese") == 1
    assert RAGGED.leaf_index("cat", None) == UNKNOWN_LEAF
    assert RAGGED.leaf_index("rabbit", None) == 2


@pytest.mark.parametrize(
    ("species", "breed", "hint"), [("dgo", "pug", "did you mean 'dog'"), ("cat", "birmann", "did you mean 'birman'")]
)
def test_unknown_names_are_refused_with_a_suggestion(species, breed, hint):
    with pytest.raises(DataError, match=hint):
        RAGGED.leaf_index(species, breed)


def test_one_breed_name_may_live_in_two_species():
    taxonomy = Taxonomy.from_pairs([("dog", "chinchilla"), ("cat", "chinchilla"), ("cat", None)])
    assert taxonomy.tree == {"cat": ("chinchilla",), "dog": ("chinchilla",)}
    assert taxonomy.leaf_index("dog", "chinchilla") == 1


def test_order_survives_json():
    assert Taxonomy.model_validate_json(RAGGED.model_dump_json()) == RAGGED
    assert Taxonomy.model_validate_json(RAGGED.model_dump_json()).species == ("cat", "rabbit", "dog")


@pytest.mark.parametrize("tree", [{}, {" ": ()}, {"cat": ("a", "a")}, {"cat": ("a/b",)}, {"cat": ("a\x1b[1m",)}])
def test_unsound_trees_are_refused(tree):
    with pytest.raises(ValidationError):
        Taxonomy(tree=tree)


def test_without_breeds_every_species_is_a_leaf():
    bare = RAGGED.without_breeds()
    assert not bare.has_breeds
    assert bare.leaves == (Leaf("cat", None), Leaf("rabbit", None), Leaf("dog", None))


def test_taxonomies_are_equal_by_their_classes_and_the_order_of_these():
    one, same = (Taxonomy(tree={"cat": ("birman",), "dog": ()}) for _ in range(2))
    assert one.leaf_species is not None  # derived, and kept
    assert same.leaf_species is not None
    assert one == same
    assert hash(one) == hash(same)
    assert one != Taxonomy(tree={"dog": (), "cat": ("birman",)})
    assert one != {"cat": ("birman",), "dog": ()}


def test_owner_is_the_species_of_a_breed():
    tree = Taxonomy(tree={"cat": ("birman",), "dog": ("cat", "pug")})
    assert [tree.owner(name) for name in ("pug", "cat", "horse")] == ["dog", None, None]
