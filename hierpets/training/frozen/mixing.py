"""Fit the mixture of trained and pretrained breeds, and compute its outputs for held-out photos."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hierpets.data.records import PhotoIndex
from hierpets.hierarchy.calibration import Temperatures, fit_temperatures
from hierpets.hierarchy.outputs import Outputs
from hierpets.hierarchy.policy import ENOUGH_OTHERS
from hierpets.hierarchy.probabilities import Combiner
from hierpets.model.mixture import BreedMixture, SpeciesWeights
from hierpets.model.network import mix
from hierpets.model.ood import Evidence, OODScorer
from hierpets.model.pretrained_breeds import PretrainedBreeds
from hierpets.plugin import Labels, PretrainedHead
from hierpets.taxonomy import Taxonomy
from hierpets.training.frozen.fit import FrozenResult
from hierpets.training.frozen.gate import GatePhotos, fit_gate, gate_sources
from hierpets.training.frozen.species import SpeciesPhotos, fit_species_weights, species_margin
from hierpets.training.outputs import HeldOutOutputs

__all__ = ["HeldOutPhotos", "Mixing", "PhotosByPopulation", "fit_mixing"]

HELD_OUT_LOGIT = -1e6
"""Logit of a breed that was held out: it gives a probability of zero at any temperature."""


class HeldOutPhotos(NamedTuple):
    """Species logits [M, S], breed logits ``leaf`` [M, T] and evidence of M training photos, from fits to others.

    ``rows`` int64 [M] are the indices of these photos among all training photos.
    """

    rows: np.ndarray
    species: np.ndarray
    leaf: np.ndarray
    evidence: Evidence

    def where(self, chosen: np.ndarray) -> HeldOutPhotos:
        """Return the photos where ``chosen``, bool [M], is true."""
        rows, species, leaf = (array[chosen] for array in (self.rows, self.species, self.leaf))
        return HeldOutPhotos(rows, species, leaf, self.evidence.where(chosen))

    def of_species(self, labels: Labels, margin: float) -> SpeciesPhotos:
        """Return what is said of the photos' species, with logits in units of ``margin``.

        ``labels`` are those of all training photos.
        """
        return SpeciesPhotos(self.species / margin, self.evidence.species.numpy(), labels.species[self.rows])


class PhotosByPopulation(NamedTuple):
    """Held-out photos of each class of the gate.

    They are photos of ``trained`` breeds; of breeds that were held out, but known to the pretrained head,
    ``pretrained``; and of breeds that were held out and hidden from the pretrained head as well, ``unlisted``.
    """

    trained: HeldOutPhotos
    pretrained: HeldOutPhotos
    unlisted: HeldOutPhotos


@dataclass(frozen=True)
class Mixing:
    """The leaves of a model, its ``mixture``, and for each fold a mixture that was not fitted to it.

    ``temperatures`` are those of the breed heads' own logits.
    """

    breeds: PretrainedBreeds
    mixture: BreedMixture
    temperatures: Temperatures
    by_population: PhotosByPopulation
    _by_fold: tuple[BreedMixture, ...]
    _found: FrozenResult
    _scorer: OODScorer
    _labels: Labels
    _trained_breeds: PretrainedBreeds

    @property
    def folds(self) -> np.ndarray:
        """The fold of each training photo, int [N]."""
        return self._found.folds

    def of_training(self, train: PhotoIndex, photos: HeldOutPhotos) -> HeldOutOutputs | None:
        """Return the outputs for training photos, each from the mixture of its fold; None if there are no photos."""
        rows, tree = photos.rows, self.breeds.taxonomy
        if not len(rows):
            return None
        columns = len(tree.species), len(tree.leaves), 1 + len(tree.species)
        found = Outputs(*(np.zeros((len(rows), count)) for count in columns))
        for fold, mixture in enumerate(self._by_fold):
            inside = self._found.folds[rows] == fold
            own = photos.where(inside)
            answers = mix(self._scorer, mixture, own.species, own.leaf, own.evidence)
            for column, values in zip(found, answers, strict=True):
                column[inside] = values
        paths, labels = tuple(train.paths[row] for row in rows), train.labels().where(rows)
        return self._outputs(paths, labels, found)

    def second_look(self, rows: np.ndarray, features: np.ndarray) -> PhotosByPopulation:
        """Return the held-out results of a second look at training photos ``rows``, int64 [K] ascending.

        ``features`` [K, D] are those of the second look.
        """
        found = self._found.second_look(rows, features, self._labels, self._trained_breeds)
        photos = _by_population(found, self._labels, self._trained_breeds)
        same = np.isin(photos.pretrained.rows, self.by_population.pretrained.rows)
        return photos._replace(pretrained=photos.pretrained.where(same))

    def of_others(self, photos: PhotoIndex, features: np.ndarray) -> HeldOutOutputs:
        """Return the outputs for photos that nothing was fitted to, with features [N, D]."""
        species, leaf = self._found.fit.heads(features)
        found = mix(self._scorer, self.mixture, species, leaf, self._scorer.evidence(features))
        return self._outputs(tuple(photos.paths), photos.labels(), found)

    def _outputs(self, paths: tuple[str, ...], labels: Labels, found: Outputs) -> HeldOutOutputs:
        return HeldOutOutputs(
            paths,
            self.breeds.relabel(labels),
            *found,
            leaf_calibrated=True,
            species_calibrated=self.mixture.species_evidence,
        )


def fit_mixing(
    found: FrozenResult,
    labels: Labels,
    taxonomy: Taxonomy,
    head: PretrainedHead | None,
    *,
    pretrained_breeds: bool,
    combiner: Combiner = "conditional",
) -> Mixing:
    """Fit the mixture to the outputs for training photos that were held out, or whose breeds were.

    With ``pretrained_breeds``, breeds that only the pretrained head knows are added to species with enough photos of
    trained breeds that it knows as well: only there can it be measured how well it names a breed.
    """
    trained_breeds = PretrainedBreeds.of(taxonomy, head)
    photos = _by_population(found, labels, trained_breeds)
    counts = np.bincount(labels.species[photos.pretrained.rows], minlength=len(taxonomy.species))
    extended = {s for s, count in enumerate(counts) if pretrained_breeds and count >= ENOUGH_OTHERS}
    breeds = PretrainedBreeds.of(taxonomy, head, extended={taxonomy.species[s] for s in extended})
    kept = np.isin(labels.species[photos.pretrained.rows], [*extended])
    photos = photos._replace(pretrained=photos.pretrained.where(kept))

    parts = _PartsOfMixture(found, labels, taxonomy, photos)
    sources = gate_sources(parts.gate_photos(), species=len(taxonomy.species), extended=extended)

    def mixture(temperatures: Temperatures, without: int | None) -> BreedMixture:
        # All gates have the same sources, because thresholds are fitted to the outputs of the mixtures of folds, and
        # used with the mixture of all photos.
        gate, weights = fit_gate(parts.gate_photos(without), sources), parts.species_weights(without)
        divisors = temperatures.divisors(taxonomy)
        return BreedMixture.build(breeds, gate, divisors, combiner=combiner, species_weights=weights)

    by_fold = tuple(mixture(parts.temperatures(fold), fold) for fold in range(found.folds.max(initial=-1) + 1))
    temperatures, scorer = parts.temperatures(), found.fit.ood_scorer
    whole = mixture(temperatures, None)
    return Mixing(breeds, whole, temperatures, photos, by_fold, found, scorer, labels, trained_breeds)


class _PartsOfMixture(NamedTuple):
    """Fits the parts of a mixture to held-out ``photos``: to all, or to those outside of one fold.

    ``labels`` are those of all training photos.
    """

    found: FrozenResult
    labels: Labels
    taxonomy: Taxonomy
    photos: PhotosByPopulation

    def temperatures(self, without: int | None = None) -> Temperatures:
        """Fit the temperatures."""
        trained, labels = self.photos.trained, self.labels
        kept = self.found.folds[trained.rows] != without
        rows = trained.rows[kept]
        return fit_temperatures(
            self.found.out_of_fold.species[kept],
            trained.leaf[kept],
            species=labels.species[rows],
            leaf=labels.leaf[rows],
            taxonomy=self.taxonomy,
        )

    def gate_photos(self, without: int | None = None) -> list[GatePhotos]:
        """Return the photos for the gate, of each of its classes."""
        trained, labels = self.photos.trained, self.labels
        # A photo of unknown breed may show an unlisted one.
        gated = self.photos._replace(trained=trained.where(labels.breed_known[trained.rows]))
        kept = (own.where(self.found.folds[own.rows] != without) for own in gated)
        return [GatePhotos(own.evidence.breed.numpy(), labels.species[own.rows]) for own in kept]

    def species_weights(self, without: int | None = None) -> SpeciesWeights | None:
        """Fit the species weights; None if the species logits are those of the species head alone."""
        found, photos = self.found, self.photos
        if not found.fit.ood_scorer.spec.species_evidence:
            return None
        margin = species_margin(found.fit.heads.species, found.statistics, self.taxonomy.species)
        kept = (own.where(found.folds[own.rows] != without) for own in (photos.trained, photos.unlisted))
        head, pretrained = fit_species_weights(*(own.of_species(self.labels, margin) for own in kept))
        return SpeciesWeights(head / margin, pretrained)


def _by_population(found: FrozenResult, labels: Labels, breeds: PretrainedBreeds) -> PhotosByPopulation:
    unseen, by_breed = found.out_of_fold, found.held_out_breeds
    judged = np.isin(by_breed.rows, unseen.rows)
    rows = by_breed.rows[judged]
    margin = species_margin(found.fit.heads.species, found.statistics, breeds.taxonomy.species)
    species, leaf = by_breed.species[judged] * margin, unseen.leaf[unseen.places(rows)]
    leaf[np.arange(len(rows)), labels.leaf[rows]] = HELD_OUT_LOGIT  # as if the heads had not seen the breed
    known = np.asarray(breeds.classes_of(labels.leaf[rows]).any(axis=1))
    return PhotosByPopulation(
        HeldOutPhotos(unseen.rows, unseen.species, unseen.leaf, unseen.evidence),
        HeldOutPhotos(rows, species, leaf, by_breed.pretrained.where(judged)).where(known),
        HeldOutPhotos(rows, species, leaf, by_breed.unlisted.where(judged)),
    )
