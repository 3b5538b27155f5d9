"""Convert docstrings to Markdown: Sphinx's roles and literals become code, in pages and, by griffe, on the site."""

from __future__ import annotations

import re
from typing import Any

import griffe

__all__ = ["RolesToMarkdown", "to_markdown"]


def to_markdown(text: str) -> str:
    """Convert ``:class:`~a.B``` and double backticks to single backticks."""
    text = re.sub(r":\w+:`~?([^`]+)`", lambda match: f"`{match.group(1).rpartition('.')[2]}`", text)
    return re.sub(r"``([^`]+)``", r"`\1`", text)


class RolesToMarkdown(griffe.Extension):
    """Converts each docstring that griffe reads. Those of modules are dropped: pages have their own introductions."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.is_module:
            obj.docstring = None
        elif obj.docstring is not None:
            obj.docstring.value = to_markdown(obj.docstring.value)
