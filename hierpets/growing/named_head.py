"""Look up what the classes of a pretrained head show: the backbone's plugin knows it, the bundle does not."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from hierpets.bundle.manifest import BackboneSpec
from hierpets.errors import PluginError
from hierpets.model.statistics.classes import ClassStatistics
from hierpets.plugin import PretrainedHead
from hierpets.registry.loading import Registry
from hierpets.taxonomy import Leaf

__all__ = ["find_named", "find_shown", "name_classes"]

SHOWN = 0.05  # mean probability over photos of a species from which on a class of the pretrained head shows it


def name_classes(backbone: BackboneSpec, registry: Registry) -> PretrainedHead | None:
    """The pretrained head of a backbone, with the species and breeds that its classes show.

    :raises PluginError: the registry has no such backbone, or it fails.
    """
    try:
        plugin = registry.get("backbone", backbone.name)
    except PluginError as error:
        raise PluginError(
            f"{error}; this backbone says which classes of its pretrained head show which species and breeds: name the "
            "registry that the bundle was trained with, or install its package"
        ) from None
    head: PretrainedHead | None = plugin.call(**backbone.options).pretrained_head
    return head


def find_named(head: PretrainedHead | None, species: Collection[str]) -> set[int]:
    """The classes of a pretrained head that show one of the ``species`` according to the plugin."""
    return {index for name in species for index in head.species_classes.get(name, ())} if head else set()


def find_shown(head: PretrainedHead | None, statistics: ClassStatistics, species: Collection[str]) -> set[int]:
    """The classes found by :func:`find_named`, and those that photos of the species look like on average."""
    found = find_named(head, species)
    for profile in statistics.by_species.profiles_of([Leaf(name, None) for name in species]):
        found |= {int(profile.argmax()), *np.flatnonzero(profile >= SHOWN).tolist()}
    return found
