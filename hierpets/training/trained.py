"""A trained network with its outputs for held-out photos: the result of each training step, passed on to the next."""

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
    """A network that runs before the main one, as ``spec`` describes. ``statistics`` as in :class:`Trained`."""

    network: HierarchicalNetwork
    spec: EarlyNetwork
    head: HeadSpec
    statistics: ClassStatistics | None


@dataclass(frozen=True)
class Trained:
    """A trained network with its outputs for held-out photos.

    - ``backbone``, ``spec``: the network's backbone, and how to build it again.
    - ``head``: how the breed heads were fitted.
    - ``held_out``: the outputs by how the photos were held out; the first entry is used for calibration.
    - ``pretrained``, ``unlisted``: the outputs for photos whose breed was held out, and was then known to the
      pretrained head, or to neither head; None if no breed could be held out.
    - ``temperatures``: those of the heads' own logits.
    - ``origins``: how each leaf of the network's taxonomy was learned.
    - ``summary``: one line that says what was trained.
    - ``statistics``: those that the heads can be fitted to again; None if they were not fitted to any.
    - ``early``: networks that run before this one; all outputs above are those of the whole cascade.
    - ``selection``: how backbone and heads were chosen, if they were.
    - ``second_look``: whether the outputs above include a second look at doubtful photos.
    - ``other_animals``: what the pretrained head says of animals that are no pets.
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
