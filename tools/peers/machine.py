"""What the numbers were measured on."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

__all__ = ["describe_machine"]

VERSIONS = "import importlib.metadata as m, sys; print(', '.join(f'{n} {m.version(n)}' for n in sys.argv[1:]))"
EXTENSIONS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile")
OURS = ("hierpets", "openvino", "numpy", "opencv-python-headless", "torch")
THEIRS = (
    "fastai",
    "timm",
    "torch",
    "torchvision",
    "onnxruntime",
    "openvino",
    "numpy",
    "pillow",
    "opencv-python-headless",
)


def describe_machine(ours: str, theirs: Path) -> dict[str, str]:
    """Processor, cores, memory, system and versions, each as a line."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{memory:.0f} GB",
        "system": _system(),
        "Python": platform.python_version(),
        "hierpets' environment": _versions(ours, OURS),
        "the peers' environment": _versions(theirs, THEIRS),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    known = {name.strip(): value.strip() for name, value in facts.items()}
    extras = [name for name in EXTENSIONS if name in known.get("flags", "").split()]
    family = f"family {known.get('cpu family')}, model {known.get('model')}"
    return f"{known.get('model name', platform.machine())} ({family}; {', '.join(extras)})"


def _system() -> str:
    try:
        name = platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        name = platform.system()
    return f"{name}, {platform.system()} {platform.release()}"


def _versions(python: str | Path, names: tuple[str, ...]) -> str:
    told = subprocess.run([python, "-c", VERSIONS, *names], capture_output=True, text=True, check=True).stdout
    return told.strip()
