"""Photos that cannot be read, found before anything is learned."""

from __future__ import annotations

import logging

from hierpets.config import TrainConfig
from hierpets.errors import DataError
from hierpets.model.backbone import build_backbone
from hierpets.progress import Progress
from hierpets.registry.loading import Registry
from hierpets.training.distributed import current_context
from hierpets.training.features.make import make_extractor
from hierpets.training.splits import Splits, keep_photos

__all__ = ["skip_unreadable"]

_log = logging.getLogger(__name__)


def skip_unreadable(
    splits: Splits, config: TrainConfig, *, registry: Registry, device: str, progress: Progress
) -> tuple[Splits, list[str]]:
    """The photos that can be read, and a line for each that cannot.

    The main process looks for all; the features that it computes meanwhile are those of the first candidate.

    :raises DataError: with ``config.strict``, photos that cannot be read; without it, if a class has no other.
    """
    context = current_context()
    found: dict[str, str] = {}
    if context.is_main:
        choice = config.candidate_backbones[0]
        backbone, spec = build_backbone(registry, choice.name, choice.options, choice.weights_file())
        extractor = make_extractor(backbone, spec, config, registry=registry, device=device)
        found = extractor.unreadable([*splits.train.paths, *splits.val.paths], progress=progress)
    found = context.gather(found)[0]
    if not found:
        return splits, []
    lines = list(found.values())
    count = f"{len(found)} of {len(splits.train) + len(splits.val)} photos cannot be read"
    if config.strict:
        raise DataError("\n".join([*lines, f"{count}; remove them, or train without --strict to skip them"]))
    if context.is_main:
        _log.warning("%s and are skipped:\n  %s", count, "\n  ".join(lines))
    return keep_photos(splits, lambda record: record.path not in found, config, registry), lines
