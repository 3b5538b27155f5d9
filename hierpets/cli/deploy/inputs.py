"""What ``hierpets predict`` reads before photos: names of ``--only``, and paths on standard input."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from hierpets.errors import ConfigError

__all__ = ["paths_on_standard_input", "read_names"]


def read_names(given: Iterable[str]) -> Iterator[str]:
    """The names of ``--only``, those of files in their place."""
    for name in given:
        if not Path(name).is_file():
            if Path(name).suffix in (".txt", ".csv"):
                raise ConfigError(f"--only {name}: no such file; expected one, or the name of a species or breed")
            yield name
            continue
        try:
            lines = Path(name).read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"--only {name}: cannot be read: {error}") from error
        found = [line for line in (line.partition("#")[0].strip() for line in lines) if line]
        if not found:
            raise ConfigError(f"--only {name}: contains no names; expected one species or breed per line")
        yield from found


def paths_on_standard_input() -> Iterator[str]:
    """The paths on standard input, one per line; a file name may hold any bytes."""
    if sys.stdin is None:
        raise ConfigError("-: standard input is closed; expected one path per line")
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")
    for line in map(str.strip, sys.stdin):
        line = line.removeprefix("\ufeff")  # a mark before the first, as Windows writes it
        if "\0" in line or (_has_raw_bytes(line) and not os.path.lexists(line)):
            raise ConfigError("standard input: expected one path per line, got binary data; pass the paths of photos")
        yield line


def _has_raw_bytes(text: str) -> bool:
    """Whether bytes in it are no text; Python keeps them as lone surrogates."""
    return any("\udc80" <= letter <= "\udcff" for letter in text)
