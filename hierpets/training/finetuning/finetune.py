"""Fine-tune the whole network from its linear heads, and keep the best point on the way."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import numpy as np

from hierpets.config import TrainConfig
from hierpets.errors import within_gpu_memory
from hierpets.hierarchy.calibration import Temperatures
from hierpets.model.cudnn import repeatable
from hierpets.model.heads import Heads, Linear
from hierpets.model.network import HierarchicalNetwork
from hierpets.plugin import Guard, Preprocess
from hierpets.taxonomy import Taxonomy
from hierpets.training.distributed import current_context
from hierpets.training.finetuning.batches import TrainingBatches
from hierpets.training.finetuning.checkpoint import Checkpoint, describe_run
from hierpets.training.finetuning.learner import Learner
from hierpets.training.finetuning.loop import FinetuneResult, FinetuningLoop
from hierpets.training.finetuning.time_estimate import finetune_minutes, too_long
from hierpets.training.frozen.model import judge_by_validation
from hierpets.training.prior import prior_shift
from hierpets.training.run.folder import Run
from hierpets.training.score import Validation
from hierpets.training.splits import Splits
from hierpets.training.trained import Trained
from hierpets.workers import cores

__all__ = ["apply_temperatures", "finetune", "finetune_trained", "reason_to_skip"]


def reason_to_skip(frozen: Trained, splits: Splits, config: TrainConfig, *, device: str) -> str | None:
    """Return why recipe ``auto`` does not fine-tune; None if it has validation photos and enough time."""
    limit = config.auto.finetune_minutes
    if not limit:
        return "finetune_minutes is 0"
    if not len(splits.val):
        return "no validation photos"
    minutes = finetune_minutes(frozen.backbone, photos=len(splits.train), epochs=config.finetune.epochs, device=device)
    return too_long(minutes, limit)


def finetune_trained(
    frozen: Trained,
    splits: Splits,
    config: TrainConfig,
    *,
    run: Run,
    device: str,
    checkpoint: Checkpoint | None = None,
) -> Trained:
    """Return the fine-tuned network, or ``frozen`` unless it is better by more than a standard error."""
    network = deepcopy(frozen.network)
    # They belong to the frozen features, and are fitted again to the fine-tuned ones.
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
    run.log(
        "finetuned",
        won=result.won,
        start=result.start.accuracy,
        best=result.best.accuracy,
        alpha=result.alpha,
        photos=len(splits.val),
    )
    if not result.won:
        return frozen
    backbone, heads = result.network.backbone, result.network.get_heads()
    tuned = judge_by_validation(frozen, backbone, heads, splits, config, device=device, progress=run.progress)
    selection = frozen.selection and frozen.selection.model_copy(update={"finetuned": True})
    return replace(tuned, summary=f"{frozen.summary}, fine-tuned", statistics=None, selection=selection)


@within_gpu_memory()
def finetune(
    network: HierarchicalNetwork,
    splits: Splits,
    *,
    preprocess: Preprocess,
    config: TrainConfig,
    run: Run,
    device: str,
    checkpoint: Checkpoint | None,
    temperatures: Temperatures,
    guard: Guard,
) -> FinetuneResult:
    """Fine-tune a copy of ``network``; the unchanged ``network`` is returned if the copy is not clearly better.

    The best epoch, and the best point between start and end, are those with the largest balanced accuracy of breeds on
    the validation photos (of species, if there are no breeds). Because the result is the best of several, it has to win
    by more than a standard error, photo by photo, like a candidate of recipe ``auto``. With a ``checkpoint``, training
    continues from there and ends with the same weights as if it had never stopped. Processes joined by
    ``join_distributed`` share the work; each returns the same result, and only the main one writes checkpoints.

    ``temperatures`` are those of the heads' out-of-fold logits, which are divided by them first: heads fitted to few
    photos are overconfident, and would learn from little but their mistakes. During training the heads have the prior
    of ``splits.weights``, like the photos that they see; validation and the returned network use that of the settings.

    :raises ConfigError: the loss or its gradient is not finite.
    :raises DeviceError: the GPU is out of memory.
    :raises PluginError: the network fails; ``guard`` is that of its backbone.
    :raises ImageError: a photo cannot be read.
    """
    tuned, heads = deepcopy(network), apply_temperatures(network.get_heads(), temperatures, network.taxonomy)
    shift = prior_shift(splits.weights, splits.labels, splits.taxonomy, target=config.prior, combiner=config.combiner)
    tuned.set_heads(heads.shifted(*shift.undone))
    context = current_context()
    workers = cores() if config.finetune.workers is None else config.finetune.workers
    learner = Learner(tuned, splits, config, device=device, context=context, guard=guard)
    loop = FinetuningLoop(
        learner,
        TrainingBatches(splits.train.paths, preprocess, learner.plan, config.seed, workers),
        Validation(splits.val, preprocess, config.combiner, device, context, shift, workers),
        run=run,
        identity=describe_run(config, splits),
        names=[str(splits.train.leaf_of(record)) for record in splits.train.records],
    )
    if checkpoint is not None:
        loop.restore(checkpoint)
    with repeatable:  # so that a resumed training ends with the same weights
        result = loop.fit()
    return result if result.won else replace(result, network=network)


def apply_temperatures(heads: Heads, temperatures: Temperatures, taxonomy: Taxonomy) -> Heads:
    """Return heads whose logits are divided by the temperatures, which changes no prediction within a level."""
    weights = temperatures.apply(heads.species.weight.T, heads.leaf.weight.T, taxonomy)
    biases = temperatures.apply(heads.species.bias[None], heads.leaf.bias[None], taxonomy)
    species, leaf = (
        Linear(weight.T.astype(np.float32), bias[0].astype(np.float32))
        for weight, bias in zip(weights, biases, strict=True)
    )
    return Heads(species=species, leaf=leaf)
