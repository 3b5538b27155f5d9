"""OOD evidence, computed inside the graph: does a photo show a pet of a known species, and a known breed?"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from hierpets.bundle.manifest import OODSpec
from hierpets.model.heads import Linear
from hierpets.model.pretrained_breeds import PretrainedBreeds
from hierpets.model.pretrained_head import pretrained_probabilities, sharpened
from hierpets.model.rounding import round_weights
from hierpets.taxonomy import Leaf

__all__ = ["SIGNALS", "Evidence", "OODScorer", "no_evidence"]

FLOOR = 1e-9
SPECIES_FLOOR = 1e-6  # added to the probability mass of a species: smaller masses carry no information

SIGNALS = ("margin", "cosine", "profile", "species", "untrained", "best_untrained", "winner")
"""The signals about a photo's breed, for each species:

- ``margin``: lead of the largest score of an LDA over the trained breeds. It is an LDA whatever the breed heads are,
  because it separates unlisted breeds better than the logits of another head do (docs/experiments.md).
- ``cosine``: largest cosine of the features to the mean of a trained breed.
- ``profile``: log of the largest Bhattacharyya coefficient between the pretrained head's probabilities and their mean
  over a trained breed.
- ``species``: log of the probability that the pretrained head gives to the species' breeds.
- ``untrained``: log-ratio of the probabilities that it gives to untrained and to trained breeds of the species.
- ``best_untrained``: log-probability, within the species, of its most probable class of an untrained breed.
- ``winner``: log-probability, within the species, that it gives to the breed with the largest LDA score.

``profile`` is zero without a pretrained head, the last four without one that names breeds.
"""

# Signals are clamped here: more extreme values carry no more information.
MAX_LOG_RATIO, MIN_LOG, MAX_MARGIN = 12.0, -8.0, 1000.0
PET_SIGNALS = 3
LOG_ZERO = -30.0  # stands for the logarithm of zero


class Evidence(NamedTuple):
    """The OOD evidence in the features of B photos.

    ``pet`` [B, V, 3], where V is 1, or 2 if species were grown: first for the trained, then for the grown species. The
    three are the largest cosine to the mean of a known class; the log of the probability mass that the sharpened
    pretrained head gives to the known species (0 for grown ones); and the log-ratio of their most probable class to the
    most probable other class.

    ``species`` [B, S]: the log of the mass that the sharpened pretrained head gives to each species. A species that
    none of its classes shows gets the mass of all classes that show no species. Zeros if the pretrained head does not
    contribute to the species logits.

    ``breed`` [B, S, 7]: :data:`SIGNALS` for each species.

    ``classes`` [B, P]: log-probabilities of the pretrained classes that show breeds, among all its classes.
    """

    pet: torch.Tensor
    species: torch.Tensor
    breed: torch.Tensor
    classes: torch.Tensor

    @classmethod
    def joined(cls, parts: Sequence[Evidence]) -> Evidence:
        """Concatenate the evidence of at least one part."""
        return cls(*(torch.cat(columns) for columns in zip(*parts, strict=True)))

    def where(self, rows: np.ndarray) -> Evidence:
        """Return the evidence of some photos; ``rows`` is a mask, bool [N], or indices, int [M]."""
        chosen = torch.from_numpy(rows)
        return Evidence(*(column[chosen] for column in self))


def no_evidence(photos: int, breeds: PretrainedBreeds) -> Evidence:
    """Return zeros in the shape of the evidence of ``photos`` photos, for a model without grown species."""
    species = len(breeds.taxonomy.species)
    shapes = ((1, PET_SIGNALS), (species,), (species, len(SIGNALS)), (len(breeds.classes),))
    return Evidence(*(torch.zeros(photos, *shape) for shape in shapes))


class OODScorer(nn.Module):
    """Compute the evidence that a photo shows a pet of a known species, and a known breed.

    A pretrained head, which knows a thousand classes, tells a fox from a dog and a labrador from a beagle even if
    neither was trained on. Without one, the evidence comes from the features alone.

    If the most probable species of a photo was trained, its pet score uses the evidence of the trained species alone:
    knowing horses makes a horse no more like a dog. So growing a species raises no score of the others. If that species
    was grown, the score uses the evidence of the grown species alone: the features of a dog of an unknown breed may be
    nearer to the mean of horses than to the known dogs, but the pretrained head knows that it is no horse.
    """

    means: torch.Tensor
    profiles: torch.Tensor
    species_classes: torch.Tensor
    known_species: torch.Tensor
    known_classes: torch.Tensor
    classes: torch.Tensor
    class_species: torch.Tensor
    trained_share: torch.Tensor
    shows_species: torch.Tensor
    shows_each: torch.Tensor
    center: torch.Tensor
    scale: torch.Tensor
    trained_classes: torch.Tensor
    shows_trained: torch.Tensor
    grown: torch.Tensor
    raised: torch.Tensor

    def __init__(self, feature_dim: int, spec: OODSpec):
        super().__init__()
        self.spec = spec
        c, s, k, p = spec.classes, spec.species, spec.pretrained_classes, spec.breed_classes
        self.pretrained_head = nn.Linear(spec.pretrained_features, k) if k else None
        self.discriminant = nn.Linear(feature_dim, c)
        self.register_buffer("means", torch.zeros(c, feature_dim))
        self.register_buffer("profiles", torch.zeros(c, k))
        self.register_buffer("species_classes", torch.zeros(spec.species_classes, dtype=torch.int64))
        self.register_buffer("known_species", torch.zeros(s, c, dtype=torch.bool))
        self.register_buffer("known_classes", torch.zeros(c, p))
        self.register_buffer("classes", torch.zeros(p, dtype=torch.int64))
        self.register_buffer("class_species", torch.zeros(s, p, dtype=torch.bool))
        self.register_buffer("trained_share", torch.zeros(p))
        self.register_buffer("shows_species", torch.zeros(k, dtype=torch.bool))
        self.register_buffer("center", torch.zeros(PET_SIGNALS))
        self.register_buffer("scale", torch.ones(PET_SIGNALS))
        if spec.species_evidence:
            self.register_buffer("shows_each", torch.zeros(s, k, dtype=torch.bool))
        if spec.grown_species:
            self.register_buffer("trained_classes", torch.zeros(spec.trained_classes, dtype=torch.int64))
            self.register_buffer("shows_trained", torch.zeros(k, dtype=torch.bool))
            self.register_buffer("raised", torch.zeros(s))
            self.register_buffer("grown", torch.zeros(s, dtype=torch.bool), persistent=False)
            self.grown[list(spec.grown_species)] = True

    @classmethod
    @torch.no_grad()
    def build(
        cls,
        *,
        known: Sequence[Leaf],
        means: np.ndarray,
        profiles: np.ndarray,
        discriminant: Linear,
        pretrained_head: nn.Linear | None,
        species_classes: Sequence[int],
        breeds: PretrainedBreeds,
        shows_each: np.ndarray | None = None,
        grown: Collection[str] = (),
        trained_classes: Sequence[int] = (),
    ) -> OODScorer:
        """Build the scorer of C ``known`` leaves.

        ``means`` [C, D] are their mean features, ``profiles`` [C, K] their mean probabilities of the pretrained head's
        K classes (0 without one). Of these classes, ``species_classes`` show a known species, ``trained_classes`` one
        that is not ``grown``, and ``breeds`` says which breeds they show. ``shows_each`` bool [S, K] tells which
        classes are evidence for each species; None if the pretrained head does not contribute to the species logits.
        ``grown`` species have no trained leaf.
        """
        head, taxonomy = pretrained_head, breeds.taxonomy
        columns = [taxonomy.leaves.index(leaf) for leaf in known]
        spec = OODSpec(
            classes=len(means),
            species=len(taxonomy.species),
            pretrained_classes=head.out_features if head else 0,
            pretrained_features=head.in_features if head else 0,
            species_classes=len(species_classes),
            breed_classes=len(breeds.classes),
            grown_species=tuple(sorted(map(taxonomy.species_index, grown))),
            trained_classes=len(trained_classes) if grown else 0,
            species_evidence=shows_each is not None,
        )
        scorer = cls(means.shape[1], spec)
        scorer.means.copy_(functional.normalize(torch.from_numpy(means), dim=1))
        scorer.profiles.copy_(torch.from_numpy(profiles).clamp(min=0).sqrt())
        scorer.species_classes.copy_(torch.tensor(species_classes, dtype=torch.int64))
        scorer.shows_species[scorer.species_classes] = True
        if shows_each is not None:
            scorer.shows_each.copy_(torch.from_numpy(shows_each))
        if grown:
            scorer.trained_classes.copy_(torch.tensor(trained_classes, dtype=torch.int64))
            scorer.shows_trained[scorer.trained_classes] = True
        if head is not None and scorer.pretrained_head is not None:
            scorer.pretrained_head.load_state_dict(head.state_dict())
        round_weights(scorer)
        # Not rounded: its results are small differences between large sums.
        scorer.discriminant.weight.copy_(torch.from_numpy(discriminant.weight))
        scorer.discriminant.bias.copy_(torch.from_numpy(discriminant.bias))
        every_species = np.arange(len(taxonomy.species))[:, None]
        scorer.known_species.copy_(torch.from_numpy(taxonomy.leaf_species[columns] == every_species))
        scorer.known_classes.copy_(torch.from_numpy(breeds.shares.T[columns]))
        scorer.classes.copy_(torch.from_numpy(breeds.classes))
        scorer.class_species.copy_(torch.from_numpy(breeds.class_species == every_species))
        scorer.trained_share.copy_(torch.from_numpy(breeds.shares[:, columns].sum(axis=1)))
        return scorer.eval()

    def evidence(self, features: np.ndarray, hidden: np.ndarray | None = None) -> Evidence:
        """Like :meth:`forward`, for arrays: features [N, D], ``hidden`` bool [N, P]."""
        with torch.inference_mode():
            return self(torch.tensor(features), None if hidden is None else torch.tensor(hidden))

    def forward(self, features: torch.Tensor, hidden: torch.Tensor | None = None) -> Evidence:
        """Return the evidence in features [B, D]; breed classes that are ``hidden``, bool [B, P], count as absent."""
        cosine = functional.normalize(features, dim=1) @ self.means.T
        scores = self.discriminant(features)
        if self.pretrained_head is None:
            return self.weigh(scores, cosine, None, None)
        probabilities = pretrained_probabilities(self.pretrained_head, features)
        return self.weigh(scores, cosine, probabilities.sqrt() @ self.profiles.T, probabilities, hidden)

    def weigh(
        self,
        scores: torch.Tensor,
        cosine: torch.Tensor,
        shared: torch.Tensor | None,
        probabilities: torch.Tensor | None,
        hidden: torch.Tensor | None = None,
    ) -> Evidence:
        """Return the evidence from similarities to the known leaves, each [B, C], and pretrained probabilities [B, K].

        The similarities are the discriminant's ``scores``, the ``cosine``, and ``shared``, Bhattacharyya coefficients.
        ``shared`` and ``probabilities`` are None without a pretrained head. ``hidden`` is as in :meth:`forward`.
        """
        leading = _inside(scores, self.known_species).topk(min(2, self.spec.classes), dim=2)
        lead = (leading.values[..., 0] - leading.values[..., -1]).clamp(max=MAX_MARGIN)
        margin = lead.masked_fill(self.known_species.sum(dim=1) < 2, 0.0)  # a single leaf has no runner-up
        signals = [margin, _inside(cosine, self.known_species).amax(dim=2)]
        classes = cosine[:, :0]
        if shared is not None and probabilities is not None:
            signals.append((_inside(shared, self.known_species).amax(dim=2).clamp(min=0) + FLOOR).log())
            classes = (probabilities[:, self.classes] + FLOOR).log()
        if self.spec.breed_classes:
            classes = classes if hidden is None else classes.masked_fill(hidden, LOG_ZERO)
            signals += self._pretrained_signals(classes, leading.indices[..., 0])
        signals += [torch.zeros_like(margin)] * (len(SIGNALS) - len(signals))
        breed = torch.stack(signals, dim=2)
        return Evidence(self._pet_evidence(cosine, probabilities), self._species(scores, probabilities), breed, classes)

    def _species(self, scores: torch.Tensor, probabilities: torch.Tensor | None) -> torch.Tensor:
        """Return :attr:`Evidence.species` [B, S]; ``probabilities`` [B, K] are those of the pretrained head."""
        if probabilities is None or not self.spec.species_evidence:
            return torch.zeros_like(scores[:, :1]).expand(-1, self.spec.species)
        mass = sharpened(probabilities) @ self.shows_each.T.to(probabilities.dtype)
        elsewhere = (1 - mass.sum(dim=1, keepdim=True)).clamp(min=0)
        return (torch.where(self.shows_each.any(dim=1), mass, elsewhere) + SPECIES_FLOOR).log()

    def _pretrained_signals(self, classes: torch.Tensor, winner: torch.Tensor) -> list[torch.Tensor]:
        """Return the last four of :data:`SIGNALS`, each [B, S].

        ``classes`` [B, P] are log-probabilities, ``winner`` int [B, S] the known leaf with the largest LDA score.
        """
        inside = _inside(classes, self.class_species)
        mass = inside.logsumexp(dim=2)
        within = inside - mass[..., None]
        trained, untrained = within + _log(self.trained_share), within + _log(1 - self.trained_share)
        own = within + _log(self.known_classes)[winner]
        return [
            mass.clamp(min=MIN_LOG),
            (untrained.logsumexp(dim=2) - trained.logsumexp(dim=2)).clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO),
            untrained.amax(dim=2).clamp(min=MIN_LOG),
            own.logsumexp(dim=2).clamp(min=MIN_LOG),
        ]

    def _pet_evidence(self, cosine: torch.Tensor, probabilities: torch.Tensor | None) -> torch.Tensor:
        """Return :attr:`Evidence.pet` [B, V, 3] from cosines [B, C] and pretrained probabilities [B, K], if any."""
        if not self.spec.grown_species:
            return _evidence_of(cosine, probabilities, self.species_classes, self.shows_species)[:, None]
        of_grown = self.known_species[list(self.spec.grown_species)].any(dim=0)
        of_trained = cosine.masked_fill(of_grown, -1.0)
        trained = _evidence_of(of_trained, probabilities, self.trained_classes, self.shows_trained)
        return torch.stack([trained, self._grown_evidence(cosine.masked_fill(~of_grown, -1.0), probabilities)], dim=1)

    def _grown_evidence(self, cosine: torch.Tensor, probabilities: torch.Tensor | None) -> torch.Tensor:
        """Return the pet evidence [B, 3] for grown species, from cosines [B, C] to grown leaves alone.

        Pretrained classes that show a trained species count against a grown one, unless grown species have no classes
        of their own. The mass is left out, as zero: the pretrained head gives most of it to other classes if few
        classes, or none of its name, show a species.
        """
        similar, zero = cosine.amax(dim=1), torch.zeros_like(cosine[:, 0])
        if probabilities is None or not self.spec.species_classes:
            return torch.stack([similar, zero, zero], dim=1)
        own = self.shows_species & ~self.shows_trained
        return torch.stack([similar, zero, _lead(probabilities, own | (self.shows_species & ~own.any()))], dim=1)

    @torch.no_grad()
    def standardize(self, pet: torch.Tensor) -> None:
        """Set center and scale to the mean and standard deviation of the pet evidence [N, V, 3] for trained species.

        The N photos show known species and were not part of the statistics. Fewer than two change nothing.
        """
        if len(pet) < 2:
            return
        self.center.copy_(pet[:, 0].mean(dim=0))
        self.scale.copy_(pet[:, 0].std(dim=0).clamp(min=1e-6))

    def pet_score(self, pet: torch.Tensor, species: torch.Tensor) -> torch.Tensor:
        """Return the pet score [B]: the sum of the standardized pet evidence [B, V, 3].

        ``species`` [B, S] is largest for the most probable species. If that was grown, the score uses the evidence for
        grown species, plus an offset, ``raised``, that makes up for the lower scores of its photos.
        """
        scores = ((pet - self.center) / self.scale).sum(dim=2)
        if not self.spec.grown_species:
            return scores[:, 0]
        winner = species.argmax(dim=1)
        return torch.where(self.grown[winner], scores[:, 1] + self.raised[winner], scores[:, 0])


def _evidence_of(
    cosine: torch.Tensor, probabilities: torch.Tensor | None, own: torch.Tensor, shows: torch.Tensor
) -> torch.Tensor:
    """Return pet evidence [B, 3] from cosines [B, C] and pretrained probabilities [B, K].

    The pretrained classes that count as pets are given twice: as indices, ``own``, and as a mask, ``shows`` bool [K].
    """
    similar, zero = cosine.amax(dim=1), torch.zeros_like(cosine[:, 0])
    if probabilities is None or not len(own):  # no pretrained head, or it does not know every species
        return torch.stack([similar, zero, zero], dim=1)
    mass = (sharpened(probabilities)[:, own].sum(dim=1) + FLOOR).log()
    return torch.stack([similar, mass, _lead(probabilities, shows)], dim=1)


def _lead(probabilities: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    """Return the log-ratio [B] of the most probable class in ``own``, bool [K], to the most probable other class."""
    best, other = (probabilities.masked_fill(hidden, 0.0).amax(dim=1) for hidden in (~own, own))
    return (best + FLOOR).log() - (other + FLOOR).log()


def _inside(values: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    """Repeat ``values`` [B, N] per species, [B, S, N], with -1e4 outside of the columns of its ``own``, bool [S, N]."""
    return values[:, None, :].masked_fill(~own, -1e4)


def _log(share: torch.Tensor) -> torch.Tensor:
    return share.clamp(min=1e-13).log()
