"""Format numbers and names for people."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

from hierpets.messages.catalogue import number

__all__ = [
    "capital",
    "counted",
    "escaped",
    "is_printable",
    "join_words",
    "likelihood",
    "percent",
    "pretty",
    "told_apart",
]

JOINERS = "\u200c\u200d"  # invisible, but part of the spelling of Persian and Hindi


def percent(share: float | None, digits: int = 1) -> str:
    """``0.9132`` as ``"91.3%"``; ``"–"`` for None. Only 1 is ``"100%"``, else ``">99.9%"``; only 0 is ``"0%"``."""
    if share is None:
        return "–"
    step = 10.0**-digits
    if share in (0, 1):
        return f"{100 * share:.0f}%"
    if share < step / 200:
        return f"<{step:.{digits}f}%"
    if share > 1 - step / 200:
        return f">{100 - step:.{digits}f}%"
    return f"{100 * share:.{digits}f}%"


def likelihood(p: float) -> str:
    """A probability in a sentence: ``0.0042`` as ``"0.4%"``, ``0.41`` as ``"41%"``. No model is certain: never 100%.

    In the current language: ``"0,4 %"`` in German.
    """
    return number(percent(min(p, 1 - 1e-9), digits=1 if p < 0.0095 else 0))


def pretty(label: str) -> str:
    """A label in plain words: ``"cat/british_shorthair"`` as ``"british shorthair"``."""
    return label.rpartition("/")[2].replace("_", " ")


def told_apart(labels: Iterable[str]) -> dict[str, str]:
    """Labels in plain words, with the species where two would otherwise read alike: ``"cat angora"``."""
    names = {label: pretty(label) for label in labels}
    times = Counter(names.values())
    return {
        label: name if times[name] == 1 else " ".join(map(pretty, label.split("/"))) for label, name in names.items()
    }


def capital(text: str) -> str:
    """The text with its first letter in upper case; the others stay, as in ``"Deutscher Schäferhund"``."""
    return text[:1].upper() + text[1:]


def counted(n: int, noun: str) -> str:
    """``"1 photo"``, ``"1,200 photos"``."""
    return f"{n:,} {noun}{'s' * (n != 1)}"


def join_words(words: Sequence[str], *, limit: int | None = None) -> str:
    """``"a, b and c"``; with ``limit`` 2, ``"a, b and 1 more"``."""
    if limit is not None and len(words) > limit:
        return f"{', '.join(words[:limit])} and {len(words) - limit} more"
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def is_printable(text: str) -> bool:
    """Whether a text has no control characters, which move the cursor, break the line or change its direction."""
    kinds = (unicodedata.category(character) for character in text if character not in JOINERS)
    return not any(kind in ("Cc", "Cf", "Zl", "Zp") for kind in kinds)


def escaped(text: str) -> str:
    """The text with characters that are not :func:`is_printable` replaced by escapes such as ``\\x1b``."""
    return "".join(one if is_printable(one) else ascii(one)[1:-1] for one in text)
