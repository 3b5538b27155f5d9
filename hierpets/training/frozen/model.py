"""Fit linear heads to a frozen backbone, and compute the network's outputs for held-out photos."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
from torch import nn

from hierpets.config import BackboneChoice, FrozenChoice, TrainConfig
from hierpets.errors import ConfigError
from hierpets.model.heads import Heads
from hierpets.model.network import HierarchicalNetwork
from hierpets.plugin import Backbone
from hierpets.progress import Progress
from hierpets.registry.loading import Registry
from hierpets.training.features.closer import CloserView
from hierpets.training.features.extractor import FeatureExtractor
from hierpets.training.features.feature_set import FeatureSet, extract_feature_set
from hierpets.training.features.prepared import Prepared, prepare_backbone
from hierpets.training.frozen.fit import FrozenResult, fit_frozen, judge_heads
from hierpets.training.frozen.fitter import FrozenFit, HeadFitter
from hierpets.training.frozen.looks import FrozenOutputs
from hierpets.training.frozen.mixing import Mixing, fit_mixing
from hierpets.training.frozen.other_animals import find_other_animals
from hierpets.training.splits import Splits
from hierpets.training.trained import Trained

__all__ = ["fit_frozen_model", "judge_by_validation"]


def fit_frozen_model(
    choice: FrozenChoice,
    splits: Splits,
    config: TrainConfig,
    *,
    registry: Registry,
    device: str,
    progress: Progress,
    decoded_side: int = 0,
    second_look: bool = True,
    prepared: Prepared | None = None,
) -> Trained:
    """Fit linear heads and an OOD scorer to all training photos.

    The outputs for training photos are out of fold; those for pretrained and unlisted breeds come from fits without the
    breed. Validation photos are used for no fit. ``decoded_side`` is as in
    :func:`~hierpets.model.backbone.build_backbone`. ``second_look`` can turn the second look off, which is otherwise up
    to the settings: an early network takes only one. ``prepared`` is the backbone if it has been prepared already; it
    becomes part of the network.
    """
    view = CloserView.of(splits.taxonomy.species) if second_look and config.second_look else None

    prepare = partial(
        prepare_backbone, choice.backbone, config, registry=registry, device=device, decoded_side=decoded_side
    )
    backbone, spec, extractor = prepared or prepare()
    photos = extract_feature_set(splits, extractor, choice.view, progress)
    folds = _tuned_folds(choice.backbone, config.folds)
    tuned = [extract_feature_set(splits, prepare(fold=fold).extractor, choice.view, progress) for fold in folds]
    fitter = HeadFitter(choice.head, config.prior, config.combiner)
    found = fit_frozen(photos, fitter, backbone.pretrained_head, folds=config.folds, seed=config.seed, tuned=tuned)
    mixing = _fit_mixing(found, photos, backbone, config)
    outputs = FrozenOutputs.at_first(mixing, splits, partial(extractor.features, progress=progress))
    if view is not None:
        closer = partial(view.features, progress=progress)
        # Each fold's backbone is built again when needed: several at a time would take too much memory.
        by_fold = [lambda paths, fold=fold: closer(prepare(fold=fold).extractor, paths) for fold in folds]
        outputs = outputs.with_second_look(
            mixing, splits, partial(closer, extractor), by_fold, combiner=config.combiner
        )
    held_out = {"cross_validation": outputs.trained, "validation": outputs.validation}
    return Trained(
        network=_network(backbone, found.fit, mixing),
        backbone=backbone,
        spec=spec,
        head=choice.head,
        held_out={name: part for name, part in held_out.items() if part},
        pretrained=outputs.pretrained,
        unlisted=outputs.unlisted,
        temperatures=mixing.temperatures,
        origins=mixing.breeds.origins,
        summary=str(choice),
        statistics=found.statistics if choice.head.kind == "lda" else None,
        second_look=view is not None,
        other_animals=find_other_animals(found.statistics, backbone.pretrained_head),
    )


def judge_by_validation(
    trained: Trained,
    module: nn.Module,
    heads: Heads,
    splits: Splits,
    config: TrainConfig,
    *,
    device: str,
    progress: Progress,
) -> Trained:
    """Return the model with another backbone ``module`` and ``heads``, both fitted to the training photos.

    The OOD scorer is fitted to the training photos as well. The held-out outputs, breed by breed too, are those for the
    validation photos.
    """
    backbone, both = replace(trained.backbone, module=module), splits.joined
    extractor = FeatureExtractor(backbone, device)
    photos = extract_feature_set(both, extractor, "plain", progress)
    learned = np.arange(len(photos)) < len(splits.train)
    found = judge_heads(photos, heads, backbone.pretrained_head, learned=learned, folds=config.folds, seed=config.seed)
    mixing = _fit_mixing(found, photos, backbone, config)
    outputs = FrozenOutputs.at_first(mixing, both, extractor.features)
    view = CloserView.of(splits.taxonomy.species) if trained.second_look else None
    if view is not None:
        closer = partial(view.features, extractor, progress=progress)
        outputs = outputs.with_second_look(mixing, both, closer, [], combiner=config.combiner)
    return replace(
        trained,
        network=_network(backbone, found.fit, mixing),
        backbone=backbone,
        held_out={"validation": outputs.trained} if outputs.trained else {},
        pretrained=outputs.pretrained,
        unlisted=outputs.unlisted,
        temperatures=mixing.temperatures,
        origins=mixing.breeds.origins,
        other_animals=find_other_animals(found.statistics, backbone.pretrained_head),
    )


def _tuned_folds(backbone: BackboneChoice, folds: int) -> range:
    """Return the folds that have backbone weights of their own: all, or none.

    :raises ConfigError: there are weights for another number of folds.
    """
    given = sorted(backbone.weights.glob("fold*.safetensors")) if backbone.weights else []
    if given and {file.stem for file in given} != {f"fold{fold}" for fold in range(folds)}:
        raise ConfigError(f"{backbone.weights}: expected weights for {folds} folds or none, got {len(given)}")
    return range(folds if given else 0)


def _fit_mixing(found: FrozenResult, photos: FeatureSet, backbone: Backbone, config: TrainConfig) -> Mixing:
    return fit_mixing(
        found,
        photos.labels,
        photos.taxonomy,
        backbone.pretrained_head,
        pretrained_breeds=config.pretrained_breeds,
        combiner=config.combiner,
    )


def _network(backbone: Backbone, fit: FrozenFit, mixing: Mixing) -> HierarchicalNetwork:
    breeds = mixing.breeds
    network = HierarchicalNetwork(backbone.module, backbone.feature_dim, breeds.taxonomy, len(breeds.trained))
    network.set_heads(fit.heads)
    network.ood_scorer, network.mixture = fit.ood_scorer, mixing.mixture
    return network
