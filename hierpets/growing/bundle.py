"""A bundle taken apart, so that its heads can be fitted again and everything before them stays as it is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from hierpets.data.content import content_key
from hierpets.errors import BundleError
from hierpets.files import whole_folder
from hierpets.hierarchy.calibration import Temperatures
from hierpets.model.graph.heads import replace_heads
from hierpets.model.graph.runtime import openvino as ov
from hierpets.model.layout import GRAPH, MANIFEST, SEEN, STATISTICS, WEIGHTS, brief, incomplete_bundle
from hierpets.model.manifest import Manifest, Origin, manifest_text, read_manifest
from hierpets.model.mixture import BreedGate, BreedMixture
from hierpets.model.network import HierarchicalNetwork
from hierpets.model.ood import OODScorer
from hierpets.model.pretrained_breeds import PretrainedBreeds
from hierpets.model.reader import empty_network
from hierpets.model.rounding import pack, unpack
from hierpets.model.seen import SeenPhotos
from hierpets.model.statistics.classes import ClassStatistics
from hierpets.model.statistics.storage import pack_statistics, read_statistics
from hierpets.taxonomy import Leaf
from hierpets.training.frozen.fit import DISCRIMINANT
from hierpets.training.frozen.lda import fit_lda, fit_lda_heads

__all__ = ["OpenBundle", "open_bundle"]

BACKBONE = "backbone."


@dataclass(frozen=True)
class OpenBundle:
    """``heads`` is the network without its backbone, which takes features; ``backbone`` are the packed weights of that,
    and ``source`` is the folder whose graph computes it.
    """

    source: Path
    manifest: Manifest
    statistics: ClassStatistics
    heads: HierarchicalNetwork
    backbone: dict[str, torch.Tensor]
    breeds: PretrainedBreeds

    def refitted(
        self,
        statistics: ClassStatistics,
        pretrained: Collection[Leaf],
        species_classes: list[int] | None = None,
        **changes: Any,
    ) -> OpenBundle:
        """The same bundle with heads and OOD scorer fitted to other statistics, and ``changes`` of its manifest.

        ``pretrained`` are the leaves that stay known from pretraining alone; ``species_classes`` the classes of the
        pretrained head that show a species; None for those of before.
        """
        taxonomy, spec = statistics.taxonomy, self.manifest.statistics
        assert spec is not None
        breeds = self.breeds.of_others(taxonomy, pretrained)
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
        network.ood_scorer = self._scorer(statistics, breeds, species_classes)
        network.mixture = BreedMixture.build(
            breeds, self._gate(taxonomy.species), self.temperatures.divisors(breeds.taxonomy)
        )
        update = {
            "taxonomy": breeds.taxonomy,
            "origins": self._origins(breeds),
            "ood": network.ood_scorer.spec,
            **changes,
        }
        manifest = self.manifest.model_copy(update=update)
        return replace(self, manifest=manifest, statistics=statistics, heads=network.eval(), breeds=breeds)

    def tempered(self, temperatures: Temperatures) -> OpenBundle:
        """The same bundle with other temperatures."""
        self.mixture.temperature.copy_(torch.from_numpy(temperatures.divisors(self.manifest.taxonomy)))
        return self.changed(temperatures=temperatures.model_copy(update={"breeds": {}}))

    @property
    def temperatures(self) -> Temperatures:
        """Those of the heads; the manifest has that of the species, the mixture those of breeds."""
        names, divisors = self.manifest.taxonomy.species, self.mixture.temperature.tolist()
        return Temperatures(species=self.manifest.temperatures.species, breeds=dict(zip(names, divisors, strict=True)))

    def _gate(self, species: Sequence[str]) -> BreedGate:
        """The gate of before; of a new species nothing is known about breeds that it does not list."""
        old, closed = self.mixture, BreedGate.closed(len(species))
        known = self.manifest.taxonomy.species
        weight, bias = closed.weight, closed.bias
        for s, name in enumerate(species):
            if name in known:
                weight[s], bias[s] = old.weight[known.index(name)].numpy(), old.bias[known.index(name)].numpy()
        return BreedGate(old.center.numpy(), old.scale.numpy(), weight, bias)

    def _origins(self, breeds: PretrainedBreeds) -> tuple[Origin, ...]:
        before = dict(zip(self.manifest.taxonomy.leaves, self.manifest.origins, strict=True))
        found = zip(breeds.taxonomy.leaves, breeds.origins, strict=True)
        return tuple(
            origin if origin == "pretrained" else "trained" if before.get(leaf) == "trained" else "grown"
            for leaf, origin in found
        )

    def changed(self, **changes: Any) -> OpenBundle:
        """The same bundle with other values in its manifest."""
        return replace(self, manifest=self.manifest.model_copy(update=changes))

    def write(self, folder: Path, learned: Iterable[str] = ()) -> None:
        """Write the bundle whole or not at all. Its graph computes the backbone as that of ``source`` does.

        ``learned`` are the photos that it was fitted to beside those that ``source`` knows of.
        """
        spec = self.manifest.statistics
        assert spec is not None
        content, spec = pack_statistics(self.statistics, shrinkage=spec.shrinkage, prior=spec.prior)
        manifest = self.manifest.model_copy(update={"statistics": spec})
        seen = SeenPhotos.read(self.source)
        graph = replace_heads(ov.Core().read_model(self.source / GRAPH), self.heads)
        with whole_folder(folder) as made:
            (made / GRAPH).parent.mkdir()
            ov.save_model(graph, made / GRAPH, compress_to_fp16=False)
            (made / WEIGHTS).write_bytes(save({**self.backbone, **pack(self.heads.state_dict())}))
            (made / STATISTICS).write_bytes(content)
            if seen is not None:
                (made / SEEN).write_bytes(SeenPhotos(seen | SeenPhotos.of(map(content_key, learned))).pack())
            (made / MANIFEST).write_text(manifest_text(manifest), encoding="utf-8")

    def _scorer(
        self, statistics: ClassStatistics, breeds: PretrainedBreeds, species_classes: list[int] | None
    ) -> OODScorer:
        before, known = self.scorer, statistics.leaves
        kept = before.species_classes.tolist() if species_classes is None else species_classes
        scorer = OODScorer.build(
            known=known,
            breeds=breeds,
            means=statistics.means_of(known),
            profiles=statistics.profiles_of(known),
            discriminant=fit_lda(statistics, known, shrinkage=DISCRIMINANT.shrinkage),
            pretrained_head=before.pretrained_head,
            species_classes=kept,
        )
        # The thresholds are on this scale, which comes from photos that are no longer there.
        scorer.center.copy_(before.center)
        scorer.scale.copy_(before.scale)
        return scorer

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


def open_bundle(folder: Path) -> OpenBundle:
    """Take a bundle apart.

    :raises BundleError: a missing or damaged bundle, or one that keeps no statistics.
    """
    manifest = read_manifest(folder)
    if manifest.early:
        raise BundleError(
            f"{folder}: a bundle with early networks, of which it keeps no statistics, cannot grow or forget; "
            "train it without the setting early"
        )
    statistics = read_statistics(folder, manifest)
    path = folder / WEIGHTS
    if not path.is_file() or not (folder / GRAPH).is_file():
        raise incomplete_bundle(folder, f"a bundle without {WEIGHTS} or {GRAPH} cannot be changed; use the whole one")
    try:
        state = load_file(path)
        heads = _heads(manifest, {n: t for n, t in state.items() if not n.startswith(BACKBONE)}, statistics)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise BundleError(f"{path}: does not fit {MANIFEST}: {brief(error)}") from error
    backbone = {n: t for n, t in state.items() if n.startswith(BACKBONE)}
    return OpenBundle(folder, manifest, statistics, heads, backbone, _breeds(manifest, heads))


def _heads(manifest: Manifest, state: dict[str, torch.Tensor], statistics: ClassStatistics) -> HierarchicalNetwork:
    width = statistics.sums.shape[1]
    leaves = zip(manifest.taxonomy.leaves, manifest.origins, strict=True)
    learned = {leaf for leaf, origin in leaves if origin != "pretrained"}
    if manifest.ood is None or not learned <= {*statistics.labels}:
        raise BundleError(f"{STATISTICS} does not hold every class of {MANIFEST}, and cannot be added to")
    network = empty_network(torch.nn.Identity(), width, manifest)
    network.load_state_dict(unpack(state))
    return network.eval()


def _breeds(manifest: Manifest, heads: HierarchicalNetwork) -> PretrainedBreeds:
    assert heads.ood_scorer is not None and heads.mixture is not None
    leaves = zip(manifest.taxonomy.leaves, manifest.origins, strict=True)
    return PretrainedBreeds(
        taxonomy=manifest.taxonomy,
        trained=tuple(leaf for leaf, origin in leaves if origin != "pretrained"),
        classes=heads.ood_scorer.classes.numpy(),
        class_species=heads.mixture.class_species.numpy(),
        shares=heads.mixture.shares.numpy(),
    )
