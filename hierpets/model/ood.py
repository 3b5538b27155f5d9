"""Out-of-distribution scores, computed inside the graph: is this a pet of a known species, is it of a known breed?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from hierpets.model.heads import Linear
from hierpets.model.manifest import OODSpec
from hierpets.model.rounding import round_weights
from hierpets.plugin import PretrainedHead

__all__ = ["SHARPNESS", "OODScorer", "Signals", "pretrained_probabilities", "species_classes"]

FLOOR = 1e-9
SHARPNESS = 1 / 0.7
"""The exponent of the pretrained head's probabilities before they are summed by species: label smoothing left them too
flat. Without it 4.2% of photos of no pet pass at the threshold that 1% of held-out breeds fail, with it 0.4%
(docs/experiments.md)."""


class Signals(NamedTuple):
    """The raw signals, each [B], higher for a photo more like those of training; the last two are zero without a
    pretrained head.

    ``cosine``: largest cosine of the features to the mean of a known class. ``discriminant``: largest score of an LDA
    over the known classes, whatever the breed heads are: it separates unlisted breeds better than a logistic regression
    does (docs/experiments.md). ``profile``: log of the largest Bhattacharyya coefficient between the pretrained head's
    probabilities for the photo and their mean over a known class. ``species_mass``: log of the probability mass that
    the pretrained head, sharpened, gives to the known species as a whole.
    """

    cosine: torch.Tensor
    discriminant: torch.Tensor
    profile: torch.Tensor
    species_mass: torch.Tensor

    def table(self) -> torch.Tensor:
        """[B, 4]."""
        return torch.stack(self, dim=1)


class OODScorer(nn.Module):
    """Two sums of standardized signals: ``pet`` (a pet of a known species?) and ``known`` (of a known breed?).

    The pretrained head's probabilities tell a fox from a dog and a labrador from a beagle where neither was trained on:
    it knows a thousand classes. Without one the scores rest on the features alone.
    """

    means: torch.Tensor
    profiles: torch.Tensor
    species_classes: torch.Tensor
    center: torch.Tensor
    scale: torch.Tensor

    def __init__(self, feature_dim: int, spec: OODSpec):
        super().__init__()
        self.spec = spec
        self.pretrained_head = (
            nn.Linear(spec.pretrained_features, spec.pretrained_classes) if spec.pretrained_classes else None
        )
        self.discriminant = nn.Linear(feature_dim, spec.classes)
        self.register_buffer("means", torch.zeros(spec.classes, feature_dim))
        self.register_buffer("profiles", torch.zeros(spec.classes, spec.pretrained_classes))
        self.register_buffer("species_classes", torch.zeros(spec.species_classes, dtype=torch.int64))
        self.register_buffer("center", torch.zeros(4))
        self.register_buffer("scale", torch.ones(4))

    @classmethod
    @torch.no_grad()
    def build(
        cls,
        *,
        means: np.ndarray,
        profiles: np.ndarray,
        discriminant: Linear,
        pretrained_head: nn.Linear | None,
        species_classes: Sequence[int],
    ) -> OODScorer:
        """The scorer of C known classes: their mean features ``means`` [C, D] and mean probabilities ``profiles``
        [C, K] of the pretrained head's classes (K is 0 without one), and which of these show a known species.
        """
        head = pretrained_head
        spec = OODSpec(
            classes=len(means),
            pretrained_classes=head.out_features if head else 0,
            pretrained_features=head.in_features if head else 0,
            species_classes=len(species_classes),
        )
        scorer = cls(means.shape[1], spec)
        scorer.means.copy_(functional.normalize(torch.from_numpy(means), dim=1))
        scorer.profiles.copy_(torch.from_numpy(profiles).clamp(min=0).sqrt())
        scorer.species_classes.copy_(torch.tensor(species_classes, dtype=torch.int64))
        if head is not None and scorer.pretrained_head is not None:
            scorer.pretrained_head.load_state_dict(head.state_dict())
        round_weights(scorer)
        # Not rounded: it lives on small differences between large sums.
        scorer.discriminant.weight.copy_(torch.from_numpy(discriminant.weight))
        scorer.discriminant.bias.copy_(torch.from_numpy(discriminant.bias))
        return scorer.eval()

    def signals(self, features: torch.Tensor) -> Signals:
        """Features [B, D] to raw signals."""
        cosine = (functional.normalize(features, dim=1) @ self.means.T).amax(dim=1)
        discriminant = self.discriminant(features).amax(dim=1)
        if self.pretrained_head is None:
            return Signals(cosine, discriminant, torch.zeros_like(cosine), torch.zeros_like(cosine))
        pretrained = pretrained_probabilities(self.pretrained_head, features)
        profile = ((pretrained.sqrt() @ self.profiles.T).amax(dim=1) + FLOOR).log()
        sharp = pretrained**SHARPNESS
        mass = (sharp[:, self.species_classes].sum(dim=1) / sharp.sum(dim=1) + FLOOR).log()
        return Signals(cosine, discriminant, profile, mass if len(self.species_classes) else torch.zeros_like(cosine))

    @torch.no_grad()
    def standardize(self, signals: torch.Tensor) -> None:
        """Center and scale by the signals [N, 4] of known pets that the statistics did not see."""
        self.center.copy_(signals.mean(dim=0))
        self.scale.copy_(signals.std(dim=0).clamp(min=1e-6))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Scores [B, 2]: ``pet`` = cosine + species_mass, ``known`` = discriminant + cosine + profile, standardized."""
        return self.combine(self.signals(features).table())

    def combine(self, signals: torch.Tensor) -> torch.Tensor:
        """Raw signals [B, 4] to scores [B, 2]."""
        cosine, discriminant, profile, species_mass = ((signals - self.center) / self.scale).unbind(dim=1)
        return torch.stack([cosine + species_mass, discriminant + cosine + profile], dim=1)


def pretrained_probabilities(head: nn.Linear, features: torch.Tensor) -> torch.Tensor:
    """Probabilities [B, K] of a pretrained head's classes for features [B, D], of which it takes the first columns."""
    logits: torch.Tensor = head(features[:, : head.in_features])
    return logits.softmax(dim=1)


def species_classes(head: PretrainedHead | None, species: Iterable[str]) -> list[int]:
    """The pretrained classes of all species; none where one is missing, for its pets would score as no pets."""
    names, named = tuple(species), head.species_classes if head else {}
    return sorted({k for name in names for k in named[name]}) if all(name in named for name in names) else []
