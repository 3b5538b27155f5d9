"""WebDataset: tar archives of samples, whose files have one name and different endings."""

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
    """The photos of a shard, of the shards in a folder, or of those that a pattern such as ``train-*.tar`` names.

    The class of a photo is in its sample's ``.json``, as the fields of :meth:`SourcePhoto.of`, or a name in its
    ``.cls``, which must not name another. The split is what the name of a shard or its folder begins with. A shard that
    is damaged, or holds no photo, is itself a photo with a problem.

    :raises DataError: a shard that is compressed.
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
        named = cache(lambda: by_name(archive.getmembers()))  # a link may lead to what is still to come
        for _, sample in groupby(members, key=lambda member: _key(member.name)):
            files = ((member, member if member.isreg() else follow(member, named())) for member in sample)
            yield from _read_sample(shard, archive, files, split)
        _check_end(file, archive.offset)


def _check_end(file: BinaryIO, end: int) -> None:
    """Whether a block of zeros ends an archive: tarfile takes a damaged header for the end.

    :raises tarfile.ReadError: something else does.
    """
    file.seek(end)
    if file.read(tarfile.BLOCKSIZE).strip(b"\0"):
        raise tarfile.ReadError(f"damaged at byte {end}; what follows is lost")


def _key(name: str) -> str:
    """The folder and the name up to its first dot, which the files of a sample share."""
    path = PurePosixPath(name)
    return str(path.with_name(path.name.partition(".")[0] or path.name))


def _read_sample(
    shard: str,
    archive: tarfile.TarFile,
    members: Iterable[tuple[tarfile.TarInfo, tarfile.TarInfo | None]],
    split: str | None,
) -> Iterator[SourcePhoto]:
    """The photo of a sample, with its class: ``KEY.jpg`` and not ``KEY.depth.png``. Where it has several, the first
    comes with that as its problem. ``members`` come with the file that each is or leads to.
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
    """Whether the name in a ``.cls`` is that of another class than a label, of which it may be a part; no number is."""
    said, known = ({part.strip().casefold() for part in text.split("/")} for text in (name, label))
    return not name.isdecimal() and not said <= known


def _json(archive: tarfile.TarFile, member: tarfile.TarInfo) -> dict[str, Any]:
    """The fields that are stated. :raises ValueError: it is no JSON. :raises RecursionError: nested too deep."""
    fields = json.loads(_content(archive, member))
    return {key: value for key, value in fields.items() if value is not None} if isinstance(fields, dict) else {}


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    return b"" if file is None else file.read(MAX_LABEL_BYTES)
