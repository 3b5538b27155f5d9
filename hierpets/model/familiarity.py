"""How much a photo looks like the pets that a model knows: two scores, computed inside the graph."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from hierpets.model.bundle import FamiliaritySpec
from hierpets.model.heads import Linear
from hierpets.model.rounding import round_weights
from hierpets.plugin import Knowledge

__all__ = ["Familiarity", "Signals"]

FLOOR = 1e-9


class Signals(NamedTuple):
    """The raw signals, each [B], higher for a more familiar photo; the last two are nought without knowledge.

    ``cosine``: largest cosine of the features to the mean of a known class. ``discriminant``: largest score of an LDA
    over the known classes, whatever the breed heads are: it tells unlisted breeds better than a logistic regression
    does (docs/experiments.md). ``profile``: log of the largest Bhattacharyya coefficient between what the pretrained
    head sees in the photo and what it saw, on average, in a known class. ``kin``: log of the mass that the pretrained
    head gives to the known species as a whole.
    """

    cosine: torch.Tensor
    discriminant: torch.Tensor
    profile: torch.Tensor
    kin: torch.Tensor

    def table(self) -> torch.Tensor:
        """[B, 4]."""
        return torch.stack(self, dim=1)


class Familiarity(nn.Module):
    """Two sums of standardised signals: ``pet`` (is this a pet of a known species?) and ``known`` (a known breed?).

    What the pretrained head makes of a photo tells a fox from a dog and a labrador from a beagle where neither was
    trained on: it knows a thousand kinds. Without it the scores rest on the features alone.
    """

    means: torch.Tensor
    profiles: torch.Tensor
    kin: torch.Tensor
    centre: torch.Tensor
    scale: torch.Tensor

    def __init__(self, feature_dim: int, classes: int, *, known_to: int = 0, width: int = 0, kin: int = 0):
        """``known_to``: classes of the pretrained head, 0 without one; ``width``: features that it reads."""
        super().__init__()
        self.knowledge = nn.Linear(width, known_to) if known_to else None
        self.discriminant = nn.Linear(feature_dim, classes)
        self.register_buffer("means", torch.zeros(classes, feature_dim))
        self.register_buffer("profiles", torch.zeros(classes, known_to))
        self.register_buffer("kin", torch.zeros(kin, dtype=torch.int64))
        self.register_buffer("centre", torch.zeros(4))
        self.register_buffer("scale", torch.ones(4))

    @classmethod
    @torch.no_grad()
    def fit(
        cls,
        features: torch.Tensor,
        labels: torch.Tensor,
        *,
        discriminant: Linear,
        knowledge: Knowledge | None,
        species: tuple[str, ...],
    ) -> Familiarity:
        """The statistics of photos float32 [N, D] with class labels int64 [N], every class 0..max present."""
        classes = int(labels.max()) + 1
        head = knowledge.head if knowledge else None
        kinds = knowledge.kinds if knowledge else {}
        # A species that the pretraining does not name would look like a stranger to it: then none is asked for.
        kin = sorted({k for name in species for k in kinds[name]}) if all(name in kinds for name in species) else []
        module = cls(
            features.shape[1],
            classes,
            known_to=head.out_features if head else 0,
            width=head.in_features if head else 0,
            kin=len(kin),
        )
        membership = functional.one_hot(labels, classes).T.float()
        membership /= membership.sum(dim=1, keepdim=True)
        module.means.copy_(functional.normalize(membership @ functional.normalize(features, dim=1), dim=1))
        module.kin.copy_(torch.tensor(kin, dtype=torch.int64))
        if head is not None and module.knowledge is not None:
            module.knowledge.load_state_dict(head.state_dict())
            module.profiles.copy_((membership @ module.seen(features)).sqrt())
        round_weights(module)
        # Not rounded: it lives on small differences between large sums.
        module.discriminant.weight.copy_(torch.from_numpy(discriminant.weight))
        module.discriminant.bias.copy_(torch.from_numpy(discriminant.bias))
        return module.eval()

    @property
    def spec(self) -> FamiliaritySpec:
        """What a bundle needs to build this part again."""
        head = self.knowledge
        return FamiliaritySpec(
            classes=len(self.means),
            known_to=head.out_features if head else 0,
            width=head.in_features if head else 0,
            kin=len(self.kin),
        )

    def seen(self, features: torch.Tensor) -> torch.Tensor:
        """What the pretrained head sees: probabilities [B, K]."""
        assert self.knowledge is not None
        logits: torch.Tensor = self.knowledge(features[:, : self.knowledge.in_features])
        return logits.softmax(dim=1)

    def signals(self, features: torch.Tensor) -> Signals:
        """Features [B, D] to raw signals."""
        cosine = (functional.normalize(features, dim=1) @ self.means.T).amax(dim=1)
        discriminant = self.discriminant(features).amax(dim=1)
        if self.knowledge is None:
            return Signals(cosine, discriminant, torch.zeros_like(cosine), torch.zeros_like(cosine))
        seen = self.seen(features)
        profile = ((seen.sqrt() @ self.profiles.T).amax(dim=1) + FLOOR).log()
        kin = (seen[:, self.kin].sum(dim=1) + FLOOR).log() if len(self.kin) else torch.zeros_like(cosine)
        return Signals(cosine, discriminant, profile, kin)

    @torch.no_grad()
    def standardise(self, signals: torch.Tensor) -> None:
        """Centre and scale by the signals [N, 4] of known pets that the statistics did not see."""
        self.centre.copy_(signals.mean(dim=0))
        self.scale.copy_(signals.std(dim=0).clamp(min=1e-6))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Scores [B, 2]: ``pet`` = cosine + kin, ``known`` = discriminant + cosine + profile, all standardised."""
        return self.combine(self.signals(features).table())

    def combine(self, signals: torch.Tensor) -> torch.Tensor:
        """Raw signals [B, 4] to scores [B, 2]."""
        cosine, discriminant, profile, kin = ((signals - self.centre) / self.scale).unbind(dim=1)
        return torch.stack([cosine + kin, discriminant + cosine + profile], dim=1)
