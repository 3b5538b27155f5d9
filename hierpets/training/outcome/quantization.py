"""Quantize the activations of a bundle's graphs, if held-out photos show that accuracy does not suffer."""

from __future__ import annotations

from pathlib import Path

from hierpets.config import TrainConfig
from hierpets.data.records import PhotoIndex
from hierpets.errors import BundleError
from hierpets.export.export import export_bundle
from hierpets.libraries import is_installed
from hierpets.progress import Progress
from hierpets.registry.loading import Registry

__all__ = ["MIN_PHOTOS", "quantize_bundle"]

MIN_PHOTOS = 100  # fewer contain too few close calls, which are the predictions that change


def quantize_bundle(
    bundle: Path, held_out: PhotoIndex, config: TrainConfig, *, registry: Registry, progress: Progress
) -> tuple[bool, str]:
    """Quantize the graphs of a bundle if its accuracy on ``held_out`` photos allows it.

    The weights were not fitted to the ``held_out`` photos. The model stays the same: only a CPU computes it
    differently, and ``--precision f32`` undoes that.

    :returns: whether the graphs compute in int8 from now on, and the result of the check, or why there was none.
    """
    if reason := _reason_to_skip(held_out, config):
        return False, reason
    try:
        done = export_bundle(
            bundle, "openvino", data=held_out, precision="int8", overwrite=True, registry=registry, progress=progress
        )
    except BundleError as error:
        return False, str(error)
    return True, done.parity.words()


def _reason_to_skip(held_out: PhotoIndex, config: TrainConfig) -> str | None:
    if not config.quantize:
        return "quantize is false"
    if config.cluster:
        return "photos of a cluster are not read here"
    if len(held_out) < MIN_PHOTOS:
        return f"{len(held_out)} validation photos, and {MIN_PHOTOS} are needed to check it"
    return None if is_installed("nncf") else "nncf is not installed: pip install 'hierpets[export]'"
