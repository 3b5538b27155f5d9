"""``requirements/predict.txt``: the packages for predicting and serving, with the versions of ``pyproject.toml``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["read_project", "requirements_page"]

PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"

HEAD = """\
# Generated from pyproject.toml by `python tools/reference.py predict`.
# What predicting and serving need, without torch:
# pip install --no-deps . && pip install -r requirements/predict.txt
"""


def read_project() -> dict[str, Any]:
    """Read ``pyproject.toml``."""
    return tomllib.loads(PROJECT.read_text(encoding="utf-8"))


def requirements_page() -> str:
    """Return the whole file: the dependencies that ``tool.hierpets.predict`` lists, and the extra ``serve``."""
    settings = read_project()
    project, names = settings["project"], settings["tool"]["hierpets"]["predict"]
    needed = [text for text in project["dependencies"] if Requirement(text).name in names]
    return HEAD + "".join(f"{text}\n" for text in sorted([*needed, *project["optional-dependencies"]["serve"]]))
