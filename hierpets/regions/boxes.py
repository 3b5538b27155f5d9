"""A bounding box, in shares of the photo, so that it fits every size of it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from pydantic import Field, model_validator

from hierpets.validation.strict import StrictModel

__all__ = ["MARGIN", "Box"]

ROUNDING = 1e-6  # by which boxes of other programs may exceed the photo
MARGIN = 0.1  # added on each side when a box is cut out, as a share of its longer side


class Box(StrictModel):
    """A rectangular part of an upright photo."""

    left: float = Field(ge=0, lt=1, description="of the left edge, as a share of the photo's width")
    top: float = Field(ge=0, lt=1, description="of the upper edge, as a share of the photo's height")
    width: float = Field(gt=0, le=1, description="as a share of the photo's width")
    height: float = Field(gt=0, le=1, description="as a share of the photo's height")

    @model_validator(mode="after")
    def _lies_inside(self) -> Box:
        if max(self.left + self.width, self.top + self.height) > 1 + ROUNDING:
            raise ValueError("expected a box inside the photo: left + width and top + height at most 1")
        return self

    @classmethod
    def between(cls, left: float, top: float, right: float, bottom: float) -> Box:
        """The box with these edges, clipped to the photo.

        :raises ValueError: it lies outside of the photo.
        """
        left, top, right, bottom = (min(max(float(edge), 0.0), 1.0) for edge in (left, top, right, bottom))
        return cls(left=left, top=top, width=right - left, height=bottom - top)

    @classmethod
    def around(cls, boxes: Iterable[Box]) -> Box:
        """The smallest box that contains all of them."""
        edges = np.array([box.edges for box in boxes])
        return cls.between(*edges[:, :2].min(axis=0), *edges[:, 2:].max(axis=0))

    @property
    def edges(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom."""
        return self.left, self.top, self.left + self.width, self.top + self.height

    @property
    def area(self) -> float:
        """Its area as a share of the photo."""
        return self.width * self.height

    def inside(self, other: Box) -> float:
        """The share of this box that lies in another, from 0 to 1."""
        return self._overlap(other) / self.area

    def overlap(self, other: Box) -> float:
        """The share of the smaller of two boxes that lies in the other, from 0 to 1."""
        return self._overlap(other) / min(self.area, other.area)

    def _overlap(self, other: Box) -> float:
        mine, its = self.edges, other.edges
        width, height = (min(mine[i + 2], its[i + 2]) - max(mine[i], its[i]) for i in (0, 1))
        return max(width, 0.0) * max(height, 0.0)

    def cut(self, photo: np.ndarray) -> np.ndarray:
        """Crop the box from a photo [H, W, 3]: [h, w, 3], at least one pixel."""
        height, width = photo.shape[:2]
        left, top, right, bottom = self.edges
        x, y = int(left * width), int(top * height)
        inside = photo[y : max(round(bottom * height), y + 1), x : max(round(right * width), x + 1)]
        return np.ascontiguousarray(inside)

    def squared(self, height: int, width: int) -> Box:
        """This box with a margin, made as square as a photo of this size in pixels allows."""
        left, top, right, bottom = self.edges
        side = (1 + 2 * MARGIN) * max(self.width * width, self.height * height)
        across, down = side / width / 2, side / height / 2
        x, y = (left + right) / 2, (top + bottom) / 2
        return Box.between(x - across, y - down, x + across, y + down)
