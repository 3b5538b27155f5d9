"""Figures become PNG."""

import cv2
import numpy as np
import pytest

from hierpets.figures import figure_png, percent_tick


def test_figure_png_has_the_size_in_inches_times_dpi():
    png = figure_png(lambda figure: figure.suptitle("$x"), (2.0, 1.0), dpi=50)
    assert cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR).shape == (50, 100, 3)


def test_figure_png_passes_an_error_of_the_painter_on():
    def paint(figure):
        raise ValueError("no data")

    with pytest.raises(ValueError, match="no data"):
        figure_png(paint, (1.0, 1.0))


def test_percent_tick_has_as_many_digits_as_it_needs():
    assert [percent_tick(share) for share in (0, 0.2, 0.125, 0.07 * 3, 1)] == ["0%", "20%", "12.5%", "21%", "100%"]
