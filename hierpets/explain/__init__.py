"""Where the network looked, and the tensor at every stage of prediction."""

from hierpets.explain.explainer import Explainer, Explanation
from hierpets.explain.gradcam import Target, gradcam
from hierpets.explain.overlay import overlay
from hierpets.explain.run import explain_photo, inspect_photo
from hierpets.explain.trace import TraceStep, trace_photo

__all__ = [
    "Explainer",
    "Explanation",
    "Target",
    "TraceStep",
    "explain_photo",
    "gradcam",
    "inspect_photo",
    "overlay",
    "trace_photo",
]
