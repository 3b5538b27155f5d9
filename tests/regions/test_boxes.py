import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from hierpets.regions.boxes import Box


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 10**9))
@example(np.nextafter(1, 0), 1)
@example(np.nextafter(1, 0), 4)
def test_box_holds_a_pixel_however_near_the_edge_it_is(at, side):
    photo, beyond = np.broadcast_to(np.zeros(3, np.uint8), (side, side, 3)), np.nextafter(at, 2)
    assert Box.between(at, at, beyond, beyond).cut(photo).shape == (1, 1, 3)


def test_box_squared_takes_a_margin_and_is_as_square_as_the_photo_allows():
    assert Box.between(0.25, 0.45, 0.75, 0.55).squared(100, 80).edges == pytest.approx((0.2, 0.26, 0.8, 0.74))
    assert Box.between(0.25, 0.25, 0.75, 0.75).squared(40, 80).edges == pytest.approx((0.2, 0.0, 0.8, 1.0))


def test_box_cuts_its_share_of_a_photo_of_any_size():
    box = Box(left=0.25, top=0.5, width=0.5, height=0.5)
    for height, width in ((40, 80), (7, 5), (1, 1)):
        photo = np.arange(height * width * 3, dtype=np.uint8).reshape(height, width, 3)
        part = box.cut(photo)
        assert part.size > 0
        assert abs(part.shape[0] - height / 2) <= 1
        assert abs(part.shape[1] - width / 2) <= 1
    whole = np.zeros((40, 80, 3), np.uint8)
    whole[20:, 20:60] = 255
    assert (box.cut(whole) == 255).all()
    assert box.cut(whole).shape == (20, 40, 3)


@pytest.mark.parametrize(
    "wrong", [{"left": -0.1}, {"width": 0.0}, {"left": 0.6, "width": 0.5}, {"top": float("nan")}, {"height": 2.0}]
)
def test_box_lies_inside_the_photo(wrong):
    with pytest.raises(ValidationError):
        Box(**{"left": 0.1, "top": 0.1, "width": 0.2, "height": 0.2, **wrong})


def test_box_between_is_cut_off_at_the_photo():
    box = Box.between(-0.5, 0.25, 0.5, 1.5)
    assert box == Box(left=0.0, top=0.25, width=0.5, height=0.75)
    assert box.edges == (0.0, 0.25, 0.5, 1.0)
    with pytest.raises(ValueError, match="greater than 0"):
        Box.between(-0.5, 0.2, -0.1, 0.4)


def test_box_around_others_is_the_smallest_that_holds_them():
    assert Box.around([Box.between(0.2, 0.3, 0.4, 0.9), Box.between(0.1, 0.5, 0.3, 0.6)]).edges == pytest.approx(
        (0.1, 0.3, 0.4, 0.9)
    )


def test_shared_is_the_part_of_the_smaller_box():
    large, inside, apart = Box.between(0, 0, 1, 1), Box.between(0.1, 0.1, 0.3, 0.3), Box.between(0.4, 0.4, 0.6, 0.6)
    half = Box.between(0.2, 0.1, 0.4, 0.3)
    assert large.overlap(inside) == inside.overlap(large) == pytest.approx(1)
    assert inside.overlap(apart) == 0
    assert inside.overlap(half) == half.overlap(inside) == pytest.approx(0.5)
