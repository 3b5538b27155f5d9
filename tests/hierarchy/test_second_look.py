"""Which photos are looked at again, and what both looks say together."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hierpets.hierarchy.calibration import Temperatures
from hierpets.hierarchy.outputs import Calibration, Outputs
from hierpets.hierarchy.probabilities import joint_probabilities
from hierpets.hierarchy.second_look import both_looks, is_doubtful
from hierpets.taxonomy import Taxonomy

TREE = Taxonomy(tree={"cat": ("siamese", "bengal"), "dog": ("pug",), "rabbit": ()})
LOGITS = st.floats(-20, 20)
PLAIN = Calibration(TREE, Temperatures(), "conditional")


def outputs(n=4):
    shapes = (n, 3), (n, 4), (n, 4)
    return st.builds(Outputs, *(arrays(np.float64, shape, elements=LOGITS) for shape in shapes))


@given(outputs(), outputs(2))
def test_only_photos_that_are_looked_at_again_change_and_both_looks_count_the_same(first, second):
    found = both_looks(first, second, rows=np.array([3, 1]))
    for one, given_, closer in zip(found, first, second, strict=True):
        np.testing.assert_array_equal(one[[0, 2]], given_[[0, 2]])
        np.testing.assert_allclose(one[[3, 1]], (given_[[3, 1]] + closer) / 2)


@given(outputs())
def test_a_second_look_that_says_the_same_changes_nothing(first):
    for one, same in zip(both_looks(first, first, np.arange(4)), first, strict=True):
        np.testing.assert_array_equal(one, same)


@given(outputs(1), outputs(1))
def test_both_looks_together_are_the_geometric_mean_of_what_each_holds_for_probable(first, second):
    both = both_looks(first, second, np.array([0]))
    one, other, joint = (joint_probabilities(o.species, o.leaf, TREE, combiner="flat") for o in (first, second, both))
    mean = np.sqrt(one * other)
    np.testing.assert_allclose(joint, mean / mean.sum(), atol=1e-9)


def test_a_photo_leaves_doubt_where_no_breed_is_more_probable_than_not():
    """However sure a species without breeds is: it is told from other species, not from what is no pet."""
    species = np.array([[9.0, 0.0, 0.0], [9.0, 0.0, 0.0], [0.0, 0.0, 9.0], [0.1, 0.0, 0.0]])
    leaf = np.array([[9.0, 0.0, 0.0, 0.0]] * 4)
    listed = np.array([[0.0, 0.9, 0.9, 1.0], [0.0, 0.3, 0.9, 1.0], [0.0, 0.3, 0.3, 1.0], [0.0, 1.0, 1.0, 1.0]])
    outputs = Outputs(species, leaf, listed)
    assert is_doubtful(outputs, PLAIN, pet_threshold=-1).tolist() == [False, True, True, True]
    nothing = Outputs(*(array[:0] for array in outputs))
    assert not is_doubtful(nothing, PLAIN, pet_threshold=-1).size


def test_photos_that_are_surely_pets_or_surely_none_leave_no_doubt():
    n = 5
    scores = np.full((n, 4), 0.1)
    scores[:, 0] = [-4.5, -3.5, 0.0, 3.5, 4.5]
    outputs = Outputs(np.zeros((n, 3)), np.zeros((n, 4)), scores)
    assert is_doubtful(outputs, PLAIN, pet_threshold=0).tolist() == [False, True, True, True, False]
