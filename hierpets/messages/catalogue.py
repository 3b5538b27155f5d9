"""The catalogue of messages: English in the code, others in ``LANGUAGE.json``, built from ``LANGUAGE.po``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

__all__ = [
    "LANGUAGES",
    "Language",
    "choose_language",
    "current_language",
    "number",
    "read_messages",
    "say",
    "speaking",
    "spoken",
]

Language = Literal["en", "de", "es", "fr", "pt"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
FOLDER = Path(__file__).parent
MAX_WISHES = 20  # languages that are read from a header: anyone can send thousands

_language: ContextVar[Language] = ContextVar("language", default="en")


@contextmanager
def speaking(language: Language) -> Iterator[None]:
    """Use ``language`` for every message of this thread or task inside the ``with`` block."""
    token = _language.set(language)
    try:
        yield
    finally:
        _language.reset(token)


def current_language() -> Language:
    """Return the current language: English outside of :func:`speaking`."""
    return _language.get()


def say(message: str, /, **values: Any) -> str:
    """Translate ``message``, an English text, to the current language, with ``values`` in place of ``{names}``.

    A message without a translation, such as the claim of a user's own product, stays as it is.
    """
    text = read_messages(_language.get()).get(message, message)
    assert isinstance(text, str)
    return text.format(**values) if values else text


def spoken(name: str) -> str:
    """``tea_tree_oil`` -> ``tea tree oil``, ``d_limonene`` -> ``d-limonene``."""
    return name.replace("d_", "d-", 1).replace("_", " ") if name.startswith("d_") else name.replace("_", " ")


def number(text: str) -> str:
    """Write a number as the current language does: ``"41.5%"`` as ``"41,5 %"`` (CLDR)."""
    if _language.get() == "en":
        return text
    digits, percent, _ = text.replace(".", say("decimal point")).partition("%")
    return say("{number}%", number=digits) if percent else digits


@cache
def read_messages(language: Language) -> Mapping[str, str | list[str]]:
    """Read the translation of each English message; messages that count something have two: singular and plural."""
    if language == "en":
        return {"decimal point": "."}
    return json.loads((FOLDER / f"{language}.json").read_text(encoding="utf-8"))


def choose_language(accepted: str) -> Language:
    """Return the known language that an ``Accept-Language`` header (RFC 9110) prefers; English if it names none."""
    wishes = (wish.partition(";q=") for wish in accepted.replace(" ", "").lower().split(",")[:MAX_WISHES])
    ranked = sorted(((-_quality(q), tag.partition("-")[0]) for tag, _, q in wishes), key=lambda wish: wish[0])
    return next((known for q, tag in ranked if q < 0 for known in LANGUAGES if known == tag), "en")


def _quality(text: str) -> float:
    try:
        return min(1.0, float(text or 1))
    except ValueError:
        return 0.0
