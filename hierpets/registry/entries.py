"""The models of ``registry.yaml``."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict

from hierpets.plugin.kinds import Kind, check_kind
from hierpets.validation.strict import PlainName, StrictModel

__all__ = ["PluginEntry", "RegistryFile", "split_entry"]


class PluginEntry(StrictModel):
    """One plugin. ``entry`` is ``path/to/file.py:function``, relative to the folder of ``registry.yaml``."""

    model_config = ConfigDict(strict=True, title="this plugin")

    name: PlainName
    kind: Annotated[Kind, BeforeValidator(check_kind)]
    entry: str
    options: dict[str, Any] = {}
    description: str = ""


class RegistryFile(StrictModel):
    """A whole ``registry.yaml``. With ``builtins: false``, only its own plugins are available."""

    model_config = ConfigDict(strict=True, title="the file")

    plugins: list[PluginEntry]
    builtins: bool = True


def split_entry(entry: str) -> tuple[PurePosixPath, str]:
    """``"plugins/a.py:f"`` -> the path and ``"f"``."""
    path, _, function = entry.rpartition(":")
    return PurePosixPath(path), function
