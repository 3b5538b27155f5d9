"""WebDataset: tar archives of samples; the files of a sample have one name and different suffixes."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from itertools import groupby
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from hierpets.plugin import DataError, SourcePhoto
from hierpets.plugin.reading import COMPRESSED, PHOTO_SUFFIXES, list_files, open_file, split_of, without_options
from hierpets.plugin.tar import by_name, follow, is_file

MAX_LABEL_BYTES = 2**20


def webdataset(source: str) -> Iterator[SourcePhoto]:
    """Yield the photos of a shard, of the shards in a folder, or of those matching a pattern such as ``train-*.tar``.

    The class of a photo is in its sample's ``.json``, as the fields of :meth:`SourcePhoto.of`, or a name in its
    ``.cls``; the two must not contradict each other. The split is the one that the name of the shard begins with or
    its folder is called. A shard that is damaged or holds no photo is yielded as one photo with a problem.

    :raises DataError: the shard is compressed.
    """
    if without_options(source).lower().endswith(COMPRESSED):
        raise DataError(f"{source}: compressed, so no photo in it can be found; decompress it to a .tar")
    for shard in list_files(source, ".tar"):
        problem: str | None = "no photo in this archive; expected files such as 0001.jpg beside 0001.json"
        try:
            for photo in _read_shard(shard):
                yield photo
                problem = None
        except (OSError, tarfile.TarError) as error:
            problem = f"cannot be read as a tar archive: {error}"
        if problem is not None:
            yield SourcePhoto(shard, problem=problem)


def _read_shard(shard: str) -> Iterator[SourcePhoto]:
    split = split_of(shard)
    with open_file(shard) as file, tarfile.open(fileobj=file, mode="r:") as archive:
        members = (m for m in archive if is_file(m) and not PurePosixPath(m.name).name.startswith("."))
        named = cache(lambda: by_name(archive.getmembers()))  # all of them: a link may lead to a later one
        for _, sample in groupby(members, key=lambda member: _key(member.name)):
            files = ((member, member if member.isreg() else follow(member, named())) for member in sample)
            yield from _read_sample(shard, archive, files, split)
        _check_end(file, archive.offset)


def _check_end(file: BinaryIO, end: int) -> None:
    """Check that the archive ends with a block of zeros: tarfile takes a damaged header for the end.

    :raises tarfile.ReadError: it does not.
    """
    file.seek(end)
    if file.read(tarfile.BLOCKSIZE).strip(b"\0"):
        raise tarfile.ReadError(f"damaged at byte {end}; what follows is lost")


def _key(name: str) -> str:
    """Return what the files of a sample share: the folder, and the name up to its first dot."""
    path = PurePosixPath(name)
    return str(path.with_name(path.name.partition(".")[0] or path.name))


def _read_sample(
    shard: str,
    archive: tarfile.TarFile,
    members: Iterable[tuple[tarfile.TarInfo, tarfile.TarInfo | None]],
    split: str | None,
) -> Iterator[SourcePhoto]:
    """Yield the photo of a sample, with its class: ``KEY.jpg``, not ``KEY.depth.png``. If there are several, all are
    yielded, the first with that as its problem. ``members`` are pairs of a member and the file that it is or links to.
    """
    names: list[str] = []
    fields: dict[str, Any] = {"split": split}
    name = problem = None
    for member, file in members:
        suffix = PurePosixPath(member.name).suffix.lower()
        if suffix in PHOTO_SUFFIXES:
            names.append(member.name)
        if file is None:
            if suffix in (*PHOTO_SUFFIXES, ".json", ".cls"):
                problem = f"{member.name} is a link to {member.linkname}, which is no file of this archive"
        elif suffix == ".json":
            try:
                fields |= _json(archive, file)
            except (ValueError, RecursionError) as error:
                problem = f"{member.name} is not JSON: {error}"
        elif suffix == ".cls":
            name = _content(archive, file).decode("utf-8", "replace").strip()
    photos = [name for name in names if PurePosixPath(name).name.count(".") == 1] or names
    label = str(fields.get("label", ""))
    if name and (not label or label.isdecimal()):
        fields["label"] = name
    elif photos and name and _contradicts(name, label):
        problem = f"{_key(photos[0])}.cls and {_key(photos[0])}.json name two classes"
    if len(photos) > 1:
        problem = f"{photos[0]} and {photos[1]} are one sample, whose name ends at the first dot; rename them"
    for inside in photos:
        photo = SourcePhoto.of(f"{shard}:{inside}", fields)
        yield photo if problem is None else replace(photo, problem=problem)
        problem = None


def _contradicts(name: str, label: str) -> bool:
    """Whether the name in a ``.cls`` contradicts a label: it is neither a number nor the label or a part of it."""
    in_cls, in_label = ({part.strip().casefold() for part in text.split("/")} for text in (name, label))
    return not name.isdecimal() and not in_cls <= in_label


def _json(archive: tarfile.TarFile, member: tarfile.TarInfo) -> dict[str, Any]:
    """Return the fields that are not null.

    :raises ValueError: it is not JSON.
    :raises RecursionError: it is nested too deeply.
    """
    fields = json.loads(_content(archive, member))
    return {key: value for key, value in fields.items() if value is not None} if isinstance(fields, dict) else {}


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    return b"" if file is None else file.read(MAX_LABEL_BYTES)
