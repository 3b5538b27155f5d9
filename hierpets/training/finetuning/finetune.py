"""Fine-tune the whole network from its linear heads, gently, and keep the best point on the way."""

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
    """Why recipe ``auto`` does not fine-tune; None where it has validation photos to judge by, and time enough."""
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
    """The fine-tuned network, or ``frozen`` if it does not beat it by more than a standard error."""
    network = deepcopy(frozen.network)
    # They belong to the frozen features, and are fitted again to those that come out.
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
    before = frozen.selection and frozen.selection.model_copy(update={"finetuned": True})
    return replace(tuned, summary=f"{frozen.summary}, fine-tuned", statistics=None, selection=before)


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
    """Train a copy of ``network``, which is not changed and is returned if nothing clearly beats it.

    The best epoch, and the best point between start and end, have the largest breed balanced accuracy on the validation
    photos (species, where there are no breeds). It is the best of several, so that it has to win as a candidate of
    recipe ``auto`` has: photo by photo, by more than a standard error. With a ``checkpoint`` training
    continues from there, and ends in the same weights as if it had not stopped. Processes joined by
    ``join_distributed`` share the work; each returns the same result, and only the main one writes checkpoints.

    ``temperatures`` are those of the heads' out-of-fold logits. Heads fitted to few photos are overconfident, and would
    learn from little but their mistakes: their logits are divided by the temperatures first.
    While it trains, the heads have the prior of ``splits.weights``, as the photos that they see; what is judged, and
    returned, has that of the settings.

    :raises ConfigError: a loss that is not finite.
    :raises DeviceError: the GPU has not the memory for a batch.
    :raises PluginError: the network fails; ``guard`` is that of its backbone.
    :raises ImageError: a photo that cannot be read.
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
    with repeatable:  # a resumed training ends where it should
        result = loop.fit()
    return result if result.won else replace(result, network=network)


def apply_temperatures(heads: Heads, temperatures: Temperatures, taxonomy: Taxonomy) -> Heads:
    """Heads whose logits are those of ``heads`` divided by the temperatures: within a level, no prediction changes."""
    weights = temperatures.apply(heads.species.weight.T, heads.leaf.weight.T, taxonomy)
    biases = temperatures.apply(heads.species.bias[None], heads.leaf.bias[None], taxonomy)
    species, leaf = (
        Linear(weight.T.astype(np.float32), bias[0].astype(np.float32))
        for weight, bias in zip(weights, biases, strict=True)
    )
    return Heads(species=species, leaf=leaf)
