"""The way from a configuration to a bundle: data, backbone, heads, calibration, evidence."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from hierpets.config import TrainConfig
from hierpets.data.index import PhotoIndex, check_trainable, read_index, split_index
from hierpets.errors import ConfigError
from hierpets.hierarchy.calibration import fit_temperatures
from hierpets.hierarchy.decision import Thresholds
from hierpets.inference.engine import choose_device
from hierpets.inference.torch_engine import TorchEngine
from hierpets.model.backbone import build_backbone
from hierpets.model.bundle import BackboneSpec, Manifest, write_bundle
from hierpets.model.network import HierarchicalNetwork
from hierpets.plugin import Backbone, Preprocess
from hierpets.registry.loading import load_registry
from hierpets.training.closed_form import fit_heads
from hierpets.training.cross_validation import assign_folds, out_of_fold_logits
from hierpets.training.evidence import Evidence, measure
from hierpets.training.features import extract_features
from hierpets.training.run import Listener, Run

__all__ = ["prepare_index", "train"]


def train(config: TrainConfig, *, listener: Listener | None = None, resume: bool = False) -> Path:
    """Train as the configuration says; the path of the bundle.

    What can be wrong with settings, plugins and photos is found before anything slow begins.

    :raises ConfigError, DataError, RegistryError, PluginError, DeviceError: one line each that says what to mend.
    """
    device = choose_device(config.device)
    registry = load_registry(config.registry)
    index = prepare_index(config)
    weights = registry.get("sampler", config.sampler).call(index.subset("train").labels(), **config.sampler_options)
    backbone, spec = build_backbone(registry, config.backbone, config.backbone_options)
    run = Run(config, listener)
    run.tell("data", source=config.data, **_sizes(index))

    network, evidence = train_heads(config, index, backbone, weights=weights, run=run, device=device)
    if config.recipe == "finetune":
        evidence = train_network(
            network, config, index, backbone, weights=weights, run=run, device=device, resume=resume
        )
    return finish(network, evidence, config, index, backbone.preprocess, spec, run)


def prepare_index(config: TrainConfig) -> PhotoIndex:
    """The photos of ``config.data``, at the configured levels, every one in a split.

    :raises DataError: no photos, or a class without training photos.
    """
    index = read_index(config.data)
    if config.levels == "species":
        index = index.without_breeds()
    index = split_index(index, seed=config.seed, val=config.val_fraction)
    check_trainable(index, breeds=config.levels != "species")
    return index


def train_heads(
    config: TrainConfig, index: PhotoIndex, backbone: Backbone, *, weights: np.ndarray, run: Run, device: str
) -> tuple[HierarchicalNetwork, dict[str, Evidence]]:
    """Closed-form heads on frozen features; out-of-fold evidence on the training photos, and on validation ones."""
    train_set, val_set = index.subset("train"), index.subset("val")
    paths = [record.path for record in (*train_set.records, *val_set.records)]
    features = extract_features(
        paths, backbone, device=device, progress=lambda done, total: run.progress("features", done, total)
    )
    seen, unseen = features[: len(train_set.records)], features[len(train_set.records) :]
    labels = train_set.labels()

    folds = assign_folds(labels, folds=config.folds, seed=config.seed)
    species, leaf, judged = out_of_fold_logits(seen, labels, weights, index.taxonomy, kind=config.head, folds=folds)
    heads = fit_heads(
        seen, species=labels.species, leaf=labels.leaf, weights=weights, taxonomy=index.taxonomy, kind=config.head
    )
    network = HierarchicalNetwork(backbone.module, backbone.feature_dim, index.taxonomy)
    network.set_heads(heads)
    return network, {
        "cross_validation": Evidence.of(train_set, species, leaf).where(judged),
        "validation": Evidence.of(val_set, *heads(unseen)),
    }


def train_network(
    network: HierarchicalNetwork,
    config: TrainConfig,
    index: PhotoIndex,
    backbone: Backbone,
    *,
    weights: np.ndarray,
    run: Run,
    device: str,
    resume: bool,
) -> dict[str, Evidence]:
    """Fine-tune the whole network in place from its closed-form heads; evidence on the validation photos."""
    from hierpets.data.dataset import iter_inputs
    from hierpets.training.finetune import finetune

    train_set, val_set = index.subset("train"), index.subset("val")
    if not val_set.records:
        raise ConfigError("recipe finetune needs validation photos to know when to stop; set val_fraction above 0")
    finetune(
        network,
        train_set,
        val_set,
        weights=weights,
        preprocess=backbone.preprocess,
        config=config,
        run=run,
        device=device,
        resume=resume,
    )
    engine = TorchEngine(network, device)
    paths = [record.path for record in val_set.records]
    outputs = [engine(inputs) for _, inputs in iter_inputs(paths, backbone.preprocess, batch_size=32)]
    network.to("cpu")
    species, leaf = (np.concatenate([getattr(o, level) for o in outputs]) for level in ("species", "leaf"))
    return {"validation": Evidence.of(val_set, species, leaf)}


def finish(
    network: HierarchicalNetwork,
    evidence: dict[str, Evidence],
    config: TrainConfig,
    index: PhotoIndex,
    preprocess: Preprocess,
    spec: BackboneSpec,
    run: Run,
) -> Path:
    """Calibrate on photos that the heads did not see, measure, and write the bundle."""
    evidence = {name: part for name, part in evidence.items() if len(part)}
    calibration = next(iter(evidence.values()), None)
    if calibration is None:
        raise ConfigError(
            "too few photos to hold any out, so nothing can be calibrated; give at least two photos a class"
        )
    temperatures = fit_temperatures(
        calibration.species_logits,
        calibration.leaf_logits,
        species=calibration.labels.species,
        leaf=calibration.labels.leaf,
        taxonomy=index.taxonomy,
    )
    metrics = {
        name: measure(
            part, index.taxonomy, temperatures=temperatures, combiner=config.combiner, thresholds=Thresholds()
        )
        for name, part in evidence.items()
    }
    for name, part in metrics.items():
        breed = part["breed"] and part["breed"]["accuracy"]
        run.tell("metrics", on=name, species=part["species"]["accuracy"], breed=breed)
    run.write_metrics(metrics)
    manifest = Manifest(
        taxonomy=index.taxonomy,
        preprocess=preprocess,
        backbone=spec,
        combiner=config.combiner,
        temperatures=temperatures,
        versions=_library_versions(),
        training={
            "recipe": config.recipe,
            "head": config.head,
            "sampler": config.sampler,
            "seed": config.seed,
            "val_fraction": config.val_fraction,
        }
        | _sizes(index),
    )
    write_bundle(run.bundle, network, manifest)
    run.tell("bundle", path=str(run.bundle))
    return run.bundle


def _sizes(index: PhotoIndex) -> dict[str, Any]:
    return {
        "train": len(index.subset("train").records),
        "val": len(index.subset("val").records),
        "species": len(index.taxonomy.species),
        "leaves": len(index.taxonomy.leaves),
    }


def _library_versions() -> dict[str, str]:
    found = {}
    for package in ("torch", "timm", "openvino", "numpy", "scikit-learn", "opencv-python-headless"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
