import numpy as np
import pytest
from scipy.ndimage import label

from hierpets.regions.hills import separate


def hill(row: float, column: float, height: float, width: float = 1.5) -> np.ndarray:
    rows, columns = np.mgrid[:12, :20]
    return height * np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * width**2))


def test_separate_tells_two_hills_from_one_with_two_tops():
    apart = hill(5, 4, 10) + hill(6, 15, 8)
    hills = separate(apart, threshold=1.0, drop=3.0)
    assert hills.max() == 1
    assert hills[5, 4] == 0
    assert hills[6, 15] == 1
    near = hill(5, 8, 10) + hill(5, 11, 9)
    assert separate(near, threshold=1.0, drop=3.0).max() == 0


def test_separate_needs_the_drop_between_two_tops():
    ridge = np.array([[0.0, 9.0, 5.0, 7.0, 0.0]])
    assert separate(ridge, threshold=1.0, drop=2.0).tolist() == [[-1, 0, 0, 1, -1]]
    assert separate(ridge, threshold=1.0, drop=2.5).tolist() == [[-1, 0, 0, 0, -1]]
    assert separate(ridge, threshold=6.0, drop=99.0).tolist() == [[-1, 0, -1, 1, -1]]


def test_separate_of_nothing_is_nothing():
    assert (separate(np.zeros((3, 4)), threshold=0.0, drop=1.0) == -1).all()


@pytest.mark.parametrize("seed", range(5))
def test_separate_without_end_to_the_drop_is_the_connected_parts(seed):
    response = np.random.default_rng(seed).normal(size=(9, 14))
    parts, count = label(response > 0.5, structure=np.ones((3, 3)))
    hills = separate(response, threshold=0.5, drop=np.inf)
    assert hills.max() + 1 == count
    pairs = set(zip(parts.ravel().tolist(), hills.ravel().tolist(), strict=True))
    assert len(pairs) == count + 1


@pytest.mark.parametrize("seed", range(5))
def test_separate_numbers_hills_by_their_peaks_and_each_is_high_enough(seed):
    response = np.random.default_rng(seed).normal(size=(9, 14))
    hills = separate(response, threshold=-0.5, drop=1.0)
    peaks = [response[hills == number].max() for number in range(hills.max() + 1)]
    assert peaks == sorted(peaks, reverse=True)
    assert ((hills >= 0) == (response > -0.5)).all()
