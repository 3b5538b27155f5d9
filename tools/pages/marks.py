"""Replace the text between two marks in a page; everything else stays unchanged."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill

from hierpets.files import write_file

__all__ = ["marks_of", "publish", "replace_marked"]

ROOT = Path(__file__).resolve().parents[2]
WIDTH = 120


def replace_marked(page: str, begin: str, end: str, text: str) -> str:
    """Return the page with ``text`` between the marks, which stay.

    :raises SystemExit: the page lacks a mark.
    """
    before, found, rest = page.partition(begin)
    _, found_too, after = rest.partition(end)
    if not (found and found_too):
        raise SystemExit(f"the page lacks the marks {begin!r} and {end!r}")
    return f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}"


def marks_of(script: str) -> tuple[str, str]:
    """Return the marks of a tool, given its file."""
    name = Path(script).resolve().relative_to(ROOT).as_posix()
    return f"<!-- written by {name} -->", f"<!-- end of what {name} writes -->"


def publish(text: str, page: Path | None, script: str) -> None:
    """Write paragraphs and tables between the marks of a tool in a page, long lines wrapped; print them without one.

    :raises SystemExit: the page lacks a mark.
    """
    wrapped = "\n".join(line if line.startswith("|") else fill(line, WIDTH) for line in text.splitlines())
    if page is None:
        print(wrapped)
    else:
        write_file(page, replace_marked(page.read_text(encoding="utf-8"), *marks_of(script), wrapped))
