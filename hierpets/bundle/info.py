"""Describe a bundle by its manifest and files, without loading a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from hierpets.bundle.identity import ModelId, model_id
from hierpets.bundle.layout import EXPORTS, is_quantized, released_bundle
from hierpets.bundle.manifest import BackboneSpec, EarlyNetwork, Manifest, Selection, read_manifest
from hierpets.files import size_of
from hierpets.hierarchy.policy import Policy
from hierpets.hierarchy.probabilities import Combiner
from hierpets.plugin import Preprocess
from hierpets.taxonomy import Leaf
from hierpets.validation.strict import StrictModel

__all__ = ["BundleInfo", "GrownThreshold", "SpeciesThresholds", "bundle_info", "species_thresholds"]


class SpeciesThresholds(StrictModel):
    """The thresholds for predictions of one species at the bundle's alpha."""

    probability: float = Field(description="what a level's probability must exceed")
    breed_set: float = Field(description="what the probability of a set of breeds must exceed")
    pet: float | None = Field(description="the least OOD score `pet` of a pet; null without an OOD scorer")


class GrownThreshold(StrictModel):
    """The threshold of a grown breed at the bundle's alpha."""

    probability: float = Field(description="what its probability must exceed; 1 where it is never named")
    few: bool = Field(description="whether it is never named because it was grown from too few photos for this alpha")


class BundleInfo(StrictModel):
    """The output of ``hierpets info --json``."""

    path: str = Field(description="the bundle folder")
    model: ModelId = Field(description="digest and version")
    schema_version: int = Field(description="of bundle.json")
    hierpets_version: str = Field(description="the hierpets that trained it")
    classes: dict[str, tuple[str, ...]] = Field(description="the breeds of each species")
    leaves: int = Field(description="breeds, and species without breeds")
    pretrained: int = Field(description="how many of them are known from pretraining alone")
    backbone: BackboneSpec = Field(description="plugin, options, and number of features")
    preprocess: Preprocess = Field(description="how a photo becomes the network's input")
    early: tuple[EarlyNetwork, ...] = Field(description="networks that are asked before that one, in this order")
    second_look: bool = Field(description="whether small animals are looked at again in photos that leave doubt")
    combiner: Combiner = Field(description="how species and breed logits become joint probabilities")
    alpha: float = Field(description="target error rate")
    thresholds: dict[str, SpeciesThresholds] = Field(description="for each species, at this alpha")
    grown: dict[str, GrownThreshold] = Field(description="for each breed that was grown and has a threshold of its own")
    min_alpha: dict[str, float] = Field(
        description="for each species, the least target error rate that the photos which calibrated it can promise"
    )
    training: dict[str, Any] = Field(description="how it was trained and calibrated, with the number of photos")
    selection: Selection | None = Field(description="how backbone and heads were chosen, where several were compared")
    versions: dict[str, str] = Field(description="the libraries that trained it")
    engines: tuple[Literal["openvino", "torch"], ...] = Field(description="engines that can run it")
    quantized: bool = Field(description="whether OpenVINO can compute it in int8")
    grows: bool = Field(description="whether it keeps statistics of its classes, so that it can be grown")
    exports: tuple[str, ...] = Field(description="exports for other runtimes inside the folder")
    size_bytes: int = Field(description="all files of the folder")


def bundle_info(bundle: str | Path | None = None) -> BundleInfo:
    """Describe a bundle folder; the released one when none is given.

    :raises BundleError: a missing or damaged bundle.
    """
    folder = Path(bundle) if bundle is not None else released_bundle()
    manifest = read_manifest(folder)
    return BundleInfo(
        path=str(folder),
        model=model_id(folder, manifest),
        schema_version=manifest.schema_version,
        hierpets_version=manifest.hierpets_version,
        classes=manifest.taxonomy.tree,
        leaves=len(manifest.taxonomy.leaves),
        pretrained=manifest.origins.count("pretrained"),
        backbone=manifest.backbone,
        preprocess=manifest.preprocess,
        early=manifest.early,
        second_look=manifest.second_look,
        combiner=manifest.combiner,
        alpha=manifest.policy.alpha,
        thresholds={species: species_thresholds(manifest.policy, species) for species in manifest.taxonomy.species},
        grown={str(leaf): _grown_threshold(manifest.policy, leaf) for leaf in _with_own_threshold(manifest)},
        min_alpha={species: manifest.policy.min_alpha(species) for species in manifest.taxonomy.species},
        training=manifest.training,
        selection=manifest.selection,
        versions=manifest.versions,
        engines=tuple(name for name, files in _engine_files(folder, manifest).items() if all(map(Path.is_file, files))),
        quantized=all(is_quantized(folder / network.graph) for network in manifest.networks),
        grows=all(network.statistics and (folder / network.statistics_file).is_file() for network in manifest.networks),
        exports=tuple(name for name, file in EXPORTS.items() if (folder / file).is_file()),
        size_bytes=size_of(folder),
    )


def _engine_files(folder: Path, manifest: Manifest) -> dict[Literal["openvino", "torch"], list[Path]]:
    return {
        "openvino": [folder / network.graph for network in manifest.networks],
        "torch": [folder / network.weights for network in manifest.networks],
    }


def _with_own_threshold(manifest: Manifest) -> list[Leaf]:
    return [leaf for leaf in manifest.taxonomy.leaves if leaf.breed and str(leaf) in manifest.policy.leaves]


def _grown_threshold(policy: Policy, leaf: Leaf) -> GrownThreshold:
    probability = max(policy.thresholds(leaf.species).probability, policy.leaf_probability(leaf))
    return GrownThreshold(probability=probability, few=policy.has_few(leaf))


def species_thresholds(policy: Policy, species: str) -> SpeciesThresholds:
    """The thresholds of a species at the policy's own alpha."""
    found = policy.thresholds(species)
    return SpeciesThresholds(probability=found.probability, breed_set=found.breed_set, pet=found.pet)
