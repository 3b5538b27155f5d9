"""An explanation as one picture: the photo, what spoke for the species, what spoke for the breed."""

from __future__ import annotations

import io

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from hierpets.explain.explainer import Explanation

__all__ = ["render_panel"]

HEIGHT = 4.2  # inches of a photo


def render_panel(explanation: Explanation) -> bytes:
    """PNG: two or three pictures side by side, the likeliest answers below the first."""
    decision = explanation.prediction.decision
    assert decision is not None
    pictures = [
        ("photo", explanation.photo),
        (_title(decision.species, decision.species_probability), explanation.species),
    ]
    if explanation.breed is not None and decision.breed is not None:
        pictures.append((_title(decision.breed, decision.breed_probability), explanation.breed))
    answers = ", ".join(f"{leaf.breed or leaf.species} {p:.1%}".replace("_", " ") for leaf, p in decision.top)
    height, width = explanation.photo.shape[:2]
    # A class may be called "$x$"; it is a name, not a formula.
    with mpl.rc_context({"text.parse_math": False}):
        wide = max(2.4, HEIGHT * width / height) * len(pictures)
        figure = Figure(figsize=(wide, HEIGHT + 0.8), layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
        for axes, (title, pixels) in zip(np.ravel(figure.subplots(1, len(pictures))), pictures, strict=True):
            axes.imshow(pixels)
            axes.set_title(title)
            axes.set_axis_off()
        figure.supxlabel(f"answer: {decision.level}; likeliest: {answers}", fontsize=10)
        png = io.BytesIO()
        figure.savefig(png, format="png", dpi=100)
    return png.getvalue()


def _title(name: str, probability: float | None) -> str:
    return f"{name.replace('_', ' ')} {probability:.1%}"
