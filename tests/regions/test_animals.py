import numpy as np
import pytest

from hierpets.regions.animals import find_candidates

NOWHERE = -20.0
SHAPE = (12, 12)


def find(*animals, extent=SHAPE, pet_threshold=-5.0, between=NOWHERE):
    """The boxes that are found where (row, column, height of the pet score, species, direction of the features) are
    animals of three places' radius.
    """
    pet, species, features = np.full(SHAPE, between), np.full((*SHAPE, 2), np.log(0.5)), np.zeros((*SHAPE, 8))
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    features[..., 7] = 1.0
    for row, column, height, which, direction in animals:
        distance = np.hypot(rows - row, columns - column)
        near = distance < 3
        pet[near] = np.maximum(pet, height - 3 * distance)[near]
        species[near] = np.log(0.001)
        species[near, which] = np.log(0.999)
        features[near] = np.eye(8)[direction]
    return candidates(pet, species, features, pet_threshold=pet_threshold, extent=extent)


def candidates(*given, **options):
    found = find_candidates(*given, **options)
    n = len(found.boxes)
    assert found.mass.shape == found.sure.shape == found.finder.shape == (n,)
    assert found.apart.shape == (n, n)
    return found


def boxes(found):
    return [one.box for one in found.boxes]


def holds(box, row, column):
    left, top, right, bottom = box.edges
    return left <= (column + 0.5) / SHAPE[1] <= right and top <= (row + 0.5) / SHAPE[0] <= bottom


def test_one_animal_gives_one_box_around_it():
    (box,) = boxes(find((5, 6, 10.0, 0, 0)))
    assert holds(box, 5, 6)
    assert 0.1 < box.area < 0.4


def test_a_box_ends_where_little_of_the_animal_is_left():
    (box,) = boxes(find((5, 6, 2.0, 0, 0)))
    assert box.edges == pytest.approx((5 / 12, 4 / 12, 8 / 12, 7 / 12)), "what is about it is above the least score too"


def test_what_looks_little_like_a_pet_or_is_tiny_beside_another_is_none():
    assert len(boxes(find((5, 6, -1.5, 0, 0)))) == 1
    assert boxes(find((5, 6, -2.5, 0, 0))) == []
    assert len(boxes(find((4, 2, 9.0, 0, 0), (8, 9, 0.0, 0, 1)))) == 2
    assert len(boxes(find((4, 2, 9.0, 0, 0), (8, 9, -1.5, 0, 1)))) == 1


@pytest.mark.parametrize(("height", "sure"), [(10.0, True), (1.0, False)])
def test_what_looks_much_like_a_pet_is_surely_one(height, sure):
    assert find((5, 6, height, 0, 0)).sure.tolist() == [sure]


@pytest.mark.parametrize(("first", "second"), [(0, 0), (0, 1)])
def test_two_animals_are_found_from_left_to_right_whatever_they_are(first, second):
    left, right = boxes(find((8, 9, 9.0, second, 1), (4, 2, 5.0, first, 0)))
    assert holds(left, 4, 2)
    assert holds(right, 8, 9)


@pytest.mark.parametrize("behind", [0, 1])
def test_parts_with_the_same_features_are_one_animal_whatever_each_is_taken_for(behind):
    (box,) = boxes(find((4, 2, 9.0, 0, 3), (6, 9, 7.0, behind, 3), between=-7.0))
    assert holds(box, 4, 2)
    assert holds(box, 6, 9)


def test_animals_side_by_side_are_told_apart_by_their_features_and_each_keeps_its_own_parts():
    left, right = boxes(find((2, 2, 9.0, 0, 3), (2, 9, 8.0, 0, 4), (9, 7, 7.0, 0, 4), between=-7.0))
    assert holds(left, 2, 2)
    assert not holds(left, 9, 7)
    assert holds(right, 2, 9)
    assert holds(right, 9, 7)


def test_two_animals_that_look_alike_are_two_where_no_pet_is_between_them():
    assert len(boxes(find((4, 2, 9.0, 0, 3), (6, 9, 7.0, 0, 3)))) == 2
    assert len(boxes(find((4, 2, 9.0, 0, 3), (6, 9, 1.0, 0, 3)))) == 1, "one of them may be no pet at all"


def test_nothing_above_the_least_score_is_no_animal():
    assert boxes(find((5, 6, 10.0, 0, 0), pet_threshold=11.0)) == []
    assert boxes(find()) == []


def test_boxes_are_shares_of_the_photo_and_what_is_beside_it_does_not_count():
    """The photo takes the upper half of the map; the animal below it is none."""
    (box,) = boxes(find((2, 6, 10.0, 1, 0), (9, 6, 10.0, 1, 1), extent=(5.5, 12)))
    left, top, right, bottom = box.edges
    assert top < 2.5 / 5.5 < bottom <= 1
    assert left < 6.5 / 12 < right


def test_no_more_animals_are_found_than_can_be_answered():
    pet = np.full((40, 40), NOWHERE)
    pet[::4, ::4] = 10.0
    features = np.random.default_rng(0).normal(size=(40, 40, 200))
    species = np.full((40, 40, 2), np.log(0.5))
    assert len(candidates(pet, species, features, pet_threshold=-5.0, extent=(40, 40)).boxes) == 16
