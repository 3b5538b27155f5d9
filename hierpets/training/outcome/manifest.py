"""The manifest of a trained bundle."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from hierpets.bundle.manifest import Manifest
from hierpets.config import TrainConfig
from hierpets.training.calibration import Calibrated
from hierpets.training.splits import Splits
from hierpets.training.trained import Trained

__all__ = ["make_manifest"]

PACKAGES = ("torch", "timm", "openvino", "numpy", "scikit-learn", "opencv-python-headless")


def make_manifest(trained: Trained, calibrated: Calibrated, splits: Splits, config: TrainConfig) -> Manifest:
    """Build the manifest of a trained and calibrated model."""
    scorer = trained.network.ood_scorer
    return Manifest(
        version=config.version,
        taxonomy=calibrated.taxonomy,
        origins=trained.origins,
        preprocess=trained.backbone.preprocess,
        backbone=trained.spec,
        combiner=calibrated.combiner,
        temperatures=calibrated.temperatures,
        ood=scorer.spec if scorer else None,
        policy=calibrated.policy,
        early=tuple(early.spec for early in trained.early),
        second_look=trained.second_look,
        other_animals=trained.other_animals,
        selection=trained.selection,
        versions=_library_versions(),
        training={
            "summary": trained.summary,
            "recipe": config.recipe,
            "sampler": config.sampler,
            "seed": config.seed,
            "val_fraction": config.val_fraction,
            "calibrated_on": next(iter(trained.held_out)),
            **splits.sizes,
        },
    )


def _library_versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
