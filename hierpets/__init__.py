"""hierpets: species and breed of a pet from a photo, how sure that is, and a shampoo that does no harm.

The public names are imported on first use, so that ``import hierpets`` stays light.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from hierpets.libraries import needed_for

if TYPE_CHECKING:
    from hierpets.auditing.findings import Audit
    from hierpets.auditing.run import audit
    from hierpets.auditing.settings import AuditSettings
    from hierpets.bundle.identity import ModelId
    from hierpets.config import TrainConfig
    from hierpets.data.photos import Limits, NamedPhoto, Photo
    from hierpets.errors import (
        BundleError,
        CatalogError,
        ConfigError,
        DataError,
        DeviceError,
        HierpetsError,
        ImageError,
        InternalError,
        PluginError,
        RegistryError,
    )
    from hierpets.evaluation.comparison.result import Comparison
    from hierpets.evaluation.comparison.run import compare
    from hierpets.evaluation.run import Evaluation, evaluate
    from hierpets.growing.forget import forget
    from hierpets.growing.grow import grow
    from hierpets.growing.result import ForgetResult, GrowResult
    from hierpets.inference.loading import load
    from hierpets.inference.options import PredictOptions
    from hierpets.inference.prediction import Prediction, Region
    from hierpets.inference.predictor import Predictor
    from hierpets.messages.breeds import Names, read_names
    from hierpets.planning.result import Plan
    from hierpets.planning.run import plan
    from hierpets.regions.boxes import Box
    from hierpets.regions.files import BoxFile, read_boxes
    from hierpets.taxonomy import Leaf, Taxonomy
    from hierpets.training.outcome.result import TrainResult
    from hierpets.training.recipe import train

__version__ = version("hierpets")

_HOMES = {
    "Audit": "hierpets.auditing.findings",
    "AuditSettings": "hierpets.auditing.settings",
    "Box": "hierpets.regions.boxes",
    "BoxFile": "hierpets.regions.files",
    "BundleError": "hierpets.errors",
    "CatalogError": "hierpets.errors",
    "Comparison": "hierpets.evaluation.comparison.result",
    "ConfigError": "hierpets.errors",
    "DataError": "hierpets.errors",
    "DeviceError": "hierpets.errors",
    "Evaluation": "hierpets.evaluation.run",
    "ForgetResult": "hierpets.growing.result",
    "GrowResult": "hierpets.growing.result",
    "HierpetsError": "hierpets.errors",
    "ImageError": "hierpets.errors",
    "InternalError": "hierpets.errors",
    "Leaf": "hierpets.taxonomy",
    "Limits": "hierpets.data.photos",
    "ModelId": "hierpets.bundle.identity",
    "NamedPhoto": "hierpets.data.photos",
    "Names": "hierpets.messages.breeds",
    "Photo": "hierpets.data.photos",
    "Plan": "hierpets.planning.result",
    "PluginError": "hierpets.errors",
    "PredictOptions": "hierpets.inference.options",
    "Prediction": "hierpets.inference.prediction",
    "Predictor": "hierpets.inference.predictor",
    "Region": "hierpets.inference.prediction",
    "RegistryError": "hierpets.errors",
    "Taxonomy": "hierpets.taxonomy",
    "TrainConfig": "hierpets.config",
    "TrainResult": "hierpets.training.outcome.result",
    "audit": "hierpets.auditing.run",
    "compare": "hierpets.evaluation.comparison.run",
    "evaluate": "hierpets.evaluation.run",
    "forget": "hierpets.growing.forget",
    "grow": "hierpets.growing.grow",
    "load": "hierpets.inference.loading",
    "plan": "hierpets.planning.run",
    "read_boxes": "hierpets.regions.files",
    "read_names": "hierpets.messages.breeds",
    "train": "hierpets.training.recipe",
}

__all__ = [
    "Audit",
    "AuditSettings",
    "Box",
    "BoxFile",
    "BundleError",
    "CatalogError",
    "Comparison",
    "ConfigError",
    "DataError",
    "DeviceError",
    "Evaluation",
    "ForgetResult",
    "GrowResult",
    "HierpetsError",
    "ImageError",
    "InternalError",
    "Leaf",
    "Limits",
    "ModelId",
    "NamedPhoto",
    "Names",
    "Photo",
    "Plan",
    "PluginError",
    "PredictOptions",
    "Prediction",
    "Predictor",
    "Region",
    "RegistryError",
    "Taxonomy",
    "TrainConfig",
    "TrainResult",
    "__version__",
    "audit",
    "compare",
    "evaluate",
    "forget",
    "grow",
    "load",
    "plan",
    "read_boxes",
    "read_names",
    "train",
]


if not TYPE_CHECKING:  # otherwise, type checkers would accept any name, even a misspelled one

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module 'hierpets' has no attribute {name!r}")
        with needed_for(f"hierpets.{name}"):
            return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
