"""Fine-tune the whole network from its linear heads, gently, and keep the best point on the way."""

from __future__ import annotations

from contextlib import nullcontext
from copy import deepcopy
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from hierpets.config import TrainConfig
from hierpets.data.records import PhotoIndex
from hierpets.hierarchy.calibration import Temperatures, fit_temperatures
from hierpets.model.heads import Heads, Linear
from hierpets.model.mixture import BreedGate, BreedMixture
from hierpets.model.network import HierarchicalNetwork
from hierpets.model.pretrained_breeds import PretrainedBreeds
from hierpets.plugin import Guard, Preprocess
from hierpets.progress import Progress
from hierpets.taxonomy import Taxonomy
from hierpets.training.distributed import current_context
from hierpets.training.features.closer import CloserView
from hierpets.training.features.extractor import FeatureExtractor
from hierpets.training.features.feature_set import extract_feature_set
from hierpets.training.finetuning.batches import TrainingBatches
from hierpets.training.finetuning.checkpoint import Checkpoint, describe_run
from hierpets.training.finetuning.learner import Learner
from hierpets.training.finetuning.loop import FinetuneResult, FinetuningLoop
from hierpets.training.finetuning.time_estimate import finetune_minutes
from hierpets.training.frozen.fitter import fit_ood_scorer
from hierpets.training.frozen.statistics import collect_statistics
from hierpets.training.held_out import HeldOutOutputs, SecondLooks
from hierpets.training.prior import prior_shift
from hierpets.training.run.folder import Run
from hierpets.training.score import Validation
from hierpets.training.splits import Splits
from hierpets.training.trained import Trained
from hierpets.workers import cores

__all__ = ["apply_temperatures", "finetune", "finetune_trained", "reason_to_skip"]


def reason_to_skip(frozen: Trained, splits: Splits, config: TrainConfig, *, device: str) -> str | None:
    """Why recipe ``auto`` does not fine-tune; None where it has validation photos to judge by, and time enough."""
    limit = config.auto.finetune_minutes
    if not limit:
        return "finetune_minutes is 0"
    if not len(splits.val):
        return "no validation photos"
    minutes = finetune_minutes(frozen.backbone, photos=len(splits.train), epochs=config.finetune.epochs, device=device)
    return f"estimated {minutes:.1f} min exceeds finetune_minutes={limit:g}" if minutes > limit else None


def finetune_trained(
    frozen: Trained,
    splits: Splits,
    config: TrainConfig,
    *,
    run: Run,
    device: str,
    checkpoint: Checkpoint | None = None,
) -> Trained:
    """The fine-tuned network, or ``frozen`` if nothing beats it."""
    network = deepcopy(frozen.network)
    # They belong to the frozen features, and so do pretrained breeds; the scorer is fitted again to those that come
    # out.
    network.ood_scorer = network.mixture = None
    network.taxonomy = splits.taxonomy
    result = finetune(
        network,
        splits,
        preprocess=frozen.backbone.preprocess,
        guard=frozen.backbone.guard,
        config=config,
        run=run,
        device=device,
        checkpoint=checkpoint,
        temperatures=frozen.temperatures,
    )
    won = result.alpha > 0
    run.log("finetuned", won=won, start=result.start.accuracy, best=result.best.accuracy, alpha=result.alpha)
    if not won:
        return frozen
    return _completed(frozen, result.network, splits, config, device=device, progress=run.progress)


def finetune(
    network: HierarchicalNetwork,
    splits: Splits,
    *,
    preprocess: Preprocess,
    config: TrainConfig,
    run: Run,
    device: str,
    checkpoint: Checkpoint | None = None,
    temperatures: Temperatures | None = None,
    guard: Guard = nullcontext,
) -> FinetuneResult:
    """Train a copy of ``network``, which is not changed and is returned if nothing beats it.

    The best epoch, and the best point between start and end, have the largest breed balanced accuracy on the validation
    photos (species, where there are no breeds); the start is among the candidates. With a ``checkpoint`` training
    continues from there, and ends in the same weights as if it had not stopped. Processes joined by
    ``join_distributed`` share the work; each returns the same result, and only the main one writes checkpoints.

    ``temperatures`` are those of the heads' out-of-fold logits, 1 where there were none. Heads fitted to few photos are
    overconfident, and would learn from little but their mistakes: their logits are divided by the temperatures first.

    :raises ConfigError: a loss that is not finite.
    :raises PluginError: the network fails; ``guard`` is that of its backbone.
    :raises ImageError: a photo that cannot be read.
    """
    tuned = deepcopy(network)
    if temperatures is not None:
        tuned.set_heads(apply_temperatures(network.get_heads(), temperatures, network.taxonomy))
    context = current_context()
    workers = cores() if config.finetune.workers is None else config.finetune.workers
    learner = Learner(tuned, splits, config, device=device, context=context, guard=guard)
    loop = FinetuningLoop(
        learner,
        TrainingBatches(splits.train.paths, preprocess, learner.plan, config.seed, workers),
        Validation(splits.val, preprocess, config.combiner, device, context, workers),
        run=run,
        identity=describe_run(config, splits),
        names=[str(splits.train.leaf_of(record)) for record in splits.train.records],
    )
    if checkpoint is not None:
        loop.restore(checkpoint)
    # cuDNN's fastest gradients differ from run to run: a resumed training would not end where it should.
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
        result = loop.fit()
    return replace(result, network=network) if result.alpha == 0 else result


def apply_temperatures(heads: Heads, temperatures: Temperatures, taxonomy: Taxonomy) -> Heads:
    """Heads whose logits are those of ``heads`` divided by the temperatures: within a level, no prediction changes."""
    weights = temperatures.apply(heads.species.weight.T, heads.leaf.weight.T, taxonomy)
    biases = temperatures.apply(heads.species.bias[None], heads.leaf.bias[None], taxonomy)
    species, leaf = (
        Linear(weight.T.astype(np.float32), bias[0].astype(np.float32))
        for weight, bias in zip(weights, biases, strict=True)
    )
    return Heads(species=species, leaf=leaf)


def _completed(
    frozen: Trained,
    network: HierarchicalNetwork,
    splits: Splits,
    config: TrainConfig,
    *,
    device: str,
    progress: Progress,
) -> Trained:
    """A fine-tuned network with its prior undone, an OOD scorer and its outputs for validation photos: it was fitted to
    all others.
    """
    backbone = replace(frozen.backbone, module=network.backbone, pretrained_head=None)
    extractor = FeatureExtractor(backbone, device)
    (statistics,) = collect_statistics(extract_feature_set(splits, extractor, "plain", progress), None)
    breeds = PretrainedBreeds.of(splits.taxonomy, None)
    scorer = fit_ood_scorer(statistics, None, breeds)
    shift = prior_shift(splits.weights, splits.labels, splits.taxonomy, target=config.prior, combiner=config.combiner)
    network.set_heads(network.get_heads().shifted(*shift))
    features = extractor.features(splits.val.paths, progress=progress)
    evidence = scorer.evidence(features)
    scorer.standardize(evidence.pet)
    temperatures = _validation_temperatures(network.get_heads(), features, splits)
    # No breed was held out, so that nothing is known about other breeds: every photo counts as one of a listed breed.
    gate = BreedGate.closed(len(splits.taxonomy.species))
    network.ood_scorer = scorer
    divisors = temperatures.divisors(splits.taxonomy)
    network.mixture = BreedMixture.build(breeds, gate, divisors, combiner=config.combiner)
    ask = partial(_outputs, network.cpu())
    outputs = ask(splits.val, features)
    view = CloserView.of(splits.taxonomy.species) if config.second_look else None
    if view is not None:
        looks = SecondLooks.after(outputs, None, taxonomy=splits.taxonomy, combiner=config.combiner)
        outputs = looks(splits.val, outputs, partial(view.features, extractor, progress=progress), ask)
    return replace(
        frozen,
        network=network,
        backbone=backbone,
        held_out={"validation": outputs},
        pretrained=None,
        unlisted=None,
        temperatures=temperatures,
        origins=breeds.origins,
        summary=f"{frozen.summary}, fine-tuned",
        statistics=None,
    )


@torch.inference_mode()
def _outputs(network: HierarchicalNetwork, photos: PhotoIndex, features: np.ndarray) -> HeldOutOutputs:
    """What a network says of photos that it was not fitted to, by their features [N, D]."""
    found = network.forward_head(torch.from_numpy(features.astype(np.float32)))
    return HeldOutOutputs(
        paths=tuple(photos.paths),
        labels=photos.labels(),
        species_logits=found.species.numpy(),
        leaf_logits=found.leaf.numpy(),
        scores=found.scores.numpy(),
        leaf_calibrated=True,
    )


def _validation_temperatures(heads: Heads, features: np.ndarray, splits: Splits) -> Temperatures:
    labels = splits.val.labels()
    return fit_temperatures(*heads(features), species=labels.species, leaf=labels.leaf, taxonomy=splits.taxonomy)
