"""How good a network is on photos that it does not train on."""

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
    """Balanced accuracy (mean recall over the classes seen) of ``breed`` and ``species``, and the mean negative
    log-likelihood of the labels, ``nll``. ``breed`` is None where no breed is known.
    """

    breed: float | None
    species: float
    nll: float

    @property
    def accuracy(self) -> float:
        """What training is for: breed balanced accuracy, or that of species where there are no breeds."""
        return self.species if self.breed is None else self.breed

    @property
    def rank(self) -> tuple[float, float]:
        """The larger, the better: accuracy, then likelihood."""
        return self.accuracy, -self.nll

    def as_dict(self) -> dict[str, float | None]:
        return asdict(self)


class Judged(NamedTuple):
    """Which of N photos are ``right`` (bool [N]), and what each counts (float [N], the sum is one): classes all count
    the same, photos that are not judged nothing.
    """

    right: np.ndarray
    weights: np.ndarray

    @property
    def shares(self) -> np.ndarray:
        """float [N]: what each photo adds to the balanced accuracy."""
        return self.right * self.weights

    @property
    def accuracy(self) -> float:
        """Balanced accuracy."""
        return min(1.0, float(self.shares.sum()))  # what rounding adds to all of them is no accuracy


class PairedDifference(NamedTuple):
    """By how much one model is better than another on the same photos, and the standard error of that if neither is
    better than the other: a single photo that they judge differently is just as much.
    """

    total: float
    error: float

    @property
    def is_clear(self) -> bool:
        """Whether it is more than a standard error."""
        return self.total > self.error


def paired_difference(differences: np.ndarray, groups: np.ndarray | None = None) -> PairedDifference:
    """The sum of ``differences`` (float [N]) photo by photo, or animal by animal where ``groups`` (int [N]) tells which
    photos show one.
    """
    if groups is not None:
        differences = np.bincount(np.unique(groups, return_inverse=True)[1], differences)
    return PairedDifference(float(differences.sum()), float(np.sqrt((differences**2).sum())))


@dataclass(frozen=True)
class LabeledLogits:
    """Logits [N, S] and [N, L] of N photos, and their labels."""

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
        """Probabilities [N, S]."""
        return species_probabilities(np.exp(self.log_joint), self.taxonomy)

    @property
    def finest(self) -> tuple[np.ndarray, np.ndarray]:
        """The class of each photo and the most probable one, int [N], at the level that training is for: breed, or
        species where there are no breeds; class -1 where it is not known.
        """
        if self.labels.breed_known.any():  # also of a species without breeds
            return self.labels.leaf, self.log_joint.argmax(axis=1)
        return self.labels.species, self.by_species.argmax(axis=1)

    @property
    def judged(self) -> Judged:
        """Each photo at the level of :attr:`finest`."""
        classes, guessed = self.finest
        known = classes != UNKNOWN_LEAF
        weights = np.zeros(len(classes))
        weights[known] = balanced_weights(classes[known])
        return Judged(guessed == classes, weights)

    def score(self) -> Score:
        """By the most probable leaf and the most probable species of each photo."""
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
            nll=abs(float(likelihood.mean())),  # of certainty it is 0, not -0
        )


@dataclass(frozen=True)
class Validation:
    """Photos to judge by, shared out among the processes; all of them learn what a network says of them, with the
    ``shift`` of its prior.
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
        """What a network says, in evaluation mode, in full precision."""
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
