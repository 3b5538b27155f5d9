"""A photo for what judges single photos."""

import cv2
import numpy as np
import pytest

from hierpets.data.photos import read_photo


@pytest.fixture
def photo() -> np.ndarray:
    """As OpenCV writes it."""
    return cv2.cvtColor(read_photo("demo:cat/ginger/1"), cv2.COLOR_RGB2BGR)
