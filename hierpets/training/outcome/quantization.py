"""The bundle's graph with eight-bit activations, where photos that were held out show that this costs nothing."""

from __future__ import annotations

from pathlib import Path

from hierpets.config import TrainConfig
from hierpets.data.records import PhotoIndex
from hierpets.errors import BundleError
from hierpets.export.export import export_bundle
from hierpets.libraries import is_installed
from hierpets.progress import Progress
from hierpets.registry.loading import Registry

__all__ = ["LEAST_PHOTOS", "quantize_bundle"]

LEAST_PHOTOS = 100  # of fewer too few are close calls, which are what changes


def quantize_bundle(
    bundle: Path, held_out: PhotoIndex, config: TrainConfig, *, registry: Registry, progress: Progress
) -> tuple[bool, str]:
    """Whether the graphs of a bundle compute in int8 from now on, and what the check found or why there was none.

    ``held_out`` are photos that the weights were not fitted to. The model stays the same: what is replaced is how a CPU
    computes it, and ``--precision f32`` takes it back.
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
    if len(held_out) < LEAST_PHOTOS:
        return f"{len(held_out)} validation photos, and {LEAST_PHOTOS} are needed to check it"
    return None if is_installed("nncf") else "nncf is not installed: pip install 'hierpets[export]'"
