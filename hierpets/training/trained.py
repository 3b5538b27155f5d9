"""A trained network with what it gives for photos that it was not fitted to: what every training step hands on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hierpets.config import HeadSpec
from hierpets.model.manifest import BackboneSpec
from hierpets.model.network import HierarchicalNetwork
from hierpets.model.statistics.classes import ClassStatistics
from hierpets.plugin import Backbone
from hierpets.training.held_out import HeldOutOutputs

__all__ = ["Trained"]


@dataclass(frozen=True)
class Trained:
    """``held_out`` maps how photos were held out to the outputs for them; the first that has any calibrates.

    ``held_out_breed_scores`` float [M, 2] are the OOD scores of photos whose breed was held out of training.
    ``backbone`` is what the network's features come from, ``spec`` how to build it again, ``summary`` says in a line
    what was trained. ``statistics`` are what the heads can be fitted to again; None where they were not fitted to any.
    """

    network: HierarchicalNetwork
    backbone: Backbone
    spec: BackboneSpec
    head: HeadSpec
    held_out: dict[str, HeldOutOutputs]
    held_out_breed_scores: np.ndarray
    summary: str
    statistics: ClassStatistics | None = None
