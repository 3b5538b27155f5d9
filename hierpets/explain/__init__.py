"""Where the network looked, and what stands at every station of the way."""

from hierpets.explain.explainer import Explainer
from hierpets.explain.gradcam import Target, gradcam
from hierpets.explain.overlay import overlay

__all__ = ["Explainer", "Target", "gradcam", "overlay"]
