"""What a backbone's pretrained head says, and which of its classes show which species."""

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
"""The divisor of the pretrained head's log-probabilities: label smoothing left them too flat to name a breed, or to be
summed by species. Without it 4.2% of photos of no pet pass at the threshold that 1% of held-out breeds fail, with it
0.4% (docs/experiments.md)."""


def pretrained_probabilities(head: nn.Linear, features: torch.Tensor) -> torch.Tensor:
    """Probabilities [B, K] of a pretrained head's classes for features [B, D], of which it takes the first columns."""
    logits: torch.Tensor = head(features[:, : head.in_features])
    return logits.softmax(dim=1)


def sharpened(probabilities: torch.Tensor) -> torch.Tensor:
    """Probabilities [B, K], each photo's less even: see :data:`PRETRAINED_TEMPERATURE`."""
    sharp = probabilities ** (1 / PRETRAINED_TEMPERATURE)
    return sharp / sharp.sum(dim=1, keepdim=True)


def pretrained_profiles(head: nn.Linear | None, features: np.ndarray) -> np.ndarray:
    """Those of features [N, D] as float32 [N, K]; K is 0 without a head."""
    if head is None:
        return np.zeros((len(features), 0), np.float32)
    with torch.inference_mode():
        return pretrained_probabilities(head, torch.tensor(features)).numpy()


def species_classes(head: PretrainedHead | None, species: Iterable[str]) -> list[int]:
    """The pretrained classes of all species; none where one is missing, for its pets would score as no pets."""
    names, named = tuple(species), head.species_classes if head else {}
    return sorted({k for name in names for k in named[name]}) if all(name in named for name in names) else []


def classes_by_species(shown: Mapping[str, Collection[int]], taxonomy: Taxonomy, classes: int) -> np.ndarray | None:
    """bool [S, K]: which of so many ``classes`` of a pretrained head speak for each species: those whose numbers are
    ``shown`` for it.

    None where they have nothing to say: none shows a species, there is one alone, or nothing has breeds, so that
    photos teach all kinds of a species.
    """
    each = np.zeros((len(taxonomy.species), classes), bool)
    for row, name in zip(each, taxonomy.species, strict=True):
        row[[*shown.get(name, ())]] = True
    if len(each) < 2 or not each.any() or not taxonomy.is_breed.any():
        return None
    return each
