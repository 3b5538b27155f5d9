"""Which candidates are animals of their own, and which box each is given."""

import numpy as np
import pytest

from hierpets.regions.boxes import Box
from hierpets.regions.candidates import Candidates, Finder
from hierpets.regions.distinct import keep_distinct
from hierpets.regions.files import FoundBox

SIAMESE, BENGAL, NO_PET = np.array([0.99, 0.01, 0.0]), np.array([0.0, 0.01, 0.99]), None
PERHAPS_SIAMESE = np.array([0.5, 0.4, 0.1])
PLACES, DETECTOR, CLOSER = Finder


def put_together(*found, apart=False):
    """Candidates of (left, right, finder), across the whole height; what comes first has the larger mass."""
    boxes = tuple(FoundBox(Box(left=left, top=0, width=right - left, height=1)) for left, right, _ in found)
    n = len(found)
    finder = np.array([one for *_, one in found], int)
    return Candidates(boxes, np.arange(n, 0.0, -1), np.ones(n, bool), np.full((n, n), apart), finder)


def in_a_row(count, *, mass=(3.0, 2.0, 1.0), apart=False, closer=(), width=0.3):
    spread = put_together(*((0.3 * n, 0.3 * n + width, CLOSER if n in closer else PLACES) for n in range(count)))
    return spread._replace(mass=np.array(mass[:count]), apart=np.full((count, count), apart))


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


def test_what_is_no_pet_is_dropped_and_hides_no_other():
    assert distinct(NO_PET, SIAMESE, NO_PET) == [1]
    assert distinct() == []


def test_an_animal_is_given_as_the_detection_that_holds_the_whole_of_it():
    head_and_whole = put_together((0.2, 0.4, PLACES), (0.1, 0.8, DETECTOR))
    assert keep_distinct(head_and_whole, [SIAMESE, SIAMESE]) == [1]
    assert keep_distinct(head_and_whole, [SIAMESE, NO_PET]) == [0], "by itself it is no pet"


@pytest.mark.parametrize("answer", [SIAMESE, BENGAL])
def test_an_animal_that_only_the_detector_found_is_one(answer):
    assert keep_distinct(put_together((0.0, 0.4, PLACES), (0.6, 0.9, DETECTOR)), [SIAMESE, BENGAL]) == [0, 1]
    assert keep_distinct(put_together((0.6, 0.9, DETECTOR)), [answer]) == [0]


def test_two_that_look_alike_are_two_where_the_detector_sees_two():
    alike = put_together((0.05, 0.2, PLACES), (0.75, 0.9, PLACES), (0.0, 0.4, DETECTOR), (0.6, 1.0, DETECTOR))
    assert keep_distinct(alike, [SIAMESE] * 4) == [2, 3]
    assert keep_distinct(put_together((0.05, 0.2, PLACES), (0.75, 0.9, PLACES)), [SIAMESE] * 2) == [0]


def test_parts_of_one_detection_are_one_animal_unless_the_breeds_of_both_are_sure():
    two_ends = put_together((0.05, 0.2, PLACES), (0.75, 0.9, PLACES), (0.0, 1.0, DETECTOR), apart=True)
    two_ends = two_ends._replace(sure=np.array([False, False, True]))
    assert keep_distinct(two_ends, [BENGAL, PERHAPS_SIAMESE, BENGAL]) == [2]
    assert keep_distinct(two_ends, [BENGAL, SIAMESE, BENGAL]) == [0, 1]


def test_a_box_around_two_animals_is_none():
    pair = put_together((0.0, 0.4, PLACES), (0.6, 1.0, DETECTOR), (0.0, 1.0, DETECTOR))
    assert keep_distinct(pair, [SIAMESE, BENGAL, BENGAL]) == [0, 1]


SIAMESE_OR_NOT, CERTAINLY_BENGAL = np.array([0.5, 0.5, 0.0]), np.array([0.0, 0.0, 1.0])


@pytest.mark.parametrize(
    ("answers", "in_detection", "alone"),
    [
        ((SIAMESE, BENGAL), [0, 1], [0, 1]),
        ((SIAMESE, SIAMESE), [2], [0]),  # head and flank
        (
            (SIAMESE_OR_NOT, CERTAINLY_BENGAL),
            [2],
            [0, 1],
        ),  # what is unsure of its breed is a part of what is seen as one
    ],
)
def test_parts_in_one_detection_are_two_animals_if_their_breeds_differ_and_are_sure(answers, in_detection, alone):
    parts = (0.2, 0.35, PLACES), (0.5, 0.65, PLACES)
    assert keep_distinct(put_together(*parts), answers) == alone
    whole = put_together(*parts, (0.1, 0.7, DETECTOR))._replace(sure=np.array([False, False, True]))
    assert keep_distinct(whole, [*answers, answers[0]]) == in_detection


def test_an_animal_is_given_as_the_smallest_detection_that_it_lies_in_and_as_none_that_it_reaches_into():
    head, small, large = (0.3, 0.4, PLACES), (0.25, 0.5, DETECTOR), (0.2, 0.9, DETECTOR)
    assert keep_distinct(put_together(head, large, small), [SIAMESE] * 3) == [2]
    assert keep_distinct(put_together((0.3, 0.5, PLACES), (0.4, 0.9, DETECTOR)), [SIAMESE] * 2) == [0]


def test_a_box_is_that_of_a_group_where_two_parts_that_lie_apart_each_show_a_breed():
    siamese, bengal, anything = np.eye(10)[0], np.eye(10)[1], np.full(10, 0.1)
    apart, beside = ((0.2, 0.35, PLACES), (0.5, 0.65, PLACES)), ((0.2, 0.5, PLACES), (0.25, 0.55, PLACES))
    group = (0.1, 0.7, DETECTOR)
    assert keep_distinct(put_together(*apart, group), [siamese, bengal, siamese]) == [0, 1]
    assert keep_distinct(put_together(*apart, group), [anything, anything, siamese]) == [2]
    assert keep_distinct(put_together(*beside, group), [siamese, bengal, siamese]) == [2]
