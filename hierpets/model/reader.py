"""Rebuild the torch networks of a bundle from its manifest and weights."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from hierpets.bundle.layout import brief, incomplete_bundle
from hierpets.bundle.manifest import Manifest
from hierpets.errors import BundleError, PluginError
from hierpets.model.backbone import computes_as_sampled
from hierpets.model.mixture import BreedMixture
from hierpets.model.network import HierarchicalNetwork
from hierpets.model.ood import OODScorer
from hierpets.model.rounding import unpack
from hierpets.plugin import Guard
from hierpets.registry.loading import Registry

__all__ = ["empty_network", "guards_of", "read_networks"]


def read_networks(folder: Path, manifest: Manifest, registry: Registry) -> tuple[HierarchicalNetwork, ...]:
    """Rebuild every network of a bundle with its backbone plugin and load its weights.

    :returns: the networks in the order of ``manifest.networks``, the main one last.
    :raises BundleError: weights are missing, damaged, or do not fit the backbone, or its plugin computes other features
        than when the bundle was written.
    :raises PluginError: the registry has no such backbone, or the plugin fails.
    """
    return tuple(_read(folder, manifest, stage, registry) for stage in range(len(manifest.networks)))


def guards_of(manifest: Manifest, registry: Registry) -> tuple[Guard, ...]:
    """Return the guard of each network, in the order of ``manifest.networks``.

    A guard adds to an error of the running network which plugin built it.

    :raises PluginError: the registry lacks a backbone.
    """
    return tuple(registry.get("backbone", network.backbone.name).located for network in manifest.networks)


def _read(folder: Path, manifest: Manifest, stage: int, registry: Registry) -> HierarchicalNetwork:
    own, weights = manifest.alone(stage), folder / manifest.networks[stage].weights
    spec = own.backbone
    try:
        plugin = registry.get("backbone", spec.name)
    except PluginError as error:
        raise PluginError(
            f"{folder}: {error}; name the registry that it was trained with, or install its package"
        ) from None
    backbone = plugin.call_without_weights(**spec.options)
    network = empty_network(backbone.module, backbone.feature_dim, own)
    if not weights.is_file():
        raise incomplete_bundle(
            folder,
            f"no {weights.name}, which torch needs; use the bundle that it came from, or --engine openvino to predict",
        )
    try:
        state = unpack(load_file(weights))
        network.load_state_dict(state)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise BundleError(f"{weights}: does not fit backbone {spec.name!r}: {brief(error)}") from error
    broken = next((name for name, tensor in state.items() if not tensor.isfinite().all()), None)
    if broken is not None:
        raise BundleError(f"{weights}: {broken} holds NaN or infinity: the file is damaged")
    with plugin.located():
        is_same = not own.sampled or computes_as_sampled(network.backbone, own.preprocess.size, own.sampled)
    if not is_same:
        raise BundleError(
            f"{folder}: {plugin.where} computes other features than when the bundle was trained; "
            "use the plugin that it was trained with"
        )
    return network.eval()


def empty_network(backbone: torch.nn.Module, feature_dim: int, manifest: Manifest) -> HierarchicalNetwork:
    """Build the network that a manifest describes, before its weights are loaded."""
    tree, spec = manifest.taxonomy, manifest.ood
    network = HierarchicalNetwork(backbone, feature_dim, tree, int(manifest.learned.sum()))
    if spec is not None:
        network.ood_scorer = OODScorer(feature_dim, spec)
        network.mixture = BreedMixture(
            leaves=len(tree.leaves),
            species=len(tree.species),
            breed_classes=spec.breed_classes,
            combiner=manifest.combiner,
            species_temperature=manifest.temperatures.species,
            species_evidence=spec.species_evidence,
        )
    return network
