"""Probabilities of a backbone's pretrained head, and which of its classes show which species."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import numpy as np
import torch
from torch import nn

from hierpets.plugin import PretrainedHead
from hierpets.taxonomy import Taxonomy

__all__ = [
    "PRETRAINED_TEMPERATURE",
    "classes_by_species",
    "pretrained_probabilities",
    "pretrained_profiles",
    "sharpened",
    "species_classes",
]

PRETRAINED_TEMPERATURE = 0.7
"""Temperature that sharpens the pretrained head's probabilities: label smoothing in its training left them too flat to
name a breed, or to be summed by species. At the pet score threshold that rejects 1% of the photos of held-out breeds,
4.2% of photos that show no pet pass without it, and 0.4% with it (docs/experiments.md)."""


def pretrained_probabilities(head: nn.Linear, features: torch.Tensor) -> torch.Tensor:
    """Return a pretrained head's probabilities [B, K] for features [B, D]; it reads their first columns."""
    logits: torch.Tensor = head(features[:, : head.in_features])
    return logits.softmax(dim=1)


def sharpened(probabilities: torch.Tensor) -> torch.Tensor:
    """Return probabilities [B, K] sharpened by :data:`PRETRAINED_TEMPERATURE`."""
    sharp = probabilities ** (1 / PRETRAINED_TEMPERATURE)
    return sharp / sharp.sum(dim=1, keepdim=True)


def pretrained_profiles(head: nn.Linear | None, features: np.ndarray) -> np.ndarray:
    """Return a pretrained head's probabilities for features [N, D] as float32 [N, K]; K is 0 without a head."""
    if head is None:
        return np.zeros((len(features), 0), np.float32)
    with torch.inference_mode():
        return pretrained_probabilities(head, torch.tensor(features)).numpy()


def species_classes(head: PretrainedHead | None, species: Iterable[str]) -> list[int]:
    """Return the pretrained classes that show any of the species; none if a species has no entry in the head.

    Pets of a missing species would otherwise score as no pets.
    """
    names, named = tuple(species), head.species_classes if head else {}
    return sorted({k for name in names for k in named[name]}) if all(name in named for name in names) else []


def classes_by_species(shown: Mapping[str, Collection[int]], taxonomy: Taxonomy, classes: int) -> np.ndarray | None:
    """Return a mask, bool [S, K], of the pretrained classes that are evidence for each species.

    ``shown`` lists the class indices by species, ``classes`` is K. None if the pretrained head cannot help to tell the
    species: no class shows one, there is only one species, or no species has breeds, so that the training photos cover
    all kinds of each.
    """
    each = np.zeros((len(taxonomy.species), classes), bool)
    for row, name in zip(each, taxonomy.species, strict=True):
        row[[*shown.get(name, ())]] = True
    if len(each) < 2 or not each.any() or not taxonomy.is_breed.any():
        return None
    return each
