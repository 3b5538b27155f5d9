"""The page that shows answers: served beside the API, or exported to answer by itself; in each language."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from html import escape
from pathlib import Path

from hierpets.messages.breeds import breed_names
from hierpets.messages.catalogue import Language, read_messages, say, speaking

__all__ = ["ASSETS", "INDEX", "POLICY", "STATIC", "page_texts", "render_page"]

FOLDER = Path(__file__).parent
INDEX = FOLDER / "index.html"
STATIC = "static"
ASSETS = FOLDER / STATIC
"""Style, icon and scripts, as static files. ``backend.js`` asks the server; an exported page brings one of its own."""

POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; connect-src 'self'; "
    "img-src 'self' blob:; style-src 'self'; base-uri 'none'; form-action 'none'"
)
"""What an exported page may load and reach: the folder that it came from, and nothing else."""

CHARSET = '<meta charset="utf-8">'
TEXT = re.compile(r"(?<=>)\s*([^<>\s][^<>]*?)\s*(?=<)")
ATTRIBUTE = re.compile(r'(?<=\s)(aria-label|name="description" content)="([^"]+)"')
"""Those that people read or hear."""


@cache
def render_page(language: Language = "en", *, served: bool, assets: str = STATIC) -> str:
    """``index.html`` in a language, beside an API or without one; its assets are to lie in the folder ``assets`` beside
    it.
    """
    english = _keep(INDEX.read_text(encoding="utf-8"), "served" if served else "alone")
    with speaking(language):
        text = _replace(english, say)
    data = {"language": language, "messages": dict(read_messages(language)), "names": breed_names(language)}
    block = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    # No code, but data: the security policy, which forbids inline code, lets it through.
    script = f'<script type="application/json" id="messages">{block}</script>\n</head>'
    policy = "" if served else f'\n  <meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    text = text.replace(f'="{STATIC}/', f'="{assets}/')
    text = text.replace('<html lang="en">', f'<html lang="{language}">').replace("</head>", script)
    return text.replace(CHARSET, CHARSET + policy)


def page_texts(html: str) -> list[str]:
    """Every text of a page that is to be translated, in its order."""
    found: dict[str, None] = {}
    _replace(html, lambda text: found.setdefault(text) or text)
    return list(found)


def _keep(html: str, wanted: str) -> str:
    """The page with what stands between the marks of one kind, without that of the other."""

    def part(match: re.Match[str]) -> str:
        return match[2] if match[1] == wanted else ""

    return re.sub(r"<!--(served|alone)-->\n(.*?)<!--/\1-->\n", part, html, flags=re.DOTALL)


def _replace(html: str, translate: Callable[[str], str]) -> str:
    """The page with ``translate`` of every text that people read."""

    def text(match: re.Match[str]) -> str:
        return match[0].replace(match[1], escape(translate(" ".join(match[1].split())), quote=False))

    def attribute(match: re.Match[str]) -> str:
        return f'{match[1]}="{escape(translate(match[2]))}"'

    head, body = html.split("<html", 1)
    return head + "<html" + ATTRIBUTE.sub(attribute, TEXT.sub(text, body))
