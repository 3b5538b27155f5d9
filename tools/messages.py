"""Update the message catalogues: extract the English messages, merge them into each language, and compile that.

python tools/messages.py

It writes hierpets/messages/LANGUAGE.po, which translators edit, and LANGUAGE.json, which is read at run time. If
messages have no translation, it prints them, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from hierpets.files import write_file  # noqa: E402
from hierpets.messages.catalogue import FOLDER, LANGUAGES, spoken  # noqa: E402
from hierpets.page import ASSETS, INDEX, page_texts  # noqa: E402
from hierpets.recommend.catalog import COAT_TYPES  # noqa: E402
from hierpets.recommend.loading import load_catalog  # noqa: E402
from hierpets.registry.loading import bundled_registry  # noqa: E402
from hierpets.serve.problems import CATALOG  # noqa: E402
from plugins.shampoo import fallback, skin  # noqa: E402

TRANSLATED = tuple(language for language in LANGUAGES if language != "en")
PYTHON, SCRIPT = {"say": None}, {"t": None, "tn": (1, 2)}
WRITTEN = datetime(2026, 1, 1, tzinfo=timezone.utc)  # a fixed date: one that changes with each run would clutter diffs
PLURALS = {"de": "n != 1", "es": "n != 1", "fr": "n > 1", "pt": "n > 1"}  # CLDR also has one for millions
# Headers that differ between versions of Babel, or that nobody filled in.
UNWANTED = re.compile(r'^"(Generated-By|Report-Msgid-Bugs-To|Project-Id-Version): .*\n', re.MULTILINE)
FIELD = re.compile(r"\{\w+\}")
Id = str | tuple[str, ...]


@cache
def english() -> dict[Id, str]:
    """Return every English message, or its forms for one and for more, with the file that it is in."""
    found: dict[Id, str] = {}
    for file, message in [*_of_code(), *_of_tables(), *(("page/index.html", text) for text in _of_page())]:
        found.setdefault(message, file)
    return found


def _of_code() -> Iterator[tuple[str, Id]]:
    for folder in ("hierpets", "plugins"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield from _extracted(path, "python", PYTHON)
    for path in sorted([*ASSETS.glob("*.js"), *(ROOT / "hierpets/export/web/page").glob("*.js")]):
        yield from _extracted(path, "javascript", SCRIPT)


def _extracted(path: Path, method: str, keywords: dict[str, Any]) -> Iterator[tuple[str, Id]]:
    options = {"parse_template_string": True} if method == "javascript" else {}
    for _, message, _, _ in extract(method, io.BytesIO(path.read_bytes()), keywords, options=options):
        yield path.relative_to(ROOT).as_posix(), message


def _of_tables() -> Iterator[tuple[str, Id]]:
    """Yield messages that are data: of the catalog, the rules, and the problems of the server."""
    catalog = load_catalog(bundled_registry())
    yield from (("plugins/shampoo/products.yaml", product.claim) for product in catalog.products.values())
    yield from (("plugins/shampoo/breeds.yaml", note.tip) for note in catalog.skin.values())
    for name, ingredient in catalog.ingredients.items():
        if ingredient.not_for or name in skin.IRRITANTS:
            names = (name, *ingredient.aliases) if ingredient.not_for else (name,)  # as on the label of a product
            yield from (("plugins/shampoo/ingredients.yaml", spoken(one)) for one in names)
        yield from (("plugins/shampoo/ingredients.yaml", why) for why in ingredient.not_for.values())
    yield from (("plugins/shampoo/skin.py", reason) for _, reason in skin.NEEDS.values())
    yield "plugins/shampoo/fallback.py", fallback.SENTENCE
    yield from (("hierpets/recommend/catalog.py", words) for words in COAT_TYPES.values())
    yield from (("hierpets/serve/problems.py", title) for _, title in CATALOG.values())


def _of_page() -> list[str]:
    return page_texts(INDEX.read_text(encoding="utf-8"))


def read_language(language: str) -> Catalog:
    """Read ``LANGUAGE.po``; return an empty catalogue if there is none yet."""
    path = FOLDER / f"{language}.po"
    return read_po(io.BytesIO(path.read_bytes() if path.exists() else b""), locale=language)


def merged(language: str) -> Catalog:
    """Merge the current English messages with the existing translations."""
    old = read_language(language)
    new = Catalog(
        locale=language,
        project="hierpets",
        version="",
        copyright_holder="hierpets contributors",
        msgid_bugs_address="",
        creation_date=WRITTEN,
        revision_date=WRITTEN,
        last_translator="hierpets contributors",
        language_team=language,
        header_comment=f"# hierpets in the language {language}: python tools/messages.py merges and compiles it.",
        fuzzy=False,
    )
    new.mime_headers = [("Plural-Forms", f"nplurals=2; plural=({PLURALS[language]});")]
    for message, file in english().items():
        known = old.get(message if isinstance(message, str) else message[0])
        new.add(message, known.string if known and known.id == message else "", locations=[(file, 0)])
    return new


def po_text(catalog: Catalog) -> str:
    """Return a catalogue in the PO format."""
    out = io.BytesIO()
    write_po(out, catalog, width=120, include_lineno=False, sort_output=True)
    return UNWANTED.sub("", out.getvalue().decode())


def json_text(catalog: Catalog) -> str:
    """Return the JSON that is read at run time: it maps a message to its translation, or to the two forms of it."""
    table: dict[str, str | list[str]] = {
        _key(message): message.string if isinstance(message.string, str) else _forms(message)
        for message in catalog
        if message.id and not missing(message)
    }
    return json.dumps(dict(sorted(table.items())), ensure_ascii=False, indent=1) + "\n"


def missing(message: Message) -> bool:
    """Return whether a message, or one of its forms, has no translation."""
    return not all(_forms(message)) or not _forms(message)


def placeholders(text: str) -> set[str]:
    """Return the ``{names}`` in a message."""
    return set(FIELD.findall(text))


def _key(message: Message) -> str:
    return message.id if isinstance(message.id, str) else str(message.id[0])


def _forms(message: Message) -> list[str]:
    return [message.string] if isinstance(message.string, str) else [str(form) for form in message.string or ()]


def main() -> None:
    """Write every language; print untranslated messages."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    untranslated = 0
    for language in TRANSLATED:
        catalog = merged(language)
        write_file(FOLDER / f"{language}.po", po_text(catalog))
        write_file(FOLDER / f"{language}.json", json_text(catalog))
        for message in catalog:
            if message.id and missing(message):
                untranslated += 1
                print(f"{language}: not translated: {_key(message)}")
    sys.exit(bool(untranslated))


if __name__ == "__main__":
    main()
