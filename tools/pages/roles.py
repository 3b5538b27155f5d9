"""Docstrings as Markdown: Sphinx's roles and literals become code, in pages and, by griffe's extension, on the site."""

from __future__ import annotations

import re
from typing import Any

import griffe

__all__ = ["RolesToMarkdown", "to_markdown"]


def to_markdown(text: str) -> str:
    """``:class:`~a.B``` and double backticks as a single pair of backticks."""
    text = re.sub(r":\w+:`~?([^`]+)`", lambda match: f"`{match.group(1).rpartition('.')[2]}`", text)
    return re.sub(r"``([^`]+)``", r"`\1`", text)


class RolesToMarkdown(griffe.Extension):
    """Rewrites each docstring when it is read. Those of modules are for readers of the code, the page has its own."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.is_module:
            obj.docstring = None
        elif obj.docstring is not None:
            obj.docstring.value = to_markdown(obj.docstring.value)
