"""``hierpets info``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hierpets.cli.options import GivenPath

if TYPE_CHECKING:
    from hierpets.bundle.info import BundleInfo, GrownThreshold, SpeciesThresholds
    from hierpets.bundle.manifest import BackboneSpec
    from hierpets.plugin import Preprocess

__all__ = ["command"]

WIDTH = 13  # cells before the second column


@click.command("info")
@click.argument("bundle", type=GivenPath(file_okay=False), required=False, metavar="[BUNDLE]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(bundle: Path | None, as_json: bool) -> None:
    """Describe a bundle: classes, thresholds, training data, size.

    Without BUNDLE, the released bundle is described. Only the manifest is loaded.
    """
    from rich.cells import cell_len

    from hierpets.bundle.info import bundle_info
    from hierpets.text import escaped

    info = bundle_info(bundle)
    if as_json:
        click.echo(info.model_dump_json(indent=2))
        return
    for name, value in _lines(info):
        gap = " " * max(1, WIDTH - cell_len(name))  # letters of some scripts are two cells wide
        click.echo(click.wrap_text(escaped(f"{name}{gap}{value}"), width=100, subsequent_indent=" " * WIDTH))


def _lines(info: BundleInfo) -> Iterator[tuple[str, str]]:
    yield "bundle", info.path
    yield "model", str(info.model)
    yield "written by", f"hierpets {info.hierpets_version}, schema {info.schema_version}"
    known = f", {info.pretrained} of them known from pretraining alone" if info.pretrained else ""
    yield "classes", f"{len(info.classes)} species, {info.leaves} leaves{known}"
    for species, breeds in info.classes.items():
        yield f"  {species}", f"{len(breeds)} breeds: {', '.join(breeds)}" if breeds else "no breeds"
    for stage, early in enumerate(info.early):
        yield f"stage {stage}", _backbone(early.backbone)
        yield "  input", _input(early.preprocess)
        yield (
            "  answers",
            f"above a certainty of {early.threshold:.3g}: {early.share:.0%} of the photos that calibrated it",
        )
    yield f"stage {len(info.early)}" if info.early else "backbone", _backbone(info.backbone)
    yield "  input" if info.early else "input", _input(info.preprocess)
    yield "second look", "at small animals, in photos that leave doubt" if info.second_look else "none"
    yield "combiner", info.combiner
    yield "alpha", f"{info.alpha:g}"
    for species, thresholds in info.thresholds.items():
        yield f"  {species}", _needed(thresholds, few=info.min_alpha[species] > info.alpha)
    for name, grown in info.grown.items():
        yield "  grown", f"{name}: {_needed_by_grown(grown, name.split('/')[0])}"
    yield "training", ", ".join(f"{key.replace('_', ' ')}: {value}" for key, value in info.training.items())
    if info.selection:
        yield "recipe", str(info.selection)
    yield "engines", ", ".join(info.engines) + (", int8 graph" if info.quantized else "")
    yield "grows", "yes, by `hierpets grow`" if info.grows else "no, it keeps no statistics of its classes"
    if info.exports:
        yield "exports", ", ".join(info.exports)
    yield "size", f"{info.size_bytes / 1e6:.1f} MB"


def _needed(thresholds: SpeciesThresholds, *, few: bool) -> str:
    """Say what an answer needs. If no probability is enough, the thresholds were calibrated on too ``few`` photos, or
    the model was certain and wrong on too many.
    """
    if thresholds.probability >= 1:
        return f"answered as unknown: {_why_never(few=few)}"
    needed = f"probability > {thresholds.probability:.4g}, of a breed set > {thresholds.breed_set:.4g}"
    return needed if thresholds.pet is None else f"{needed}, pet >= {thresholds.pet:.4g}"


def _needed_by_grown(grown: GrownThreshold, species: str) -> str:
    if grown.probability >= 1:
        return f"answered as {species}: {_why_never(few=grown.few)}"
    return f"probability > {grown.probability:.4g}"


def _why_never(*, few: bool) -> str:
    why = "calibrated on photos of too few animals" if few else "certain and wrong on too many calibration photos"
    return f"{why} for a promise at this alpha"


def _backbone(spec: BackboneSpec) -> str:
    return f"{spec.name}{_options(spec.options)}, {spec.feature_dim} features"


def _input(preprocess: Preprocess) -> str:
    side, crop = preprocess.size, f"{preprocess.resize} {preprocess.crop:g}"
    return f"{side} x {side} pixels, {crop}, {preprocess.interpolation} interpolation"


def _options(options: dict[str, Any]) -> str:
    return f" ({', '.join(f'{key}={value}' for key, value in options.items())})" if options else ""
