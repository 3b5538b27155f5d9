"""A bundle taken apart, so that its heads can be fitted again and everything before them stays as it is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from hierpets.errors import BundleError
from hierpets.files import whole_folder
from hierpets.model.graph.heads import replace_heads
from hierpets.model.graph.runtime import openvino as ov
from hierpets.model.layout import GRAPH, MANIFEST, STATISTICS, WEIGHTS, brief, incomplete_bundle
from hierpets.model.manifest import Manifest, read_manifest
from hierpets.model.network import HierarchicalNetwork
from hierpets.model.ood import OODScorer
from hierpets.model.rounding import pack, unpack
from hierpets.model.statistics.classes import ClassStatistics
from hierpets.model.statistics.storage import pack_statistics, read_statistics
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

    def refitted(
        self, statistics: ClassStatistics, species_classes: list[int] | None = None, **changes: Any
    ) -> OpenBundle:
        """The same bundle with heads and OOD scorer fitted to other statistics, and ``changes`` of its manifest.

        ``species_classes`` are the classes of the pretrained head that show a species; None for those of before.
        """
        taxonomy, spec = statistics.taxonomy, self.manifest.statistics
        assert spec is not None
        network = HierarchicalNetwork(torch.nn.Identity(), self.heads.leaf_head.in_features, taxonomy)
        network.set_heads(
            fit_lda_heads(
                statistics,
                taxonomy,
                shrinkage=spec.shrinkage,
                prior=spec.prior,
                combiner=self.manifest.combiner,
            )
        )
        network.ood_scorer = self._scorer(statistics, species_classes)
        ood = network.ood_scorer.spec
        manifest = self.manifest.model_copy(update={"taxonomy": taxonomy, "ood": ood, **changes})
        return replace(self, manifest=manifest, statistics=statistics, heads=network.eval())

    def changed(self, **changes: Any) -> OpenBundle:
        """The same bundle with other values in its manifest."""
        return replace(self, manifest=self.manifest.model_copy(update=changes))

    def write(self, folder: Path) -> None:
        """Write the bundle whole or not at all. Its graph computes the backbone as that of ``source`` does."""
        spec = self.manifest.statistics
        assert spec is not None
        content, spec = pack_statistics(self.statistics, shrinkage=spec.shrinkage, prior=spec.prior)
        manifest = self.manifest.model_copy(update={"statistics": spec})
        graph = replace_heads(ov.Core().read_model(self.source / GRAPH), self.heads)
        with whole_folder(folder) as made:
            (made / GRAPH).parent.mkdir()
            ov.save_model(graph, made / GRAPH, compress_to_fp16=False)
            (made / WEIGHTS).write_bytes(save({**self.backbone, **pack(self.heads.state_dict())}))
            (made / STATISTICS).write_bytes(content)
            (made / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")

    def _scorer(self, statistics: ClassStatistics, species_classes: list[int] | None) -> OODScorer:
        before, known = self.scorer, statistics.leaves
        kept = before.species_classes.tolist() if species_classes is None else species_classes
        scorer = OODScorer.build(
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


def open_bundle(folder: Path) -> OpenBundle:
    """Take a bundle apart.

    :raises BundleError: a missing or damaged bundle, or one that keeps no statistics.
    """
    manifest = read_manifest(folder)
    statistics = read_statistics(folder, manifest)
    path = folder / WEIGHTS
    if not path.is_file() or not (folder / GRAPH).is_file():
        raise incomplete_bundle(folder, f"a bundle without {WEIGHTS} or {GRAPH} cannot be changed; use the whole one")
    try:
        state = load_file(path)
        heads = _heads(manifest, {n: t for n, t in state.items() if not n.startswith(BACKBONE)}, statistics)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise BundleError(f"{path}: does not fit {MANIFEST}: {brief(error)}") from error
    return OpenBundle(folder, manifest, statistics, heads, {n: t for n, t in state.items() if n.startswith(BACKBONE)})


def _heads(manifest: Manifest, state: dict[str, torch.Tensor], statistics: ClassStatistics) -> HierarchicalNetwork:
    width = statistics.sums.shape[1]
    network = HierarchicalNetwork(torch.nn.Identity(), width, manifest.taxonomy)
    if manifest.ood is None or not statistics.holds_every_class(manifest.taxonomy):
        raise BundleError(f"{STATISTICS} does not hold every class of {MANIFEST}, and cannot be added to")
    network.ood_scorer = OODScorer(width, manifest.ood)
    network.load_state_dict(unpack(state))
    return network.eval()
