"""The page in each language: the English file, its texts translated, with what its script needs to say."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from html import escape
from pathlib import Path

from hierpets.messages.breeds import breed_names
from hierpets.messages.catalogue import Language, read_messages, say, speaking

__all__ = ["PAGE", "localized_page", "page_texts"]

PAGE = Path(__file__).parent / "page"
TEXT = re.compile(r"(?<=>)\s*([^<>\s][^<>]*?)\s*(?=<)")
ATTRIBUTE = re.compile(r'(?<=\s)(aria-label|name="description" content)="([^"]+)"')
"""Those that people read or hear."""


@cache
def localized_page(language: Language) -> str:
    """``index.html`` in a language."""
    english = (PAGE / "index.html").read_text(encoding="utf-8")
    with speaking(language):
        text = _replace(english, say)
    data = {"language": language, "messages": dict(read_messages(language)), "names": breed_names(language)}
    block = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    # No code, but data: the security policy, which forbids inline code, lets it through.
    script = f'<script type="application/json" id="messages">{block}</script>\n</head>'
    return text.replace('<html lang="en">', f'<html lang="{language}">').replace("</head>", script)


def page_texts(html: str) -> list[str]:
    """Every text of a page that is to be translated, in its order."""
    found: dict[str, None] = {}
    _replace(html, lambda text: found.setdefault(text) or text)
    return list(found)


def _replace(html: str, translate: Callable[[str], str]) -> str:
    """The page with ``translate`` of every text that people read."""

    def text(match: re.Match[str]) -> str:
        return match[0].replace(match[1], escape(translate(" ".join(match[1].split())), quote=False))

    def attribute(match: re.Match[str]) -> str:
        return f'{match[1]}="{escape(translate(match[2]))}"'

    head, body = html.split("<html", 1)
    return head + "<html" + ATTRIBUTE.sub(attribute, TEXT.sub(text, body))
