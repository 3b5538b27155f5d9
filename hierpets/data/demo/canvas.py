"""A canvas to draw on in the units of a pet, with the shapes, the scenery and the light that the demo photos share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

__all__ = ["Canvas", "Color", "Frame", "blob", "ellipse", "fluffy", "shade", "smooth"]

Color = tuple[float, float, float]
Rng = np.random.RandomState  # its stream never changes between numpy versions, so neither do the pixels

PHOTO = 256
SIZE = 2 * PHOTO  # drawn at twice the size: the reduction at the end smooths every edge


def ellipse(x: float, y: float, rx: float, ry: float, angle: float = 0.0) -> np.ndarray:
    """Outline float [48, 2] of an ellipse turned by ``angle`` degrees."""
    return _placed(_circle(48) * [rx, ry], angle, x, y)


def blob(rng: Rng, x: float, y: float, radius: float, wobble: float = 0.25) -> np.ndarray:
    """Outline float [24, 2] of a round thing with a random soft edge."""
    waves = _waves(24) @ (rng.uniform(-0.5, 0.5, 4))
    return radius * _circle(24) * (1 + wobble * waves)[:, None] + [x, y]


def smooth(points: list[tuple[float, float]], rounds: int = 3) -> np.ndarray:
    """The polygon with its corners cut (Chaikin's scheme), float [N * 2**rounds, 2]."""
    outline = np.asarray(points, float)
    for _ in range(rounds):
        following = np.concatenate([outline[1:], outline[:1]])
        pair = np.stack([0.75 * outline + 0.25 * following, 0.25 * outline + 0.75 * following], 1)
        outline = pair.reshape(-1, 2)
    return outline


def fluffy(rng: Rng, outline: np.ndarray, depth: float) -> np.ndarray:
    """The outline with tufts: every second point pushed out from the center."""
    center = outline.mean(0)
    reach = 1 + depth * rng.uniform(0.3, 1.0, (len(outline), 1))
    reach[::2] = 1
    return center + (outline - center) * reach


def shade(color: Color, factor: float) -> Color:
    """The color made darker (below 1) or lighter (above 1)."""
    r, g, b = (min(255.0, max(0.0, c * factor)) for c in color)
    return r, g, b


@dataclass(frozen=True)
class Frame:
    """Where a pet's own units lie on the canvas: origin in pixels, pixels a unit, turn in degrees."""

    x: float
    y: float
    scale: float
    angle: float = 0.0

    def pixels(self, outline: np.ndarray) -> np.ndarray:
        """int32 [N, 1, 2]: an outline in units as cv2 wants it."""
        turned = _placed(outline * self.scale, self.angle, self.x, self.y)
        return np.rint(turned).astype(np.int32)[:, None]

    def moved(self, x: float, y: float, angle: float = 0.0) -> Frame:
        """The frame with its origin at (x, y) of this one, turned further by ``angle``."""
        (origin,) = _placed(np.array([[x, y]]) * self.scale, self.angle, self.x, self.y)
        return Frame(float(origin[0]), float(origin[1]), self.scale, self.angle + angle)


class Canvas:
    """RGB uint8 [SIZE, SIZE, 3], drawn in place."""

    def __init__(self, rng: Rng):
        self.rng = rng
        self.image: np.ndarray = np.zeros((SIZE, SIZE, 3), np.uint8)

    def fill(self, frame: Frame, outline: np.ndarray, color: Color, *, edge: float = 0.0) -> None:
        """Fill an outline; with ``edge``, draw a darker rim that many units wide."""
        points = frame.pixels(outline)
        cv2.fillPoly(self.image, [points], color)
        if edge:
            cv2.polylines(self.image, [points], True, shade(color, 0.72), max(1, round(edge * frame.scale)))

    def line(self, frame: Frame, points: np.ndarray, color: Color, width: float) -> None:
        cv2.polylines(self.image, [frame.pixels(points)], False, color, max(1, round(width * frame.scale)))

    def clipped(self, frame: Frame, outline: np.ndarray, draw: Callable[[], None]) -> None:
        """Call ``draw``, and keep of it only what lies inside the outline."""
        before = self.image.copy()
        draw()
        mask = np.zeros((SIZE, SIZE), np.uint8)
        cv2.fillPoly(mask, [frame.pixels(outline)], 255)
        cv2.copyTo(self.image, mask, before)
        self.image = before

    def scenery(self) -> None:
        """A wall and a floor, or a sky and a meadow, with a few things that are no pets."""
        rng = self.rng
        outdoors = rng.rand() < 0.45
        top = (
            rng.uniform((120, 165, 195), (185, 215, 250))
            if outdoors
            else rng.uniform(120, 225) + rng.uniform(-32, 32, 3)
        )
        low = rng.uniform((76, 112, 46), (140, 168, 92)) if outdoors else rng.uniform((90, 70, 55), (190, 165, 145))
        horizon = rng.uniform(0.45, 0.8)
        self.image = np.empty((SIZE // 4, SIZE // 4, 3), np.uint8)  # it will be out of focus: a quarter is enough
        self.image[:] = top
        self.image[int(horizon * SIZE / 4) :] = low
        things = Frame(0, 0, len(self.image))
        for _ in range(rng.randint(2, 7)):
            x, y, size = rng.uniform(0, 1), rng.uniform(0.05, 1), rng.uniform(0.04, 0.2)
            base = low if y > horizon else top
            color = tuple(np.clip(base * rng.uniform(0.6, 1.3) + rng.uniform(-25, 25, 3), 0, 255))
            box = smooth([(x - size, y - size), (x + size, y - size), (x + size, y + size), (x - size, y + size)], 1)
            self.fill(things, blob(rng, x, y, size, 0.3) if outdoors or rng.rand() < 0.5 else box, color)
        blurred = cv2.GaussianBlur(self.image, (0, 0), rng.uniform(0.8, 3.5))
        self.image = cv2.resize(blurred, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)

    def develop(self) -> np.ndarray:
        """The photo, RGB uint8 [256, 256, 3]: light from one side, exposure, tint, focus and grain."""
        rng = self.rng
        photo = cv2.resize(self.image, (PHOTO, PHOTO), interpolation=cv2.INTER_AREA)
        if rng.rand() < 0.35:
            photo = self._half_hidden(photo)
        if rng.rand() < 0.4:
            photo = cv2.GaussianBlur(photo, (0, 0), rng.uniform(0.5, 2.2))
        x, y = _grid()
        side = rng.uniform(-0.25, 0.25, 2)
        light = np.float32(rng.uniform(0.6, 1.15)) * (1 + np.float32(side[0]) * x + np.float32(side[1]) * y)
        grain = np.frombuffer(rng.bytes(PHOTO * PHOTO), np.int8).reshape(PHOTO, PHOTO) * np.float32(
            rng.uniform(0.02, 0.16)
        )
        tint = 1 + rng.uniform(-0.08, 0.08, 3)
        planes = [
            cv2.addWeighted(cv2.multiply(plane, light, dtype=cv2.CV_32F), gain, grain, 1.0, 0.0)
            for plane, gain in zip(cv2.split(photo), tint, strict=True)
        ]
        return np.clip(cv2.merge(planes), 0, 255).astype(np.uint8)

    def _half_hidden(self, photo: np.ndarray) -> np.ndarray:
        """The photo with leaves or a cushion, out of focus, before one side of it."""
        rng = self.rng
        side, green = rng.choice((0.0, 1.0)), rng.rand() < 0.5
        color = rng.uniform((40, 80, 30), (120, 150, 80)) if green else rng.uniform(70, 210, 3)
        half = PHOTO // 2
        mask: np.ndarray = np.zeros((half, half), np.float32)
        for _ in range(3 if green else 1):
            thing = blob(rng, side + rng.uniform(-0.1, 0.1), rng.uniform(0.4, 1.05), rng.uniform(0.16, 0.34), 0.4)
            cv2.fillPoly(mask, [Frame(0, 0, half).pixels(thing)], 1.0)
        mask = cv2.resize(cv2.GaussianBlur(mask, (0, 0), 2.5), (PHOTO, PHOTO), interpolation=cv2.INTER_LINEAR)
        mixed: np.ndarray = photo + (color.astype(np.float32) - photo) * mask[..., None]
        return mixed.astype(np.uint8)


@lru_cache(maxsize=1)
def _grid() -> tuple[np.ndarray, np.ndarray]:
    """Columns and rows from -1 to 1, float [1, PHOTO] and [PHOTO, 1]."""
    line = np.linspace(-1, 1, PHOTO, dtype=np.float32)
    return line[None, :], line[:, None]


@lru_cache(maxsize=4)
def _circle(n: int) -> np.ndarray:
    """float [n, 2]: points on the unit circle."""
    t = np.linspace(0, 2 * np.pi, n, endpoint=False)
    return np.stack([np.cos(t), np.sin(t)], 1)


@lru_cache(maxsize=4)
def _waves(n: int) -> np.ndarray:
    """float [n, 4]: the waves that dent a circle, two or three to a turn."""
    t = np.linspace(0, 2 * np.pi, n, endpoint=False)
    return np.stack([np.cos(2 * t), np.sin(2 * t), np.cos(3 * t), np.sin(3 * t)], 1)


def _placed(points: np.ndarray, angle: float, x: float, y: float) -> np.ndarray:
    """The points turned by ``angle`` degrees about the origin, then moved by (x, y)."""
    if angle:
        c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        points = points @ np.array([[c, s], [-s, c]])
    return points + np.array((x, y))
