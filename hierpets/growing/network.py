"""A network of a bundle opened for changes: its heads are fitted again, its backbone stays."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from hierpets.bundle.layout import MANIFEST, brief, incomplete_bundle
from hierpets.bundle.manifest import Manifest, NetworkSpec, Origin, StatisticsSpec
from hierpets.errors import BundleError
from hierpets.growing.named_head import find_named, find_shown, name_classes
from hierpets.hierarchy.calibration import Temperatures
from hierpets.model.graph.convert import save_graph
from hierpets.model.graph.heads import replace_heads
from hierpets.model.graph.runtime import openvino as ov
from hierpets.model.mixture import BreedGate, BreedMixture, SpeciesWeights
from hierpets.model.network import HierarchicalNetwork
from hierpets.model.ood import OODScorer
from hierpets.model.pretrained_breeds import PretrainedBreeds
from hierpets.model.pretrained_head import classes_by_species
from hierpets.model.reader import empty_network
from hierpets.model.rounding import pack, unpack
from hierpets.model.statistics.classes import ClassStatistics
from hierpets.model.statistics.storage import pack_statistics, read_statistics
from hierpets.plugin import PretrainedBreed, PretrainedHead
from hierpets.registry.loading import Registry, load_registry
from hierpets.taxonomy import Leaf, Taxonomy
from hierpets.training.frozen.fitter import refit_ood_scorer
from hierpets.training.frozen.lda import fit_lda_heads
from hierpets.training.frozen.species import species_margin

__all__ = ["OpenNetwork", "open_network"]

BACKBONE = "backbone."


@dataclass(frozen=True)
class OpenNetwork:
    """A network opened for changes.

    ``heads`` is the network without its backbone: it takes features. ``backbone`` are the packed weights of the
    backbone, and ``graph`` is the file of the graph that computes it. ``manifest`` is that of this network alone.
    ``registry`` has the backbone's plugin, which names the classes of the pretrained head; None for the default one.
    """

    manifest: Manifest
    graph: Path
    statistics: ClassStatistics
    heads: HierarchicalNetwork
    backbone: dict[str, torch.Tensor]
    breeds: PretrainedBreeds
    registry: Registry | None

    def refitted(self, statistics: ClassStatistics, pretrained: Collection[Leaf]) -> OpenNetwork:
        """The network with heads and OOD scorer fitted to other statistics.

        ``pretrained`` are the leaves that stay known from pretraining alone.

        :raises PluginError: a leaf is new or a species is removed, and the registry lacks the backbone's plugin, which
            knows which classes of the pretrained head show them.
        """
        taxonomy, spec = statistics.taxonomy, self.spec
        breeds = self.breeds.of_others(taxonomy, pretrained, self._named_breeds(taxonomy))
        network = HierarchicalNetwork(
            torch.nn.Identity(), self.heads.leaf_head.in_features, breeds.taxonomy, len(breeds.trained)
        )
        network.set_heads(
            fit_lda_heads(
                statistics,
                taxonomy,
                shrinkage=spec.shrinkage,
                prior=spec.prior,
                combiner=self.manifest.combiner,
            )
        )
        changed = self._changed(taxonomy=breeds.taxonomy, origins=self._origins(breeds))
        network.ood_scorer = scorer = self._scorer(statistics, breeds, changed.manifest.grown_species)
        network.mixture = BreedMixture.build(
            breeds,
            self._gate(taxonomy.species),
            self.temperatures.divisors(breeds.taxonomy),
            combiner=self.manifest.combiner,
            species_temperature=self.temperatures.species,
            species_weights=self._species_weights(network, statistics) if scorer.spec.species_evidence else None,
        )
        changed = changed._changed(ood=scorer.spec)
        return replace(changed, statistics=statistics, heads=network.eval(), breeds=breeds)

    def tempered(self, temperatures: Temperatures) -> OpenNetwork:
        """The network with other temperatures."""
        self.mixture.temperature.copy_(torch.from_numpy(temperatures.divisors(self.manifest.taxonomy)))
        return self._changed(temperatures=temperatures.model_copy(update={"breeds": {}}))

    def raised(self, by: np.ndarray) -> OpenNetwork:
        """The network with pet scores raised by ``by`` [S] for photos whose most probable species is that one.

        Only grown species may have an entry other than 0.
        """
        self.scorer.raised.add_(torch.from_numpy(by))
        return self

    @property
    def spec(self) -> StatisticsSpec:
        """How heads are fitted to the statistics."""
        assert self.manifest.statistics is not None
        return self.manifest.statistics

    @property
    def temperatures(self) -> Temperatures:
        """The temperatures of the heads: the manifest has that of the species, the mixture those of the breeds."""
        names, divisors = self.manifest.taxonomy.species, self.mixture.temperature.tolist()
        return Temperatures(species=self.manifest.temperatures.species, breeds=dict(zip(names, divisors, strict=True)))

    @property
    def scorer(self) -> OODScorer:
        """The OOD scorer."""
        assert self.heads.ood_scorer is not None
        return self.heads.ood_scorer

    @property
    def mixture(self) -> BreedMixture:
        """The mixture of trained and pretrained breeds."""
        assert self.heads.mixture is not None
        return self.heads.mixture

    @property
    def raised_by(self) -> dict[str, float]:
        """For each grown species, by how much the pet scores of photos predicted as it are raised."""
        species, scorer = self.manifest.taxonomy.species, self.scorer
        return {species[s]: float(scorer.raised[s]) for s in scorer.spec.grown_species}

    def write(self, folder: Path, files: NetworkSpec) -> StatisticsSpec:
        """Write the ``files`` of the network, and return the spec of its statistics file.

        The backbone in the new graph computes the same as in the graph that it was read from.
        """
        content, spec = pack_statistics(self.statistics, shrinkage=self.spec.shrinkage, prior=self.spec.prior)
        (folder / files.graph).parent.mkdir(exist_ok=True)
        graph = replace_heads(ov.Core().read_model(self.graph), self.heads)
        save_graph(graph, folder / files.graph)
        (folder / files.weights).write_bytes(save({**self.backbone, **pack(self.heads.state_dict())}))
        (folder / files.statistics_file).write_bytes(content)
        return spec

    def _changed(self, **changes: Any) -> OpenNetwork:
        return replace(self, manifest=self.manifest.model_copy(update=changes))

    def _gate(self, species: Sequence[str]) -> BreedGate:
        """The old gate, closed for new species: nothing is known about their unlisted breeds."""
        old, closed = self.mixture, BreedGate.closed(len(species))
        known = self.manifest.taxonomy.species
        weight, bias = closed.weight, closed.bias
        for s, name in enumerate(species):
            if name in known:
                weight[s], bias[s] = old.weight[known.index(name)].numpy(), old.bias[known.index(name)].numpy()
        return BreedGate(old.center.numpy(), old.scale.numpy(), weight, bias)

    def _species_weights(self, network: HierarchicalNetwork, statistics: ClassStatistics) -> SpeciesWeights:
        """The old species weights, rescaled to the heads of ``network``, which are fitted to other ``statistics``:
        their logits may be larger or smaller overall.
        """
        head, pretrained = self.mixture.species_weights.tolist()
        before, now = (
            species_margin(heads.get_heads().species, known, known.taxonomy.species)
            for heads, known in ((self.heads, self.statistics), (network, statistics))
        )
        return SpeciesWeights(head * before / now, pretrained)

    def _origins(self, breeds: PretrainedBreeds) -> tuple[Origin, ...]:
        before = dict(zip(self.manifest.taxonomy.leaves, self.manifest.origins, strict=True))
        found = zip(breeds.taxonomy.leaves, breeds.origins, strict=True)
        return tuple(
            origin if origin == "pretrained" else "trained" if before.get(leaf) == "trained" else "grown"
            for leaf, origin in found
        )

    @cached_property
    def _named_head(self) -> PretrainedHead | None:
        return name_classes(self.manifest.backbone, self.registry or load_registry())

    def _named_breeds(self, trained: Taxonomy) -> Mapping[int, Sequence[PretrainedBreed]]:
        """The breeds that classes of the pretrained head show; empty, without loading the plugin, if no leaf is new."""
        is_new = not {*trained.leaves} <= {*self.manifest.taxonomy.leaves}
        head = self._named_head if is_new and len(self.breeds.classes) else None
        return head.breeds if head else {}

    def _species_classes(self, statistics: ClassStatistics, grown: Collection[str]) -> tuple[list[int], list[int]]:
        """The classes of the pretrained head that show a known species, and those of them that show one not ``grown``.

        They are the old classes, without those of removed species, plus those of new species.
        """
        scorer, manifest = self.scorer, self.manifest
        shown = {*scorer.species_classes.tolist()}
        trained = {*scorer.trained_classes.tolist()} if scorer.spec.grown_species else shown
        old, now = {*manifest.taxonomy.species}, {*statistics.taxonomy.species}
        no_longer_trained = old - manifest.grown_species - now.difference(grown)  # removed, or grown now
        if not shown or (old == now and not no_longer_trained):
            return sorted(shown), sorted(trained)
        if no_longer_trained or not old <= now:
            named = find_named(self._named_head, now.difference(grown))
            shown = shown & (named | find_shown(self._named_head, statistics, old & {*grown}))
            trained = trained & named
        return sorted(shown | find_shown(self._named_head, statistics, now - old)), sorted(trained)

    def _shows_each(self, statistics: ClassStatistics, taxonomy: Taxonomy) -> np.ndarray | None:
        """The classes of the pretrained head that count as evidence for each species of a new ``taxonomy``, bool [S,
        K].

        Known species keep their classes; a new species gets those that show it and no other. None if the pretrained
        head does not contribute to the species.
        """
        if not self.scorer.spec.species_evidence:
            return None
        before, rows = self.manifest.taxonomy.species, self.scorer.shows_each.numpy()
        shown = {name: {*np.flatnonzero(row).tolist()} for name, row in zip(before, rows, strict=True)}
        kept = {name: classes for name, classes in shown.items() if name in taxonomy.species}
        for name in taxonomy.species:
            if name not in kept:
                kept[name] = find_shown(self._named_head, statistics, {name}).difference(*kept.values())
        return classes_by_species(kept, taxonomy, rows.shape[1])

    def _scorer(self, statistics: ClassStatistics, breeds: PretrainedBreeds, grown: Collection[str]) -> OODScorer:
        before = self.scorer
        shown, trained = self._species_classes(statistics, grown)
        scorer = refit_ood_scorer(
            statistics,
            before.pretrained_head,
            shown,
            breeds,
            shows_each=self._shows_each(statistics, breeds.taxonomy),
            grown=grown,
            trained_classes=trained,
        )
        # Keep the scale of the pet threshold, which was computed from photos that are no longer available.
        scorer.center.copy_(before.center)
        scorer.scale.copy_(before.scale)
        for name in grown & self.raised_by.keys():
            scorer.raised[breeds.taxonomy.species_index(name)] = self.raised_by[name]
        return scorer


def open_network(folder: Path, bundle: Manifest, stage: int, registry: Registry | None) -> OpenNetwork:
    """Open a network of a bundle for changes. ``registry`` has its backbone's plugin; None for the default one.

    :raises BundleError: it is missing or damaged, or the bundle keeps no statistics of it.
    """
    manifest, files = bundle.alone(stage), bundle.networks[stage]
    statistics = read_statistics(folder, files)
    path, graph = folder / files.weights, folder / files.graph
    if not path.is_file() or not graph.is_file():
        raise incomplete_bundle(
            folder, f"a bundle without {files.weights} or {files.graph} cannot be changed; use the whole one"
        )
    if manifest.ood is None or not {*manifest.taxonomy.leaves} - manifest.pretrained <= {*statistics.labels}:
        raise BundleError(f"{files.statistics_file} does not hold every class of {MANIFEST}, and cannot be added to")
    try:
        state = load_file(path)
        heads = _heads(manifest, {n: t for n, t in state.items() if not n.startswith(BACKBONE)}, statistics)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise BundleError(f"{path}: does not fit {MANIFEST}: {brief(error)}") from error
    backbone = {n: t for n, t in state.items() if n.startswith(BACKBONE)}
    return OpenNetwork(manifest, graph, statistics, heads, backbone, _breeds(manifest, heads), registry)


def _heads(manifest: Manifest, state: dict[str, torch.Tensor], statistics: ClassStatistics) -> HierarchicalNetwork:
    network = empty_network(torch.nn.Identity(), statistics.sums.shape[1], manifest)
    network.load_state_dict(unpack(state))
    return network.eval()


def _breeds(manifest: Manifest, heads: HierarchicalNetwork) -> PretrainedBreeds:
    assert heads.ood_scorer is not None and heads.mixture is not None
    return PretrainedBreeds(
        taxonomy=manifest.taxonomy,
        trained=tuple(leaf for leaf in manifest.taxonomy.leaves if leaf not in manifest.pretrained),
        classes=heads.ood_scorer.classes.numpy(),
        class_species=heads.mixture.class_species.numpy(),
        shares=heads.mixture.shares.numpy(),
    )
