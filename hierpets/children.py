"""Run modules of hierpets in a Python process of their own."""

from __future__ import annotations

import os
import sys

__all__ = ["child_command", "child_environment"]


def child_command(module: str, *arguments: str) -> list[str]:
    """The command that runs ``module`` like ``python -m``, but with the import path of this process.

    ``python -m`` would import from the working directory first, where the user may have a file ``json.py``.
    """
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; import runpy; "
        f"runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
    )
    return [sys.executable, "-c", code, *arguments]


def child_environment() -> dict[str, str]:
    """The environment for such a process, without empty entries in ``LD_LIBRARY_PATH``.

    cv2 leaves an empty entry there, which stands for the working directory, where the user may have a ``libc.so.6``.
    """
    folders = [folder for folder in os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep) if folder]
    return {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(folders)}
