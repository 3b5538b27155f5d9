"""Score a network on photos that it does not train on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch

from hierpets.data.dataset import iter_inputs
from hierpets.data.records import PhotoIndex
from hierpets.evaluation.metrics.classes import balanced_accuracy, balanced_weights
from hierpets.hierarchy.probabilities import Combiner, log_joint_probabilities, species_probabilities
from hierpets.model.cudnn import exact_float32
from hierpets.model.network import HierarchicalNetwork
from hierpets.plugin import Labels, Preprocess
from hierpets.taxonomy import UNKNOWN_LEAF, Taxonomy
from hierpets.training.distributed import DistributedContext
from hierpets.training.prior import PriorShift

__all__ = ["Judged", "LabeledLogits", "PairedDifference", "Score", "Validation", "paired_difference"]


@dataclass(frozen=True)
class Score:
    """Balanced accuracy (mean recall over the classes present) of ``breed`` and ``species``, and ``nll``, the mean
    negative log-likelihood of the labels. ``breed`` is None if no label has a breed.
    """

    breed: float | None
    species: float
    nll: float

    @property
    def accuracy(self) -> float:
        """The balanced accuracy that training maximizes: that of breeds, or of species if there are no breeds."""
        return self.species if self.breed is None else self.breed

    @property
    def rank(self) -> tuple[float, float]:
        """Sort key, larger is better: accuracy, then likelihood."""
        return self.accuracy, -self.nll

    def as_dict(self) -> dict[str, float | None]:
        return asdict(self)


class Judged(NamedTuple):
    """Which of N photos are ``right``, bool [N], and their ``weights``, float [N], which sum to one.

    All classes have the same total weight; photos that are not judged have weight 0.
    """

    right: np.ndarray
    weights: np.ndarray

    @property
    def shares(self) -> np.ndarray:
        """float [N]: the contribution of each photo to the balanced accuracy."""
        return self.right * self.weights

    @property
    def accuracy(self) -> float:
        """Balanced accuracy."""
        return min(1.0, float(self.shares.sum()))  # rounding may lift the sum above 1


class PairedDifference(NamedTuple):
    """By how much one model is better than another on the same photos, and the standard error under no difference.

    If the models differ on a single photo, the difference is exactly one standard error.
    """

    total: float
    error: float

    @property
    def is_clear(self) -> bool:
        """Whether the difference is more than one standard error."""
        return self.total > self.error


def paired_difference(differences: np.ndarray, groups: np.ndarray | None = None) -> PairedDifference:
    """Sum up the ``differences``, float [N], of photos; ``groups`` int [N] marks photos of the same animal.

    The standard error treats animals as independent, or without ``groups`` photos.
    """
    if groups is not None:
        differences = np.bincount(np.unique(groups, return_inverse=True)[1], differences)
    return PairedDifference(float(differences.sum()), float(np.sqrt((differences**2).sum())))


@dataclass(frozen=True)
class LabeledLogits:
    """The ``species`` logits [N, S] and ``leaf`` logits [N, L] of N photos, and their labels."""

    species: np.ndarray
    leaf: np.ndarray
    labels: Labels
    taxonomy: Taxonomy
    combiner: Combiner

    @cached_property
    def log_joint(self) -> np.ndarray:
        """The logarithms of the joint probabilities [N, L]."""
        return log_joint_probabilities(self.species, self.leaf, self.taxonomy, combiner=self.combiner)

    @cached_property
    def by_species(self) -> np.ndarray:
        """The probabilities of the species [N, S]."""
        return species_probabilities(np.exp(self.log_joint), self.taxonomy)

    @property
    def finest(self) -> tuple[np.ndarray, np.ndarray]:
        """The true and the most probable class of each photo, int [N] each, at the finest level that labels have.

        That is the breed, or the species if no label has a breed. An unknown true class is -1.
        """
        if self.labels.breed_known.any():  # true as well for the leaf of a species without breeds
            return self.labels.leaf, self.log_joint.argmax(axis=1)
        return self.labels.species, self.by_species.argmax(axis=1)

    @property
    def judged(self) -> Judged:
        """Which photos are right at the level of :attr:`finest`, with weights that balance the classes."""
        classes, guessed = self.finest
        known = classes != UNKNOWN_LEAF
        weights = np.zeros(len(classes))
        weights[known] = balanced_weights(classes[known])
        return Judged(guessed == classes, weights)

    def score(self) -> Score:
        """Score the most probable leaf and the most probable species of each photo."""
        known = self.labels.breed_known
        rows = np.arange(len(self.labels))
        likelihood = np.where(
            known,
            self.log_joint[rows, self.labels.leaf],
            np.log(self.by_species[rows, self.labels.species].clip(min=1e-300)),
        )
        leaf, species = self.labels.leaf[known], self.labels.species
        breed = float(balanced_accuracy(self.log_joint[known].argmax(axis=1) == leaf, leaf))
        return Score(
            breed=breed if self.taxonomy.has_breeds and known.any() else None,
            species=float(balanced_accuracy(self.by_species.argmax(axis=1) == species, species)),
            nll=abs(float(likelihood.mean())),  # abs, not minus: 0 instead of -0
        )


@dataclass(frozen=True)
class Validation:
    """Validation photos, divided among the processes, and how a network is run on them.

    ``shift`` is added to the network's logits to correct its prior.
    """

    photos: PhotoIndex
    preprocess: Preprocess
    combiner: Combiner
    device: str
    processes: DistributedContext
    shift: PriorShift
    workers: int

    def __len__(self) -> int:
        return len(self.photos)

    def ask(self, network: HierarchicalNetwork) -> LabeledLogits:
        """Run a network on all photos, in evaluation mode and full precision, and return the logits in each process."""
        tree, count = self.photos.taxonomy, self.processes.world_size
        own = self._logits(network, self.photos.paths[self.processes.rank :: count])
        species, leaf = np.empty((len(self), len(tree.species))), np.empty((len(self), len(tree.leaves)))
        for rank, part in enumerate(self.processes.gather(own)):
            species[rank::count], leaf[rank::count] = part
        species, leaf = species + self.shift.species, leaf + self.shift.leaf
        return LabeledLogits(species, leaf, self.photos.labels(), tree, self.combiner)

    @exact_float32
    @torch.no_grad()
    def _logits(self, network: HierarchicalNetwork, paths: list[str]) -> tuple[np.ndarray, np.ndarray]:
        network.eval()
        tree = self.photos.taxonomy
        species, leaf = [np.empty((0, len(tree.species)))], [np.empty((0, len(tree.leaves)))]
        for _, inputs in iter_inputs(paths, self.preprocess, workers=self.workers):
            output = network(torch.from_numpy(inputs).to(self.device, memory_format=torch.channels_last))
            species.append(output.species.cpu().numpy())
            leaf.append(output.leaf.cpu().numpy())
        return np.concatenate(species), np.concatenate(leaf)
