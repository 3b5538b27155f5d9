"""A trained network with what it gives for photos that it was not fitted to: what every training step hands on."""

from __future__ import annotations

from dataclasses import dataclass

from hierpets.bundle.manifest import BackboneSpec, EarlyNetwork, Origin, Selection
from hierpets.config import HeadSpec
from hierpets.hierarchy.calibration import Temperatures
from hierpets.hierarchy.likeness import OtherAnimal
from hierpets.model.network import HierarchicalNetwork
from hierpets.model.statistics.classes import ClassStatistics
from hierpets.plugin import Backbone
from hierpets.training.outputs import HeldOutOutputs

__all__ = ["Early", "Trained"]


@dataclass(frozen=True)
class Early:
    """A network that is asked before the main one, as ``spec`` describes it. ``statistics`` as in :class:`Trained`."""

    network: HierarchicalNetwork
    spec: EarlyNetwork
    head: HeadSpec
    statistics: ClassStatistics | None


@dataclass(frozen=True)
class Trained:
    """``held_out`` maps how photos were held out, if any were, to the outputs for them; the first calibrates.

    ``pretrained`` are those of photos whose breed was held out and is known from pretraining, ``unlisted`` those of
    photos whose breed nothing knew; None where none could be held out. ``temperatures`` are those of the heads' own
    logits, ``origins`` how each leaf of the network's taxonomy was learned.
    ``backbone`` is what the network's features come from, ``spec`` how to build it again, ``summary`` says in a line
    what was trained. ``statistics`` are what the heads can be fitted to again; None where they were not fitted to any.
    With ``early`` networks before it, ``held_out``, ``pretrained`` and ``unlisted`` are outputs of all of them
    together; with a ``second_look``, of both looks. ``other_animals`` is what the pretrained head says of animals that
    are no pets. ``selection`` is how backbone and heads were chosen, if they were.
    """

    network: HierarchicalNetwork
    backbone: Backbone
    spec: BackboneSpec
    head: HeadSpec
    held_out: dict[str, HeldOutOutputs]
    pretrained: HeldOutOutputs | None
    unlisted: HeldOutOutputs | None
    temperatures: Temperatures
    origins: tuple[Origin, ...]
    summary: str
    statistics: ClassStatistics | None = None
    early: tuple[Early, ...] = ()
    selection: Selection | None = None
    second_look: bool = False
    other_animals: tuple[OtherAnimal, ...] = ()
