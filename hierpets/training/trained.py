"""A trained network with what it gives for photos that it was not fitted to: what every training step hands on."""

from __future__ import annotations

from dataclasses import dataclass

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

    ``unlisted`` are those of photos whose breed was held out as well, None where none could be.
    ``backbone`` is what the network's features come from, ``spec`` how to build it again, ``summary`` says in a line
    what was trained. ``statistics`` are what the heads can be fitted to again; None where they were not fitted to any.
    """

    network: HierarchicalNetwork
    backbone: Backbone
    spec: BackboneSpec
    head: HeadSpec
    held_out: dict[str, HeldOutOutputs]
    unlisted: HeldOutOutputs | None
    summary: str
    statistics: ClassStatistics | None = None
