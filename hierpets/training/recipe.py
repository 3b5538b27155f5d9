"""The way from a configuration to a bundle: data, backbone, heads, fine-tuning, calibration, evidence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hierpets.config import BackboneChoice, HeadSpec, TrainConfig
from hierpets.data.index import PhotoIndex, check_trainable, read_index, split_index
from hierpets.errors import ConfigError
from hierpets.inference.engines.base import choose_device
from hierpets.model.backbone import build_backbone
from hierpets.model.manifest import BackboneSpec, Manifest
from hierpets.model.network import HierarchicalNetwork
from hierpets.model.writer import write_bundle
from hierpets.plugin import Backbone
from hierpets.progress import Progress, no_progress
from hierpets.registry.loading import Registry, load_registry
from hierpets.training.distributed import current_context, join_distributed
from hierpets.training.finetuning.finetune import finetune
from hierpets.training.frozen.candidates import Candidate, best_candidate, cross_validate, head_specs
from hierpets.training.frozen.features import FeatureExtractor
from hierpets.training.frozen.fit import Sample, assign_folds, fit_frozen, held_out_breeds, out_of_fold
from hierpets.training.held_out import HeldOutOutputs, answer, calibrate, cross_predict, measure
from hierpets.training.prior import prior_shift
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
    evidence: dict[str, HeldOutOutputs]
    strangers: np.ndarray
    how: str


def train(
    config: TrainConfig,
    *,
    listener: Listener | None = None,
    progress: Progress = no_progress,
    resume: bool = False,
) -> Path:
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
    with join_distributed(device):
        work = Work(config, index, weights, registry, Run(config, listener, progress), device)
        work.run.log("data", source=config.data, **_sizes(index))
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
        config, processes = self.config, current_context()
        if not processes.is_main:
            processes.wait()  # until the main process has filled the cache of features
        choice, view, head = config.backbone_choice, str(config.view), config.head
        if config.recipe == "auto":
            best = self.compare()
            choice, view, head = best.backbone, best.view, best.head
        frozen = self.train_heads(choice, view, head)
        if processes.is_main:
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
            self.run.log("candidate", **candidate.as_event())
        if not candidates:
            raise ConfigError("too few photos to cross-validate; give at least two a class, or use --recipe heads")
        best = best_candidate(candidates)
        self.run.log("chosen", compared=len(candidates), **best.as_event())
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
        species, leaf, signals, judged = out_of_fold(sample, head, backbone.pretrained_head, folds)
        fit = fit_frozen(sample, head, backbone.pretrained_head)
        if judged.any():
            fit.ood_scorer.standardize(signals[torch.from_numpy(judged)])
        strangers = held_out_breeds(sample, backbone.pretrained_head, groups=config.folds, seed=config.seed)
        shift = self._shift() if head.kind == "logistic" else None
        heads = fit.heads.shifted(*shift) if shift else fit.heads
        if shift:
            species, leaf = species + shift[0], leaf + shift[1]
        network = HierarchicalNetwork(backbone.module, backbone.feature_dim, taxonomy)
        network.set_heads(heads)
        network.ood_scorer = fit.ood_scorer
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
                "cross_validation": HeldOutOutputs.of(
                    self.index.subset("train"), species, leaf, fit.ood_scorer.combine(signals).numpy()
                ).where(judged),
                "validation": HeldOutOutputs.of(
                    val, *heads(seen_first), fit.ood_scorer.combine(fit.signals(seen_first)).numpy()
                ),
            },
            fit.ood_scorer.combine(strangers).numpy(),
            f"{choice}, {view} features, {head}",
        )

    def train_network(self, frozen: Trained, *, resume: bool) -> Trained:
        """Fine-tune the whole network from its closed-form heads; the start stays where nothing beats it."""
        train_set, val_set = self.index.subset("train"), self.index.subset("val")
        # The part that tells strangers belongs to the frozen features; it is fitted again to those that come out.
        frozen.network.ood_scorer, kept = None, frozen.network.ood_scorer
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
        self.run.log(
            "finetuned",
            won=won,
            start=result.start and result.start.accuracy,
            best=result.best and result.best.accuracy,
            share=result.share,
        )
        frozen.network.ood_scorer = kept
        return self._refit(frozen, result.network) if won else frozen

    def _refit(self, frozen: Trained, network: HierarchicalNetwork) -> Trained:
        """HeldOutOutputs of a fine-tuned network: validation photos alone, for it has seen all the others."""
        backbone = replace(frozen.backbone, module=network.backbone, pretrained_head=None)
        extractor = FeatureExtractor(backbone, self.device)
        sample = self._sample(extractor, "plain")
        ood_scorer = fit_frozen(sample, frozen.head, None).ood_scorer
        val_set = self.index.subset("val")
        features = self._features(extractor, val_set, "plain")
        shift = self._shift()
        heads = network.get_heads().shifted(*shift)
        network.set_heads(heads)
        species, leaf = heads(features)
        with torch.inference_mode():
            signals = ood_scorer.signals(torch.from_numpy(features)).table()
        ood_scorer.standardize(signals)
        network.ood_scorer = ood_scorer
        evidence = {"validation": HeldOutOutputs.of(val_set, species, leaf, ood_scorer.combine(signals).numpy())}
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
                answers = cross_predict(part, trained.strangers, calibration, folds)
            metrics[name] = measure(part, answers, taxonomy)
        ood_scorer = trained.network.ood_scorer
        manifest = Manifest(
            taxonomy=taxonomy,
            preprocess=trained.backbone.preprocess,
            backbone=trained.spec,
            combiner=config.combiner,
            temperatures=calibration.temperatures,
            ood=ood_scorer.spec if ood_scorer else None,
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
        if current_context().is_main:
            for name, measured in metrics.items():
                breed = measured.breed and measured.breed.accuracy
                self.run.log("metrics", on=name, species=measured.species.accuracy, breed=breed)
            self.run.write_metrics(metrics)
            write_bundle(self.run.bundle, trained.network, manifest)
            self.run.log("bundle", path=str(self.run.bundle), how=trained.how)
        current_context().wait()  # nobody leaves before the bundle is there
        return self.run.bundle

    def _worth_finetuning(self, frozen: Trained) -> bool:
        """Whether recipe ``auto`` goes on: with validation photos to judge by, and time enough."""
        limit = self.config.auto.finetune_minutes
        if not len(self.index.subset("val")) or limit == 0:
            self.run.log("skipped", why="no validation photos" if limit else "auto.finetune_minutes is 0")
            return False
        settings = self.config.finetune
        minutes = finetune_minutes(
            frozen.backbone, photos=len(self.index.subset("train")), epochs=settings.epochs, device=self.device
        )
        if minutes > limit:
            self.run.log("skipped", why=f"fine-tuning would take about {minutes:.0f} min, more than {limit:g}")
        return minutes <= limit

    def _sample(self, extractor: FeatureExtractor, view: str) -> Sample:
        photos = self.index.subset("train")
        features = self._features(extractor, photos, "plain")
        views = features if view == "plain" else self._features(extractor, photos, view)
        return Sample(features, views, photos.labels(), self.weights, self.index.taxonomy)

    def _features(self, extractor: FeatureExtractor, photos: PhotoIndex, view: str) -> np.ndarray:
        return extractor.features(photos.paths, view, task=f"{view} features", progress=self.run.progress)

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
