"""Draw a sitting pet: body, ears, head and face in its coat. One unit is half the width of its head."""

from __future__ import annotations

import numpy as np

from hierpets.data.demo.breeds import BLACK, BROWN, Look
from hierpets.data.demo.canvas import Canvas, Color, Frame, blob, ellipse, fluffy, shade, smooth

__all__ = ["draw_pet"]

PINK = (224.0, 160.0, 156.0)
COLLARS = ((190.0, 40.0, 44.0), (40.0, 84.0, 170.0), (50.0, 130.0, 70.0), (226.0, 186.0, 50.0), (120.0, 60.0, 140.0))
EDGE = 0.035


def draw_pet(canvas: Canvas, species: str, look: Look, frame: Frame) -> None:
    """Draw the pet with the center of its head at the origin of ``frame``; the head is tilted, the body is not."""
    rng = canvas.rng
    head = frame.moved(0, 0, rng.uniform(-14, 14))
    coat = tuple(_varied(color, rng) for color in look.coat)
    if species == "rabbit" and rng.rand() < 0.5:
        coat = coat[::-1]
    _body(canvas, species, look, coat, frame)
    if rng.rand() < 0.4:
        canvas.fill(frame, ellipse(0, 1.02, 0.72, 0.2), COLLARS[rng.randint(len(COLLARS))], edge=EDGE)
    if look.ears in ("upright", "long"):
        _ears(canvas, species, look, coat, head)
    _head(canvas, species, look, coat, head)
    if look.ears not in ("upright", "long"):
        _ears(canvas, species, look, coat, head)
    _FACES[species](canvas, look, coat, head)


def _varied(color: Color, rng: np.random.RandomState) -> Color:
    r, g, b = np.clip(np.array(color) * rng.uniform(0.9, 1.08) + rng.uniform(-7, 7, 3), 0, 255)
    return float(r), float(g), float(b)


def _mirrored(outline: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return outline, outline * (-1, 1)


def _symmetric(right: list[tuple[float, float]]) -> np.ndarray:
    """A smooth outline from its right half, listed from the top."""
    return smooth(right + [(-x, y) for x, y in reversed(right)])


def _body(canvas: Canvas, species: str, look: Look, coat: tuple[Color, ...], frame: Frame) -> None:
    rng = canvas.rng
    wide = 1.15 if species == "rabbit" else rng.uniform(0.95, 1.2)
    torso = ellipse(0, 2.25, wide, 1.5)
    base = _body_color(look, coat)
    if species == "cat":
        side = rng.choice((-1, 1))
        tail = smooth([(side * 0.7, 3.2), (side * 1.7, 3.3), (side * 1.9, 2.2), (side * 1.65, 2.2), (side * 1.5, 2.9)])
        canvas.fill(frame, tail, coat[1] if look.pattern == "points" else base, edge=EDGE)
    if look.fur > 1:
        torso = fluffy(rng, torso, 0.07 * look.fur)
    canvas.fill(frame, torso, base, edge=EDGE)
    canvas.clipped(frame, torso, lambda: _body_pattern(canvas, look, coat, frame))
    for leg in _mirrored(ellipse(0.42, 3.15, 0.3, 0.95)):
        canvas.fill(frame, leg, _varied(BROWN, rng) if look.pattern == "points" else base, edge=EDGE)
        canvas.clipped(frame, leg, lambda: _body_pattern(canvas, look, coat, frame))
        paw = ellipse(np.sign(leg[:, 0].mean()) * 0.42, 3.95, 0.36, 0.22)
        canvas.fill(frame, paw, look.feet or base, edge=EDGE)


def _body_color(look: Look, coat: tuple[Color, ...]) -> Color:
    return coat[1] if look.pattern == "saddle" else coat[0]


def _body_pattern(canvas: Canvas, look: Look, coat: tuple[Color, ...], frame: Frame) -> None:
    rng, pattern = canvas.rng, look.pattern
    if pattern == "patches":
        for color in (coat[1], coat[2], coat[1], coat[2]):
            canvas.fill(frame, blob(rng, rng.uniform(-1, 1), rng.uniform(1.2, 3.4), rng.uniform(0.35, 0.6)), color)
    elif pattern == "stripes":
        for y in np.arange(1.3, 3.6, 0.36):
            _stripe(canvas, frame, (-1.3, y), (-0.35, y + 0.14), coat[1])
            _stripe(canvas, frame, (1.3, y), (0.35, y + 0.14), coat[1])
    elif pattern == "spots":
        _spots(canvas, frame, 30, ((-1.2, 1.2), (1.0, 3.9)), coat[1])
    elif pattern == "saddle":
        canvas.fill(frame, ellipse(0, 2.4, 0.55, 1.4), coat[0])
        for back in _mirrored(ellipse(1.05, 2.3, 0.34, 0.9, 8)):
            canvas.fill(frame, back, coat[2])
    elif pattern in ("bib", "wolf"):
        canvas.fill(frame, fluffy(rng, ellipse(0, 1.7, 0.5, 0.95), 0.12), coat[1])
    elif pattern == "curls":
        _curls(canvas, frame, ((-1.1, 1.1), (1.0, 3.7)), coat[1])
    elif pattern == "plain":
        canvas.fill(frame, fluffy(rng, ellipse(0, 1.75, 0.45, 0.8), 0.14), coat[1])


def _stripe(canvas: Canvas, frame: Frame, start: tuple[float, float], end: tuple[float, float], color: Color) -> None:
    (x, y), (u, v) = start, end
    jitter = canvas.rng.uniform(-0.05, 0.05)
    canvas.fill(frame, smooth([(x, y - 0.1), ((x + u) / 2, y - 0.03 + jitter), (u, v), (x, y + 0.1)], 2), color)


def _spots(canvas: Canvas, frame: Frame, n: int, box: tuple[tuple[float, float], ...], color: Color) -> None:
    rng, (across, down) = canvas.rng, box
    for _ in range(n):
        canvas.fill(frame, blob(rng, rng.uniform(*across), rng.uniform(*down), rng.uniform(0.06, 0.15)), color)


def _curls(canvas: Canvas, frame: Frame, box: tuple[tuple[float, float], ...], color: Color) -> None:
    rng, (across, down) = canvas.rng, box
    for _ in range(26):
        x, y, r = rng.uniform(*across), rng.uniform(*down), rng.uniform(0.09, 0.17)
        canvas.line(frame, ellipse(x, y, r, r)[: rng.randint(26, 42)], color, 0.04)


def _skull(species: str, look: Look) -> np.ndarray:
    if species == "cat":
        w = look.width
        return _symmetric([(0.7 * w, -0.85), (1.12 * w, 0.2), (0.55, 0.95)])
    if species == "rabbit":
        return _symmetric([(0.6, -0.9), (0.98, 0.45), (0.45, 1.0)])
    w = look.width
    return _symmetric([(0.72 * w, -1.05), (0.98 * w, 0.1), (0.6 * w, 1.12)])


def _head(canvas: Canvas, species: str, look: Look, coat: tuple[Color, ...], head: Frame) -> None:
    skull = _skull(species, look)
    if species == "cat" or look.fur > 1:
        skull = fluffy(canvas.rng, skull, 0.09 * look.fur)
    canvas.fill(head, skull, _body_color(look, coat), edge=EDGE)
    canvas.clipped(head, skull, lambda: _head_pattern(canvas, look, coat, head))
    if look.pattern == "curls":
        canvas.fill(head, fluffy(canvas.rng, ellipse(0, -0.95, 0.68, 0.52), 0.16), coat[0], edge=EDGE)
        _curls(canvas, head, ((-0.5, 0.5), (-1.3, -0.65)), coat[1])


def _head_pattern(canvas: Canvas, look: Look, coat: tuple[Color, ...], head: Frame) -> None:
    rng, pattern = canvas.rng, look.pattern
    if pattern == "patches":
        side = rng.choice((-1, 1))
        canvas.fill(head, blob(rng, side * 0.62, -0.5, rng.uniform(0.5, 0.68)), coat[1])
        canvas.fill(head, blob(rng, -side * 0.66, -0.55, rng.uniform(0.42, 0.6)), coat[2])
    elif pattern == "stripes":
        for x in (-0.26, 0.0, 0.26):
            canvas.line(head, np.array([(x * 1.6, -1.0), (x, -0.45)]), coat[1], 0.09)
        for y in (0.1, 0.38):
            for side in (-1, 1):
                _stripe(canvas, head, (side * 1.15, y), (side * 0.6, y + 0.06), coat[1])
    elif pattern == "points":
        canvas.fill(head, fluffy(rng, ellipse(0, 0.34, 0.52, 0.62), 0.1), shade(coat[1], 1.15))
    elif pattern == "bib":
        canvas.fill(head, _symmetric([(0.02, -0.75), (0.12, -0.2), (0.62, 0.5), (0.4, 1.1)]), coat[1])
    elif pattern == "spots":
        _spots(canvas, head, 11, ((-0.9, 0.9), (-1.0, 0.5)), coat[1])
    elif pattern == "mask":
        canvas.fill(head, ellipse(0, 0.55, 0.66, 0.52), coat[1])
        for y in (-0.62, -0.46):
            canvas.line(head, np.array([(-0.3, y - 0.06), (0, y + 0.05), (0.3, y - 0.06)]), shade(coat[0], 0.7), 0.05)
    elif pattern == "wolf":
        for half in _mirrored(smooth([(0.0, 1.2), (0.95, 0.75), (0.9, 0.0), (0.55, -0.42), (0.2, -0.3), (0.06, 0.1)])):
            canvas.fill(head, half, coat[1])
    elif pattern == "saddle":
        canvas.fill(head, _symmetric([(0.03, -1.1), (0.14, -0.4), (0.5, 0.4), (0.4, 1.2)]), coat[0])


def _ears(canvas: Canvas, species: str, look: Look, coat: tuple[Color, ...], head: Frame) -> None:
    rng, w = canvas.rng, look.width
    for side, color in zip((1, -1), _ear_colors(look, coat, rng), strict=True):
        if look.ears == "upright":
            spread, top = (0.98, -1.62) if species == "cat" else (0.8, -1.75)
            outer = smooth([(0.2 * w, -0.72), (spread * w, top), (spread * w, top + 0.1), (1.0 * w, -0.1)], 2)
            canvas.fill(head, outer * (side, 1), color, edge=EDGE)
            inner = (outer - outer.mean(0)) * 0.55 + outer.mean(0)
            canvas.fill(head, inner * (side, 1), shade(PINK, 0.6) if sum(color) < 240 else PINK)
        elif look.ears == "hanging":
            drop = smooth([(0.5, -1.0), (1.0, -0.85), (1.4, 0.2), (1.15, 0.85), (0.85, 0.6), (0.78, -0.2)])
            drop = drop * (side * w, rng.uniform(0.9, 1.08))
            canvas.fill(head, fluffy(rng, drop, 0.1) if look.fur > 1 else drop, color, edge=EDGE)
        elif look.ears == "button":
            flap = smooth([(0.5, -1.0), (1.15, -0.9), (1.2, -0.35), (0.88, -0.15), (0.75, -0.5)])
            canvas.fill(head, flap * (side, 1), color, edge=EDGE)
        elif look.ears == "curly":
            canvas.fill(head, fluffy(rng, ellipse(side * 0.98, 0.15, 0.4, 0.85, -side * 8), 0.16), color, edge=EDGE)
            _curls(canvas, head, ((side * 1.15, side * 0.8), (-0.4, 0.75)), coat[1])
        else:
            lean = side * rng.uniform(4, 26)
            ear = head.moved(side * 0.36, -0.7, lean)
            canvas.fill(ear, ellipse(0, -0.95, 0.27, 1.05), color, edge=EDGE)
            canvas.fill(ear, ellipse(0, -0.92, 0.14, 0.8), PINK)


def _ear_colors(look: Look, coat: tuple[Color, ...], rng: np.random.RandomState) -> tuple[Color, Color]:
    if look.pattern == "patches":
        return (coat[1], coat[2]) if rng.rand() < 0.5 else (coat[2], coat[1])
    if look.pattern == "spots":
        return coat[rng.randint(2)], coat[1]
    if look.pattern in ("plain", "smooth"):
        return shade(coat[0], 0.84), shade(coat[0], 0.84)
    color = {"points": coat[-1], "mask": coat[-1], "saddle": shade(coat[1], 0.85)}.get(look.pattern, coat[0])
    return color, color


def _eyes(canvas: Canvas, look: Look, head: Frame, *, x: float, y: float, size: float) -> None:
    rng = canvas.rng
    open_ = rng.uniform(0.75, 1.05)
    gaze = rng.uniform(-0.22, 0.22) * size
    for side in (-1, 1):
        eye = head.moved(side * x, y)
        canvas.fill(eye, ellipse(0, 0, size * 1.14, size * 1.14 * open_), BLACK)
        canvas.fill(eye, ellipse(0, 0, size, size * open_), look.eyes)
        slit = 0.34 if look.ears == "upright" and look.muzzle == 1.0 and x < 0.5 else 0.62
        canvas.fill(eye, ellipse(gaze, 0, size * slit, size * 0.8 * open_), (16.0, 14.0, 16.0))
        canvas.fill(eye, ellipse(gaze - size * 0.25, -size * 0.35, size * 0.22, size * 0.22), (250.0, 250.0, 250.0))


def _cat_face(canvas: Canvas, look: Look, coat: tuple[Color, ...], head: Frame) -> None:
    _eyes(canvas, look, head, x=0.46, y=-0.12, size=0.24)
    light = coat[1] if look.pattern == "bib" else shade(coat[0], 1.12)
    cheek = shade(coat[1], 1.25) if look.pattern == "points" else light
    for side in (-1, 1):
        canvas.fill(head, ellipse(side * 0.2, 0.52, 0.25, 0.2), cheek, edge=0.02)
    canvas.fill(head, smooth([(-0.15, 0.28), (0.15, 0.28), (0, 0.46)], 2), BROWN if look.pattern == "points" else PINK)
    _whiskers(canvas, head, 0.5)


def _dog_face(canvas: Canvas, look: Look, coat: tuple[Color, ...], head: Frame) -> None:
    rng, m = canvas.rng, look.muzzle
    _eyes(canvas, look, head, x=0.4 * look.width, y=-0.22, size=0.2 if look.pattern == "mask" else 0.16)
    snout = {"mask": coat[-1], "wolf": coat[1], "plain": shade(coat[0], 1.1), "smooth": shade(coat[0], 1.1)}.get(
        look.pattern, coat[0]
    )
    if rng.rand() < 0.45:
        canvas.fill(head, ellipse(0.04, 0.5 + 0.62 * m, 0.17, 0.3), (222.0, 110.0, 116.0), edge=EDGE)
    canvas.fill(head, ellipse(0, 0.52, 0.46 * m, 0.42 * m), snout, edge=0.025)
    if look.pattern == "spots":
        _spots(canvas, head, 4, ((-0.3, 0.3), (0.4, 0.8)), coat[1])
    canvas.fill(head, ellipse(0, 0.52 - 0.24 * m, 0.2, 0.145), (34.0, 30.0, 32.0))
    canvas.fill(head, ellipse(-0.05, 0.48 - 0.24 * m, 0.06, 0.03), (120.0, 116.0, 118.0))
    for side in (-1, 1):
        cheek = ellipse(side * 0.14 * m, 0.62, 0.14 * m, 0.12)[:25]  # the lower half
        canvas.line(head, cheek, (48.0, 38.0, 38.0), 0.04)


def _rabbit_face(canvas: Canvas, look: Look, coat: tuple[Color, ...], head: Frame) -> None:
    _eyes(canvas, look, head, x=0.58, y=-0.15, size=0.19)
    for side in (-1, 1):
        canvas.fill(head, ellipse(side * 0.2, 0.55, 0.27, 0.23), shade(coat[0], 1.12), edge=0.02)
    canvas.fill(head, np.array([(-0.11, 0.72), (0.11, 0.72), (0.1, 0.96), (-0.1, 0.96)]), (250.0, 248.0, 240.0))
    canvas.fill(head, smooth([(-0.16, 0.3), (0.16, 0.3), (0, 0.48)], 2), PINK)
    _whiskers(canvas, head, 0.55)


def _whiskers(canvas: Canvas, head: Frame, y: float) -> None:
    for side in (-1, 1):
        for rise in (-0.16, 0.0, 0.14):
            hair = np.array([(side * 0.35, y + rise * 0.3), (side * 1.2, y + rise)])
            canvas.line(head, hair, (236.0, 234.0, 230.0), 0.02)


_FACES = {"cat": _cat_face, "dog": _dog_face, "rabbit": _rabbit_face}
