import numpy as np
import pytest

from hierpets.regions.animals import Candidates, find_candidates, keep_distinct
from hierpets.regions.boxes import Box
from hierpets.regions.files import FoundBox

NOWHERE = -20.0
SHAPE = (12, 12)


def find(*animals, extent=SHAPE, least=-5.0, between=NOWHERE):
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
    return candidates(pet, species, features, least=least, extent=extent).boxes


def candidates(*given, **options):
    found = find_candidates(*given, **options)
    assert found.mass.shape == (len(found.boxes),)
    assert found.apart.shape == (len(found.boxes), len(found.boxes))
    return found


def holds(box, row, column):
    left, top, right, bottom = box.edges
    return left <= (column + 0.5) / SHAPE[1] <= right and top <= (row + 0.5) / SHAPE[0] <= bottom


def test_one_animal_gives_one_box_around_it():
    (found,) = find((5, 6, 10.0, 0, 0))
    assert holds(found.box, 5, 6)
    assert 0.1 < found.box.area < 0.4
    assert found.score == pytest.approx(10, abs=0.1)


@pytest.mark.parametrize(("first", "second"), [(0, 0), (0, 1)])
def test_two_animals_are_found_from_left_to_right_whatever_they_are(first, second):
    found = find((8, 9, 9.0, second, 1), (4, 2, 5.0, first, 0))
    assert len(found) == 2
    assert holds(found[0].box, 4, 2)
    assert holds(found[1].box, 8, 9)


@pytest.mark.parametrize("behind", [0, 1])
def test_parts_with_the_same_features_are_one_animal_whatever_each_is_taken_for(behind):
    (found,) = find((4, 2, 9.0, 0, 3), (6, 9, 7.0, behind, 3), between=-7.0)
    assert holds(found.box, 4, 2)
    assert holds(found.box, 6, 9)
    assert found.score == pytest.approx(9, abs=0.1)


def test_two_animals_that_look_alike_are_two_where_no_pet_is_between_them():
    assert len(find((4, 2, 9.0, 0, 3), (6, 9, 7.0, 0, 3))) == 2
    assert len(find((4, 2, 9.0, 0, 3), (6, 9, 1.0, 0, 3))) == 1, "one of them may be no pet at all"


def test_nothing_above_the_least_score_is_no_animal():
    assert find((5, 6, 10.0, 0, 0), least=11.0) == ()
    assert find() == ()


def test_boxes_are_shares_of_the_photo_and_what_is_beside_it_does_not_count():
    """The photo takes the upper half of the map; the animal below it is none."""
    (found,) = find((2, 6, 10.0, 1, 0), (9, 6, 10.0, 1, 1), extent=(5.5, 12))
    left, top, right, bottom = found.box.edges
    assert top < 2.5 / 5.5 < bottom <= 1
    assert left < 6.5 / 12 < right


def test_no_more_animals_are_found_than_can_be_answered():
    pet = np.full((40, 40), NOWHERE)
    pet[::4, ::4] = 10.0
    features = np.random.default_rng(0).normal(size=(40, 40, 200))
    species = np.full((40, 40, 2), np.log(0.5))
    assert len(candidates(pet, species, features, least=-5.0, extent=(40, 40)).boxes) == 16


SIAMESE, BENGAL, NO_PET = np.array([0.99, 0.01, 0.0]), np.array([0.0, 0.01, 0.99]), None


def in_a_row(count, *, mass=(3.0, 2.0, 1.0), apart=False, closer=(), width=0.3):
    boxes = tuple(FoundBox(Box(left=0.3 * n, top=0, width=width, height=1)) for n in range(count))
    return Candidates(boxes, np.array(mass[:count]), np.full((count, count), apart), np.isin(np.arange(count), closer))


def distinct(*answers, **how):
    """Which of three boxes in a row are kept."""
    return keep_distinct(in_a_row(len(answers), **how), answers)


def test_animals_of_different_breeds_are_kept():
    assert distinct(SIAMESE, BENGAL) == [0, 1]


def test_of_two_that_answer_alike_the_one_for_which_more_speaks_is_kept():
    assert distinct(SIAMESE, BENGAL, SIAMESE) == [0, 1]
    assert distinct(SIAMESE, BENGAL, SIAMESE, mass=(1.0, 2.0, 3.0)) == [1, 2]


def test_two_that_lie_apart_are_kept_whatever_they_answer():
    assert distinct(SIAMESE, SIAMESE, apart=True) == [0, 1]


def test_of_two_boxes_on_one_place_one_is_kept_whatever_they_answer():
    assert distinct(SIAMESE, BENGAL, width=0.39) == [0, 1]
    assert distinct(SIAMESE, BENGAL, width=0.7) == [0]


def test_what_could_be_many_a_breed_is_no_second_animal():
    anything = np.full(10, 0.1)
    siamese = np.eye(10)[0]
    assert distinct(siamese, anything, apart=True) == [0]
    assert distinct(anything, siamese, apart=True) == [0, 1]
    assert distinct(anything) == [0]


def test_what_a_closer_look_adds_needs_a_probable_breed_and_gives_way_to_the_first_look():
    doubtful = np.array([0.0, 0.5, 0.5])
    assert distinct(SIAMESE, BENGAL, closer=[1]) == [0, 1]
    assert distinct(SIAMESE, doubtful, closer=[1], apart=True) == [0]
    assert distinct(doubtful, closer=[0]) == []
    assert distinct(doubtful) == [0]
    assert distinct(SIAMESE, SIAMESE, mass=(1.0, 2.0), closer=[1]) == [0]


def test_what_two_looks_found_stands_from_left_to_right_and_what_lies_apart_within_each():
    first, second = in_a_row(3, apart=True).where([0, 2]), in_a_row(3, apart=True).where([1])
    both = first.and_closer(second)
    assert [found.box.left for found in both.boxes] == pytest.approx([0, 0.3, 0.6])
    assert both.mass.tolist() == [3.0, 2.0, 1.0]
    assert both.closer.tolist() == [False, True, False]
    assert both.apart.tolist() == [[True, False, True], [False, True, False], [True, False, True]]


def test_two_looks_find_no_more_animals_than_can_be_answered_and_the_first_comes_first():
    boxes = tuple(FoundBox(Box(left=0.05 * n, top=0, width=0.05, height=1)) for n in range(12))
    look = Candidates(boxes, np.arange(12.0), np.zeros((12, 12), bool), np.zeros(12, bool))
    both = look.and_closer(look)
    assert len(both.boxes) == 16
    assert sorted(both.mass[both.closer]) == [8.0, 9.0, 10.0, 11.0]


def test_what_is_no_pet_is_dropped_and_hides_no_other():
    assert distinct(NO_PET, SIAMESE, NO_PET) == [1]
    assert distinct() == []
