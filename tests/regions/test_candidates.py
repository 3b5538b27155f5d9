import numpy as np
import pytest

from hierpets.regions.boxes import Box
from hierpets.regions.candidates import MAX_BOXES, Candidates, Finder
from hierpets.regions.files import FoundBox


def in_a_row(count, *, finder=Finder.PLACES, width=0.05, step=0.05):
    boxes = tuple(FoundBox(Box(left=step * n, top=0, width=width, height=1)) for n in range(count))
    apart = np.ones((count, count), bool)
    return Candidates(boxes, np.arange(float(count)), np.ones(count, bool), apart, np.full(count, finder))


def test_what_two_finders_found_stands_from_left_to_right_and_what_lies_apart_within_each():
    first = in_a_row(3).where([0, 2])
    both = first.and_those(in_a_row(3, finder=Finder.DETECTOR).where([1]))
    assert [found.box.left for found in both.boxes] == pytest.approx([0, 0.05, 0.1])
    assert both.mass.tolist() == [0, 1, 2]
    assert both.finder.tolist() == [Finder.PLACES, Finder.DETECTOR, Finder.PLACES]
    assert both.apart.tolist() == [[True, False, True], [False, True, False], [True, False, True]]
    assert both.sure.tolist() == [True] * 3


def test_those_that_are_trusted_come_before_those_for_which_much_speaks():
    both = in_a_row(2, finder=Finder.CLOSER_LOOK).and_those(in_a_row(2)).and_those(in_a_row(2, finder=Finder.DETECTOR))
    assert both.finder[both.by_trust].tolist() == [0, 0, 1, 1, 2, 2]
    assert both.mass[both.by_trust].tolist() == [1, 0] * 3


def test_no_more_animals_are_found_than_can_be_answered_and_the_least_trusted_are_left_out():
    both = in_a_row(12).and_those(in_a_row(12, finder=Finder.CLOSER_LOOK))
    assert len(both.boxes) == MAX_BOXES
    assert sorted(both.mass[both.finder == Finder.CLOSER_LOOK]) == [8, 9, 10, 11]
    assert (both.finder == Finder.PLACES).sum() == 12


def test_one_finder_stands_for_all_of_another():
    assert in_a_row(2).found_by(Finder.CLOSER_LOOK).finder.tolist() == [Finder.CLOSER_LOOK] * 2
