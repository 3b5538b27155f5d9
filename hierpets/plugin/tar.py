"""Members of tar archives and the links among them: tar writes a file that has two names as a file and a link to it."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from tarfile import TarInfo

__all__ = ["by_name", "follow", "is_file"]

MAX_LINKS = 40  # in a chain, as on Linux


def is_file(member: TarInfo) -> bool:
    """Whether a member is a file or a link, but not a link to itself, which tar writes for a file added twice."""
    return member.isreg() or (_is_link(member) and _target(member) != posixpath.normpath(member.name))


def by_name(members: Iterable[TarInfo]) -> dict[str, TarInfo]:
    """Return members by normalized name, for :func:`follow`; of several with one name, the last file."""
    return {posixpath.normpath(member.name): member for member in sorted(members, key=TarInfo.isreg)}


def follow(member: TarInfo, members: Mapping[str, TarInfo]) -> TarInfo | None:
    """Return the member if it is a file, or the file that it links to; None if that is not a file of the archive."""
    found: TarInfo | None = member
    for _ in range(MAX_LINKS):
        if found is None or not _is_link(found):
            break
        found = members.get(_target(found))
    return found if found is not None and found.isreg() else None


def _is_link(member: TarInfo) -> bool:
    return member.islnk() or member.issym()


def _target(link: TarInfo) -> str:
    """Return the path of a link's target in the archive.

    A symbolic link names it relative to its own folder, a hard link relative to the root of the archive.
    """
    folder = posixpath.dirname(link.name) if link.issym() else ""
    return posixpath.normpath(posixpath.join(folder, link.linkname))
