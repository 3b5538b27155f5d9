"""An explanation as one picture: the photo, the evidence for the species, the evidence for the breed."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from hierpets.explain.explainer import Explanation
from hierpets.figures import figure_png

__all__ = ["render_panel"]

HEIGHT = 4.2  # inches of a photo
NARROWEST = 2.4  # inches
WIDEST = 8.0  # inches: a panorama would take gigabytes


def render_panel(explanation: Explanation) -> bytes:
    """Render an explanation as PNG: two or three pictures side by side, with the most probable leaves below."""
    decision = explanation.prediction.decision
    assert decision is not None  # the photo has been read
    pictures = [
        ("photo", explanation.photo),
        (_title(decision.species, decision.species_probability), explanation.species),
    ]
    if explanation.breed is not None and decision.breed is not None:
        pictures.append((_title(decision.breed, decision.breed_probability), explanation.breed))
    top = ", ".join(f"{leaf.breed or leaf.species} {p:.1%}".replace("_", " ") for leaf, p in decision.top)

    def paint(figure: Figure) -> None:
        for axes, (title, pixels) in zip(np.ravel(figure.subplots(1, len(pictures))), pictures, strict=True):
            axes.imshow(pixels)
            axes.set_title(title)
            axes.set_axis_off()
        figure.supxlabel(f"predicted level: {decision.level}; most probable: {top}", fontsize=10)

    height, width = explanation.photo.shape[:2]
    across = min(max(NARROWEST, HEIGHT * width / height), WIDEST)
    return figure_png(paint, (across * len(pictures), HEIGHT + 0.8), dpi=100)


def _title(name: str, probability: float | None) -> str:
    return f"{name.replace('_', ' ')} {probability:.1%}"
