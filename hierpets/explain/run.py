"""The commands ``hierpets explain`` and ``hierpets inspect``, from a photo to a picture."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from hierpets.bundle.manifest import Manifest
from hierpets.data.photos import Photo
from hierpets.data.transforms import denormalize
from hierpets.errors import ConfigError
from hierpets.explain.explainer import Explainer, Explanation
from hierpets.explain.trace import NETWORK_INPUT, TraceStep, trace_photo
from hierpets.files import check_output, write_file
from hierpets.inference.loading import load
from hierpets.registry.loading import Registry
from hierpets.thumbnails import encode_png

__all__ = ["explain_photo", "inspect_photo"]


def explain_photo(
    photo: Photo,
    *,
    bundle: str | Path | None = None,
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    top_k: int = 3,
    registry: Registry | str | Path | None = None,
    **engine: Any,
) -> Explanation:
    """Explain by Grad-CAM where the network looked for the species and breed of a photo; ``out`` is a PNG to write.

    ``engine``, ``device``, ``precision`` and ``compile`` as in :func:`hierpets.load`.

    :raises ConfigError: ``out`` is not named as a PNG, exists and ``overwrite`` is not given, or cannot be written.
    :raises ImageError: the photo cannot be read.
    :raises BundleError: a missing or damaged bundle.
    """
    if out is not None:
        _check_picture(Path(out), overwrite=overwrite)
    explanation = Explainer.load(bundle, registry=registry, **engine).explain(photo, top_k=top_k)
    if out is not None:
        from hierpets.explain.panel import render_panel

        write_file(Path(out), render_panel(explanation))
    return explanation


def inspect_photo(
    photo: Photo,
    *,
    bundle: str | Path | None = None,
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    registry: Registry | str | Path | None = None,
    **engine: Any,
) -> tuple[TraceStep, ...]:
    """Every array in the prediction of a photo, in order; ``out`` is a PNG to write of what the network sees.

    ``engine``, ``device``, ``precision`` and ``compile`` as in :func:`hierpets.load`.

    :raises ConfigError: ``out`` is not named as a PNG, exists and ``overwrite`` is not given, or cannot be written.
    :raises ImageError: the photo cannot be read.
    :raises BundleError: a missing or damaged bundle.
    """
    if out is not None:
        _check_picture(Path(out), overwrite=overwrite)
    predictor = load(bundle, registry=registry, recommend=False, **engine)
    steps = tuple(trace_photo(predictor, photo))
    if out is not None:
        write_file(Path(out), _network_view(steps, predictor.manifest))
    return steps


def _check_picture(path: Path, *, overwrite: bool) -> None:
    """:raises ConfigError: it is not named as a PNG, exists, or cannot be written."""
    if path.suffix.lower() not in ("", ".png"):
        raise ConfigError(f"{path}: the picture is a PNG; choose a name that ends in .png")
    check_output(path, overwrite=overwrite)


def _network_view(steps: tuple[TraceStep, ...], manifest: Manifest) -> bytes:
    """PNG of the input of the network that answered."""
    stage = sum(step.name.startswith("features") for step in steps) - 1
    inputs = [step.array for step in steps if step.name.startswith(NETWORK_INPUT)][stage]
    return encode_png(denormalize(manifest.networks[stage].preprocess, inputs))
