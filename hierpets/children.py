"""Modules of hierpets that run in a Python of their own."""

from __future__ import annotations

import sys

__all__ = ["child_command"]


def child_command(module: str, *arguments: str) -> list[str]:
    """The command that runs ``module`` as ``python -m`` does, but imports from where this process does.

    ``python -m`` would import from the working folder first, where a file of the user's may be called ``json.py``.
    """
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; import runpy; "
        f"runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
    )
    return [sys.executable, "-c", code, *arguments]
