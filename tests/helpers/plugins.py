"""A registry with one plugin, written where a test wants it."""

from __future__ import annotations

import textwrap
from pathlib import Path

from hierpets.registry.loading import load_registry
from hierpets.registry.plugin import Plugin

__all__ = ["load_plugin", "write_registry"]


def write_registry(folder: Path, code: str, *, kind: str = "sampler", extra: str = "", name: str = "mine") -> Path:
    """``registry.yaml`` and ``p.py``, whose function ``f`` is the plugin; ``extra`` lines follow its entry."""
    (folder / "p.py").write_text(textwrap.dedent(code))
    path = folder / "registry.yaml"
    path.write_text(f"plugins:\n  - name: {name}\n    kind: {kind}\n    entry: p.py:f\n{extra}")
    return path


def load_plugin(folder: Path, code: str, *, kind: str = "sampler", extra: str = "") -> Plugin:
    return load_registry(write_registry(folder, code, kind=kind, extra=extra)).get(kind, "mine")
