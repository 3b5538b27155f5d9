"""The way from a configuration to a bundle: data, backbone, heads, fine-tuning, calibration, evidence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hierpets.config import BackboneChoice, HeadSpec, TrainConfig
from hierpets.data.index import PhotoIndex, check_trainable, read_index, split_index
from hierpets.errors import ConfigError
from hierpets.inference.engine import choose_device
from hierpets.model.backbone import build_backbone
from hierpets.model.bundle import BackboneSpec, Manifest, write_bundle
from hierpets.model.network import HierarchicalNetwork
from hierpets.plugin import Backbone
from hierpets.registry.loading import Registry, load_registry
from hierpets.training.candidates import Candidate, best_candidate, cross_validate, head_specs
from hierpets.training.evidence import Evidence, answer, calibrate, cross_answer, measure
from hierpets.training.features import FeatureExtractor
from hierpets.training.finetuning.finetune import finetune
from hierpets.training.frozen import Sample, assign_folds, fit_frozen, held_out_breeds, out_of_fold
from hierpets.training.prior import prior_shift
from hierpets.training.processes import current_processes, join_processes
from hierpets.training.run import Listener, Run
from hierpets.training.time_estimate import finetune_minutes

__all__ = ["prepare_index", "train"]


@dataclass(frozen=True)
class Trained:
    """A network with its evidence: what it says of photos that it did not see, by how they were held out.

    ``strangers`` float [M, 2] are the scores of photos whose breed was held out of training.
    """

    network: HierarchicalNetwork
    backbone: Backbone
    spec: BackboneSpec
    head: HeadSpec
    evidence: dict[str, Evidence]
    strangers: np.ndarray
    how: str


def train(config: TrainConfig, *, listener: Listener | None = None, resume: bool = False) -> Path:
    """Train as the configuration says; the path of the bundle.

    What can be wrong with settings, plugins and photos is found before anything slow begins. Under ``torchrun`` the
    processes share the fine-tuning, and the first of them writes.

    :raises ConfigError, DataError, RegistryError, PluginError, DeviceError: one line each that says what to mend.
    """
    device = choose_device(config.device)
    registry = load_registry(config.registry)
    index = prepare_index(config)
    labels = index.subset("train").labels()
    weights = registry.get("sampler", config.sampler).call(labels, **config.sampler_options)
    for choice in backbone_choices(config):
        registry.get("backbone", choice.name).resolve(**choice.options)
    with join_processes(device):
        work = Work(config, index, weights, registry, Run(config, listener), device)
        work.run.tell("data", source=config.data, **_sizes(index))
        return work.finish(work.train(resume=resume))


def prepare_index(config: TrainConfig) -> PhotoIndex:
    """The photos of ``config.data``, at the configured levels, every one in a split.

    :raises DataError: no photos, or a class without training photos.
    """
    index = read_index(config.data)
    if config.levels == "species":
        index = index.without_breeds()
    index = split_index(index, seed=config.seed, val=config.val_fraction)
    check_trainable(index, breeds=config.levels != "species")
    if config.recipe == "finetune" and not len(index.subset("val")):
        raise ConfigError("recipe finetune needs validation photos to know when to stop; set val_fraction above 0")
    return index


def backbone_choices(config: TrainConfig) -> tuple[BackboneChoice, ...]:
    """The backbones that the recipe looks at."""
    if config.recipe == "auto" and config.backbone is None:
        return config.auto.backbones
    return (config.backbone_choice,)


@dataclass(frozen=True)
class Work:
    """One run's givens, and its steps in order: heads, then fine-tuning, then calibration and the bundle."""

    config: TrainConfig
    index: PhotoIndex
    weights: np.ndarray
    registry: Registry
    run: Run
    device: str

    def train(self, *, resume: bool) -> Trained:
        config, processes = self.config, current_processes()
        if not processes.main:
            processes.wait()  # until the main process has filled the cache of features
        choice, view, head = config.backbone_choice, str(config.view), config.head
        if config.recipe == "auto":
            best = self.compare()
            choice, view, head = best.backbone, best.view, best.head
        frozen = self.train_heads(choice, view, head)
        if processes.main:
            processes.wait()
        if config.recipe == "heads" or (config.recipe == "auto" and not self._worth_finetuning(frozen)):
            return frozen
        return self.train_network(frozen, resume=resume)

    def compare(self) -> Candidate:
        """Cross-validate every candidate on the training photos; validation photos are not looked at."""
        folds = assign_folds(self.index.subset("train").labels(), folds=self.config.folds, seed=self.config.seed)
        candidates = []
        for candidate in self._candidates(folds):
            candidates.append(candidate)
            self.run.tell("candidate", **candidate.as_event())
        if not candidates:
            raise ConfigError("too few photos to cross-validate; give at least two a class, or use --recipe heads")
        best = best_candidate(candidates)
        self.run.tell("chosen", compared=len(candidates), **best.as_event())
        return best

    def _candidates(self, folds: np.ndarray) -> Iterator[Candidate]:
        for choice in backbone_choices(self.config):
            backbone, _ = build_backbone(self.registry, choice.name, choice.options)
            extractor = FeatureExtractor(backbone, self.device)
            for view in self.config.auto.views:
                sample = self._sample(extractor, view)
                for head in head_specs(self.config.auto, len(folds)):
                    score = cross_validate(sample, head, folds, self.config.combiner)
                    if score is not None:
                        yield Candidate(choice, view, head, score)

    def train_heads(self, choice: BackboneChoice, view: str, head: HeadSpec) -> Trained:
        """Closed-form heads on frozen features; evidence out of fold on training photos, and on validation ones."""
        backbone, spec = build_backbone(self.registry, choice.name, choice.options)
        extractor = FeatureExtractor(backbone, self.device)
        sample, config, taxonomy = self._sample(extractor, view), self.config, self.index.taxonomy
        folds = assign_folds(sample.labels, folds=config.folds, seed=config.seed)
        species, leaf, signals, judged = out_of_fold(sample, head, backbone.knowledge, folds)
        fit = fit_frozen(sample, head, backbone.knowledge)
        if judged.any():
            fit.familiarity.standardise(signals[torch.from_numpy(judged)])
        strangers = held_out_breeds(sample, backbone.knowledge, groups=config.folds, seed=config.seed)
        shift = self._shift() if head.kind == "logistic" else None
        heads = fit.heads.shifted(*shift) if shift else fit.heads
        if shift:
            species, leaf = species + shift[0], leaf + shift[1]
        network = HierarchicalNetwork(backbone.module, backbone.feature_dim, taxonomy)
        network.set_heads(heads)
        network.familiarity = fit.familiarity
        val = self.index.subset("val")
        seen_first = (
            self._features(extractor, val, "plain") if len(val) else np.zeros((0, backbone.feature_dim), np.float32)
        )
        return Trained(
            network,
            backbone,
            spec,
            head,
            {
                "cross_validation": Evidence.of(
                    self.index.subset("train"), species, leaf, fit.familiarity.combine(signals).numpy()
                ).where(judged),
                "validation": Evidence.of(
                    val, *heads(seen_first), fit.familiarity.combine(fit.signals(seen_first)).numpy()
                ),
            },
            fit.familiarity.combine(strangers).numpy(),
            f"{choice}, {view} features, {head}",
        )

    def train_network(self, frozen: Trained, *, resume: bool) -> Trained:
        """Fine-tune the whole network from its closed-form heads; the start stays where nothing beats it."""
        train_set, val_set = self.index.subset("train"), self.index.subset("val")
        # The part that tells strangers belongs to the frozen features; it is fitted again to those that come out.
        frozen.network.familiarity, kept = None, frozen.network.familiarity
        unseen = frozen.evidence["cross_validation"]
        result = finetune(
            frozen.network,
            train_set,
            val_set,
            weights=self.weights,
            preprocess=frozen.backbone.preprocess,
            config=self.config,
            run=self.run,
            device=self.device,
            resume=resume,
            temperatures=unseen.temperatures(self.index.taxonomy) if len(unseen) else None,
        )
        won = result.share > 0
        self.run.tell(
            "finetuned",
            won=won,
            start=result.start and result.start.accuracy,
            best=result.best and result.best.accuracy,
            share=result.share,
        )
        frozen.network.familiarity = kept
        return self._refit(frozen, result.network) if won else frozen

    def _refit(self, frozen: Trained, network: HierarchicalNetwork) -> Trained:
        """Evidence of a fine-tuned network: validation photos alone, for it has seen all the others."""
        backbone = replace(frozen.backbone, module=network.backbone, knowledge=None)
        extractor = FeatureExtractor(backbone, self.device)
        sample = self._sample(extractor, "plain")
        familiarity = fit_frozen(sample, frozen.head, None).familiarity
        val_set = self.index.subset("val")
        features = self._features(extractor, val_set, "plain")
        shift = self._shift()
        heads = network.get_heads().shifted(*shift)
        network.set_heads(heads)
        species, leaf = heads(features)
        with torch.inference_mode():
            signals = familiarity.signals(torch.from_numpy(features)).table()
        familiarity.standardise(signals)
        network.familiarity = familiarity
        evidence = {"validation": Evidence.of(val_set, species, leaf, familiarity.combine(signals).numpy())}
        return replace(
            frozen,
            network=network,
            backbone=backbone,
            evidence=evidence,
            strangers=np.zeros((0, 2)),
            how=f"{frozen.how}, fine-tuned",
        )

    def finish(self, trained: Trained) -> Path:
        """Calibrate on photos that the network did not see, measure, and write the bundle."""
        evidence = {name: part for name, part in trained.evidence.items() if len(part)}
        unseen = next(iter(evidence.values()), None)
        if unseen is None:
            raise ConfigError(
                "too few photos to hold any out, so nothing can be calibrated; give at least two photos a class"
            )
        config, taxonomy = self.config, self.index.taxonomy
        calibration = calibrate(
            unseen, trained.strangers, taxonomy=taxonomy, combiner=config.combiner, alpha=config.alpha
        )
        metrics = {}
        for name, part in evidence.items():
            answers = answer(part, calibration)
            if part is unseen and len(part) >= config.folds:
                # These photos fitted the thresholds: each is judged by those that the others give.
                folds = assign_folds(part.labels, folds=config.folds, seed=config.seed + 1)
                answers = cross_answer(part, trained.strangers, calibration, folds)
            metrics[name] = measure(part, answers, taxonomy)
        familiarity = trained.network.familiarity
        manifest = Manifest(
            taxonomy=taxonomy,
            preprocess=trained.backbone.preprocess,
            backbone=trained.spec,
            combiner=config.combiner,
            temperatures=calibration.temperatures,
            familiarity=familiarity.spec if familiarity else None,
            policy=calibration.policy,
            versions=_library_versions(),
            training={
                "how": trained.how,
                "recipe": config.recipe,
                "sampler": config.sampler,
                "seed": config.seed,
                "val_fraction": config.val_fraction,
                "calibrated_on": next(iter(evidence)),
            }
            | _sizes(self.index),
        )
        if current_processes().main:
            for name, measured in metrics.items():
                breed = measured["breed"] and measured["breed"]["accuracy"]
                self.run.tell("metrics", on=name, species=measured["species"]["accuracy"], breed=breed)
            self.run.write_metrics(metrics)
            write_bundle(self.run.bundle, trained.network, manifest)
            self.run.tell("bundle", path=str(self.run.bundle), how=trained.how)
        current_processes().wait()  # nobody leaves before the bundle is there
        return self.run.bundle

    def _worth_finetuning(self, frozen: Trained) -> bool:
        """Whether recipe ``auto`` goes on: with validation photos to judge by, and time enough."""
        limit = self.config.auto.finetune_minutes
        if not len(self.index.subset("val")) or limit == 0:
            self.run.tell("skipped", why="no validation photos" if limit else "auto.finetune_minutes is 0")
            return False
        settings = self.config.finetune
        minutes = finetune_minutes(
            frozen.backbone, photos=len(self.index.subset("train")), epochs=settings.epochs, device=self.device
        )
        if minutes > limit:
            self.run.tell("skipped", why=f"fine-tuning would take about {minutes:.0f} min, more than {limit:g}")
        return minutes <= limit

    def _sample(self, extractor: FeatureExtractor, view: str) -> Sample:
        photos = self.index.subset("train")
        features = self._features(extractor, photos, "plain")
        views = features if view == "plain" else self._features(extractor, photos, view)
        return Sample(features, views, photos.labels(), self.weights, self.index.taxonomy)

    def _features(self, extractor: FeatureExtractor, photos: PhotoIndex, view: str) -> np.ndarray:
        return extractor.features(photos.paths, view, progress=partial(self.run.progress, f"{view} features"))

    def _shift(self) -> tuple[np.ndarray, np.ndarray]:
        """What undoes the prior that the sampler induced; LDA has equal priors by itself."""
        labels = self.index.subset("train").labels()
        shift = prior_shift(
            self.weights, labels, self.index.taxonomy, target=self.config.prior, combiner=self.config.combiner
        )
        return shift.species, shift.leaf


def _sizes(index: PhotoIndex) -> dict[str, Any]:
    return {
        "train": len(index.subset("train")),
        "val": len(index.subset("val")),
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
