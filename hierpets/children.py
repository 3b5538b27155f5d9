"""Modules of hierpets that run in a Python of their own."""

from __future__ import annotations

import os
import sys

__all__ = ["child_command", "child_environment"]


def child_command(module: str, *arguments: str) -> list[str]:
    """The command that runs ``module`` as ``python -m`` does, but imports from where this process does.

    ``python -m`` would import from the working folder first, where a file of the user's may be called ``json.py``.
    """
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; import runpy; "
        f"runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
    )
    return [sys.executable, "-c", code, *arguments]


def child_environment() -> dict[str, str]:
    """The environment of such a process: cv2 leaves a path of libraries whose empty end is the working folder, where a
    file of the user's may be called ``libc.so.6``.
    """
    folders = [folder for folder in os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep) if folder]
    return {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(folders)}
