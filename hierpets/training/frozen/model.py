"""A network of a frozen backbone and linear heads, with what it gives for photos that were held out."""

from __future__ import annotations

import numpy as np

from hierpets.config import BackboneChoice, TrainConfig
from hierpets.data.index import PhotoIndex
from hierpets.errors import ConfigError
from hierpets.model.backbone import build_backbone
from hierpets.model.manifest import BackboneSpec
from hierpets.model.network import HierarchicalNetwork
from hierpets.plugin import Backbone
from hierpets.progress import Progress
from hierpets.registry.loading import Registry
from hierpets.training.frozen.candidates import FrozenChoice
from hierpets.training.frozen.extractor import make_extractor
from hierpets.training.frozen.feature_set import FeatureSet, extract_feature_set
from hierpets.training.frozen.features import FeatureExtractor
from hierpets.training.frozen.fit import FrozenFit, FrozenResult, HeadFitter, OutOfFold, fit_frozen
from hierpets.training.held_out import HeldOutOutputs
from hierpets.training.splits import Splits
from hierpets.training.trained import Trained

__all__ = ["fit_frozen_model"]


def fit_frozen_model(
    choice: FrozenChoice,
    splits: Splits,
    config: TrainConfig,
    *,
    registry: Registry,
    device: str,
    progress: Progress,
) -> Trained:
    """Fit linear heads and OOD scorer to all training photos.

    Training photos are held out fold by fold, validation photos altogether; the OOD scores of photos of unlisted breeds
    come from breeds that are held out.
    """
    chosen = choice.backbone

    def prepared(fold: int | None) -> tuple[Backbone, BackboneSpec, FeatureExtractor]:
        built, spec = build_backbone(registry, chosen.name, chosen.options, chosen.weights_file(fold))
        return built, spec, make_extractor(built, spec, config, registry=registry, device=device)

    backbone, spec, extractor = prepared(None)
    photos = extract_feature_set(splits, extractor, choice.view, progress)
    tuned = [
        extract_feature_set(splits, prepared(fold)[-1], choice.view, progress)
        for fold in _tuned_folds(chosen, config.folds)
    ]
    fitter = HeadFitter(choice.head, config.prior, config.combiner)
    found = fit_frozen(photos, fitter, backbone.pretrained_head, folds=config.folds, seed=config.seed, tuned=tuned)
    fit = found.fit
    return Trained(
        network=_network(backbone, fit, photos),
        backbone=backbone,
        spec=spec,
        head=choice.head,
        held_out={
            "cross_validation": _cross_validated(splits.train, found.out_of_fold, fit),
            "validation": _validated(splits.val, extractor.features(splits.val.paths, progress=progress), fit),
        },
        unlisted=_unlisted(splits.train, found),
        summary=str(choice),
        statistics=found.statistics if choice.head.kind == "lda" else None,
    )


def _tuned_folds(backbone: BackboneChoice, folds: int) -> range:
    """The folds that have a backbone of their own: all, or none.

    :raises ConfigError: weights for another number of folds.
    """
    given = sorted(backbone.weights.glob("fold*.safetensors")) if backbone.weights else []
    if given and {file.stem for file in given} != {f"fold{fold}" for fold in range(folds)}:
        raise ConfigError(f"{backbone.weights}: expected weights for {folds} folds or none, got {len(given)}")
    return range(folds if given else 0)


def _network(backbone: Backbone, fit: FrozenFit, photos: FeatureSet) -> HierarchicalNetwork:
    network = HierarchicalNetwork(backbone.module, backbone.feature_dim, photos.taxonomy)
    network.set_heads(fit.heads)
    network.ood_scorer = fit.ood_scorer
    return network


def _cross_validated(train: PhotoIndex, unseen: OutOfFold, fit: FrozenFit) -> HeldOutOutputs:
    return _every_photo(train, unseen, fit).where(unseen.judged)


def _unlisted(train: PhotoIndex, found: FrozenResult) -> HeldOutOutputs | None:
    """The photos whose breed was held out, as heads that did not see them would answer without that breed."""
    held_out, unseen = found.held_out_breeds, found.out_of_fold
    judged = unseen.judged[held_out.rows]
    if not judged.any():
        return None
    scores = found.fit.ood_scorer.combine(held_out.signals).numpy()
    return _every_photo(train, unseen, found.fit).where(held_out.rows[judged]).as_unlisted(scores[judged])


def _every_photo(train: PhotoIndex, unseen: OutOfFold, fit: FrozenFit) -> HeldOutOutputs:
    return HeldOutOutputs(
        paths=tuple(train.paths),
        labels=train.labels(),
        species_logits=unseen.species,
        leaf_logits=unseen.leaf,
        scores=fit.ood_scorer.combine(unseen.signals).numpy(),
    )


def _validated(val: PhotoIndex, features: np.ndarray, fit: FrozenFit) -> HeldOutOutputs:
    species, leaf = fit.heads(features)
    return HeldOutOutputs(
        paths=tuple(val.paths),
        labels=val.labels(),
        species_logits=species,
        leaf_logits=leaf,
        scores=fit.ood_scorer.combine(fit.signals(features)).numpy(),
    )
