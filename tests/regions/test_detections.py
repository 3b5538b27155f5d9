import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hierpets.regions.candidates import MAX_BOXES, Finder
from hierpets.regions.detections import detected, is_beside


def found(*boxes):
    """The candidates of detections (top, left, bottom, right, score)."""
    rows = np.array(boxes, float).reshape(-1, 5)
    return detected(rows[:, :4], rows[:, 4])


def test_detections_are_candidates_from_left_to_right_with_their_scores():
    both = found((0.1, 0.6, 0.9, 0.9, 0.8), (0.1, 0.1, 0.9, 0.4, 0.5))
    assert [one.box.edges for one in both.boxes] == [
        pytest.approx((0.1, 0.1, 0.4, 0.9)),
        pytest.approx((0.6, 0.1, 0.9, 0.9)),
    ]
    assert [one.score for one in both.boxes] == [0.5, 0.8]
    assert both.sure.all()
    assert not both.apart.any()
    assert both.finder.tolist() == [Finder.DETECTOR] * 2


def test_of_boxes_on_one_place_the_likeliest_is_kept():
    (one,) = found((0.1, 0.1, 0.9, 0.9, 0.6), (0.1, 0.1, 0.9, 0.85, 0.9), (0.3, 0.3, 0.5, 0.5, 0.5)).boxes
    assert one.score == 0.9


def test_unlikely_boxes_and_those_of_no_size_are_none():
    assert found((0.1, 0.1, 0.9, 0.9, 0.19)).boxes == ()
    assert found((0.5, 0.5, 0.5, 0.9, 0.9), (0.9, 0.9, 0.1, 0.1, 0.9), (1.5, 1.5, 2.0, 2.0, 0.9)).boxes == ()
    assert found((0.1, 0.5, 0.9, 0.505, 0.9), (0.5, 0.1, 0.505, 0.9, 0.9)).boxes == (), "half a percent of the photo"
    assert found().boxes == ()


def test_of_more_than_can_be_answered_the_likeliest_are_kept():
    both = found(*((0.04 * n, 0.0, 0.04 * n + 0.03, 1.0, 0.3 + 0.02 * n) for n in range(20)))
    assert sorted(one.score for one in both.boxes) == pytest.approx([0.3 + 0.02 * n for n in range(20 - MAX_BOXES, 20)])


def test_an_animal_is_beside_another_where_one_of_its_boxes_shares_little_with_the_likeliest_of_that():
    edges = np.array([(0.0, 0.0, 1.0, 0.4), (0.0, 0.5, 1.0, 1.0), (0.0, 0.45, 1.0, 0.95)])
    dog, horse = np.array([0.9, 0.1, 0.1]), np.array([0.1, 0.9, 0.1])
    assert is_beside(edges, dog, horse)
    assert not is_beside(edges, np.array([0.1, 0.1, 0.9]), horse), "both may be one"
    assert is_beside(edges, np.array([0.3, 0.1, 0.9]), horse), "one of two dogs"
    assert not is_beside(edges, dog, np.full(3, 0.1)), "there is no other"
    assert not is_beside(edges, np.full(3, 0.1), horse), "nor a dog"


def test_a_box_beyond_the_photo_ends_at_its_edge():
    (one,) = found((-0.5, 0.5, 0.5, 1.5, 0.9)).boxes
    assert one.box.edges == pytest.approx((0.5, 0, 1, 0.5))


@given(arrays(float, (40, 4), elements=st.floats(-1, 2)), arrays(float, 40, elements=st.floats(0, 1)))
def test_whatever_a_detector_says_boxes_lie_in_the_photo_and_apart(edges, scores):
    boxes = [one.box for one in detected(edges, scores).boxes]
    assert len(boxes) <= MAX_BOXES
    for number, box in enumerate(boxes):
        left, top, right, bottom = box.edges
        assert 0 <= left < right <= 1 + 1e-9
        assert 0 <= top < bottom <= 1 + 1e-9
        assert all(box.overlap(other) <= 0.5 for other in boxes[:number])
