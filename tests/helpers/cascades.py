"""Bundles of two tiny networks: fitted to nothing, the first sure of half of some photos; and trained on photos."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from helpers.fakes import TAXONOMY, tiny_registry
from hierpets.bundle.layout import MANIFEST
from hierpets.bundle.manifest import EarlyNetwork, Manifest, manifest_text, read_manifest
from hierpets.data.transforms import read_square
from hierpets.hierarchy.calibration import Temperatures
from hierpets.hierarchy.outputs import Calibration
from hierpets.inference.engines.torch import TorchEngine
from hierpets.model.backbone import build_backbone
from hierpets.model.network import HierarchicalNetwork
from hierpets.model.writer import write_bundle
from hierpets.registry.loading import Registry
from hierpets.training.outcome.result import TrainResult
from hierpets.training.recipe import train

PHOTOS = [f"demo:{leaf}/{n}" for n in range(5) for leaf in ("cat/siamese", "dog/pug", "dog/poodle", "rabbit/-")]


class Made(NamedTuple):
    """A bundle, its manifest, its networks (the early one first) and the registry that builds them."""

    folder: Path
    manifest: Manifest
    networks: tuple[HierarchicalNetwork, HierarchicalNetwork]
    registry: Registry


def make_cascade(folder: Path) -> Made:
    """The threshold is the median over :data:`PHOTOS`: the early network answers every other one."""
    registry = tiny_registry(folder)
    built = [build_backbone(registry, "tiny", {"width": width}) for width in (4, 8)]
    networks = []
    for seed, (backbone, _) in enumerate(built):
        torch.manual_seed(seed)
        networks.append(HierarchicalNetwork(backbone.module, backbone.feature_dim, TAXONOMY).eval())
    (small, small_spec), (large, large_spec) = built
    own = Temperatures(species=0.05, breeds={"cat": 0.1, "dog": 0.2})
    preprocess = small.preprocess.model_copy(update={"size": 24, "mean": (0.4, 0.5, 0.6)})
    manifest = Manifest(
        taxonomy=TAXONOMY,
        preprocess=large.preprocess,
        backbone=large_spec,
        temperatures=Temperatures(species=0.5, breeds={"cat": 0.3, "dog": 0.7}),
        early=(EarlyNetwork(backbone=small_spec, preprocess=preprocess, temperatures=own, threshold=0.5, share=0.5),),
    )
    output = TorchEngine(networks[0], preprocess)(np.stack([read_square(photo, preprocess) for photo in PHOTOS]))
    certain = Calibration(TAXONOMY, own, "conditional").certainty(output.outputs, manifest.learned)
    (early,) = manifest.early
    early = early.model_copy(update={"threshold": float(np.median(certain))})
    manifest = manifest.model_copy(update={"early": (early,)})
    write_bundle(folder / "bundle", networks[1], manifest, early=networks[:1])
    return Made(folder / "bundle", manifest, (networks[0], networks[1]), registry)


def train_cascade(out: Path, data: str | Path, **settings: Any) -> TrainResult:
    """A bundle of two tiny networks with heads that were fitted to photos; their registry lies in ``out``."""
    tiny_registry(out)
    return train(
        data,
        recipe="heads",
        backbone="tiny",
        registry=out / "registry.yaml",
        out=out / "run",
        **{"backbone_options": {"width": 4}, "early": [{"name": "tiny", "options": {"width": 2}}], **settings},
    )


def with_manifest(bundle: Path, folder: Path, change: Callable[[Manifest], Manifest]) -> Path:
    """A copy of a bundle with another manifest."""
    shutil.copytree(bundle, folder)
    (folder / MANIFEST).write_text(manifest_text(change(read_manifest(bundle))), encoding="utf-8")
    return folder
