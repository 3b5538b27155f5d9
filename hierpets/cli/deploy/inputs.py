"""What ``hierpets predict`` reads besides photos: names of ``--only``, and paths on standard input."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

from hierpets.errors import ConfigError

if TYPE_CHECKING:
    import io

__all__ = ["PipedPaths", "read_names"]


def read_names(given: Iterable[str]) -> Iterator[str]:
    """Yield the names of ``--only``, replacing each file by the names in it.

    :raises ConfigError: a file is missing, unreadable or empty.
    """
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


class PipedPaths:
    """The paths on standard input, one per line; a file name may contain any bytes."""

    def __init__(self) -> None:
        self._read: deque[str] = deque()
        self._reading = False

    def live(self) -> bool:
        """Whether the next path still has to be waited for."""
        return self._reading and not self._read

    def __iter__(self) -> Iterator[str]:
        """Yield each path, skipping empty lines.

        :raises ConfigError: standard input is closed, or is binary data.
        """
        for lines in self._read_lines():
            self._read.extend(path for path in map(_as_path, lines) if path)
            while self._read:
                yield self._read.popleft()

    def _read_lines(self) -> Iterator[list[bytes]]:
        """Yield the lines that are available, as soon as there are any."""
        if sys.stdin is None:
            raise ConfigError("-: standard input is closed; expected one path per line")
        self._reading = True
        pipe, incomplete = cast("io.BufferedReader", sys.stdin.buffer), b""
        while data := pipe.read1(2**16):
            *lines, incomplete = (incomplete + data).split(b"\n")
            yield lines
        self._reading = False
        yield [incomplete]


def _as_path(line: bytes) -> str:
    text = line.decode(sys.stdin.encoding, "surrogateescape").strip()
    path = text.removeprefix("\ufeff")  # the byte order mark that Windows writes
    if "\0" in path or (_has_raw_bytes(path) and not os.path.lexists(path)):
        raise ConfigError("standard input: expected one path per line, got binary data; pass the paths of photos")
    return path


def _has_raw_bytes(text: str) -> bool:
    """Whether a text has bytes that could not be decoded; Python keeps them as lone surrogates."""
    return any("\udc80" <= letter <= "\udcff" for letter in text)
