"""Make a plan for labeled photos before anything is trained on them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field

from hierpets.config import BackboneChoice, TrainConfig
from hierpets.data.labeled.index import check_apart
from hierpets.files import check_output, write_all
from hierpets.inference.engines.base import choose_device
from hierpets.planning.backbones import EACH, rank_backbones
from hierpets.planning.costs import TimedBackbone, recipe_costs, time_backbone, time_heads
from hierpets.planning.crossvalidation import cross_validate_sizes, curve_sizes
from hierpets.planning.curve import class_gains, curve_points
from hierpets.planning.figure import plan_figure
from hierpets.planning.photos import PlanPhotos, at_most, extract_features, read_photos, readable_photos
from hierpets.planning.pretraining import compare_random
from hierpets.planning.result import Plan
from hierpets.progress import Progress, no_progress
from hierpets.registry.loading import Registry, load_registry
from hierpets.validation.arguments import checked

__all__ = ["FIGURE_FILE", "PLAN_FILE", "plan"]

Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]
PLAN_FILE, FIGURE_FILE = "plan.json", "plan.png"


@checked
def plan(
    data: str | os.PathLike[str],
    config: TrainConfig | None = None,
    *,
    backbones: bool = False,
    price: Price | None = None,
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    registry: Registry | str | os.PathLike[str] | None = None,
    progress: Progress = no_progress,
) -> Plan:
    """Measure what can be promised with labeled photos, where more would help, and what each recipe costs here.

    ``data`` as in :func:`hierpets.train`; at most 200 photos of a class are used. Nothing is trained but linear
    heads on frozen features. ``config`` are the settings of the training that is planned: backbone, device, what recipe
    ``auto`` compares. ``backbones`` also ranks those, and asks whether pretraining helps. ``price`` is what an
    hour of this machine costs. With ``out``, that folder gets ``plan.json`` and ``plan.png``. ``docs/plan.md`` says
    how each number comes about.

    :raises DataError: no photos there, or fewer than two classes of at least four photos.
    :raises ConfigError: ``out`` exists and ``overwrite`` is not given, or lies among the photos; or a price below zero.
    :raises RegistryError, PluginError: an invalid registry, or a backbone that does not exist or fails.
    :raises DeviceError: a device that is not available.
    """
    if out is not None:
        check_output(Path(out), overwrite=overwrite)
        check_output(Path(out) / PLAN_FILE, overwrite=True)
        check_apart(out, data)
    found = _plan(os.fspath(data), config or TrainConfig(), registry, backbones=backbones, price=price, report=progress)
    if out is not None:
        content = found.model_dump_json(indent=2) + "\n"
        write_all(Path(out), {PLAN_FILE: content, FIGURE_FILE: plan_figure(found).png})
    return found


def _plan(
    data: str,
    config: TrainConfig,
    registry: Registry | str | os.PathLike[str] | None,
    *,
    backbones: bool,
    price: float | None,
    report: Progress,
) -> Plan:
    plugins, device = load_registry(registry or config.registry), choose_device(config.device)
    given = read_photos(data, plugins, breeds=config.levels != "species")
    candidates = config.model_copy(update={"recipe": "auto"}).candidate_backbones
    choices = (config.backbone_choice, *candidates, *config.early)
    own, *others = _prepared(choices, given, config, plugins, device, report)
    compared, early = others[: len(candidates)], others[len(candidates) :]
    used = readable_photos(given, own.extractor, config, progress=report)
    photos = extract_features(used.index, own.extractor, config, plugins, progress=report)
    judged = cross_validate_sizes(photos, curve_sizes(photos.labels), progress=report)
    heads = time_heads(photos, of=given.trained)
    costs = recipe_costs(config, own, early, compared, heads, photos=given.trained, device=device, price=price)
    few = at_most(used, EACH).index
    return Plan(
        data=data,
        backbone=str(own.choice),
        level="breed" if photos.taxonomy.has_breeds else "species",
        photos=len(photos),
        classes=len(photos.taxonomy.leaves),
        left_out=used.left_out,
        curve=tuple(curve_points(judged, photos)),
        gains=class_gains(judged, photos),
        recipes=costs,
        backbones=rank_backbones(compared, few, config, plugins, progress=report) if backbones else (),
        pretraining=compare_random(own.spec, few, config, plugins, device=device, progress=report)
        if backbones
        else None,
    )


def _prepared(
    choices: Sequence[BackboneChoice],
    photos: PlanPhotos,
    config: TrainConfig,
    registry: Registry,
    device: str,
    report: Progress,
) -> list[TimedBackbone]:
    """Build and time each choice, in order; one that is listed twice only once."""
    distinct = [choice for place, choice in enumerate(choices) if choice not in choices[:place]]
    ready = []
    report("timing backbones", 0, len(distinct))
    for done, choice in enumerate(distinct, start=1):
        ready.append(time_backbone(choice, photos.index.paths, registry, device=device, seed=config.seed))
        report("timing backbones", done, len(distinct))
    return [ready[distinct.index(choice)] for choice in choices]
