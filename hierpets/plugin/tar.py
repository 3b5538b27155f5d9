"""Files of tar archives, and links that lead to them: tar writes a file's second name as a link to its first."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from tarfile import TarInfo

__all__ = ["by_name", "follow", "is_file"]

MOST_LINKS = 40  # one behind the other, as Linux follows


def is_file(member: TarInfo) -> bool:
    """Whether it is a file or a link; not a link to itself, which tar writes for a file that it was given twice."""
    return member.isreg() or (_is_link(member) and _target(member) != posixpath.normpath(member.name))


def by_name(members: Iterable[TarInfo]) -> dict[str, TarInfo]:
    """The members of an archive as :func:`follow` looks for them; of several with one name, the last file."""
    return {posixpath.normpath(member.name): member for member in sorted(members, key=TarInfo.isreg)}


def follow(member: TarInfo, members: Mapping[str, TarInfo]) -> TarInfo | None:
    """The file that a member is, or that it is a link to; None where that is no file of the same archive."""
    at: TarInfo | None = member
    for _ in range(MOST_LINKS):
        if at is None or not _is_link(at):
            break
        at = members.get(_target(at))
    return at if at is not None and at.isreg() else None


def _is_link(member: TarInfo) -> bool:
    return member.islnk() or member.issym()


def _target(link: TarInfo) -> str:
    """A symbolic link names its target from its own folder, a hard link from the root of the archive."""
    folder = posixpath.dirname(link.name) if link.issym() else ""
    return posixpath.normpath(posixpath.join(folder, link.linkname))
