"""WebDataset: tar archives of samples, whose files have one name and different endings."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from hierpets.plugin import DataError, SourcePhoto
from hierpets.plugin.reading import COMPRESSED, PHOTO_SUFFIXES, list_files, open_file, split_of, without_options

MAX_LABEL_BYTES = 2**20


def webdataset(source: str) -> Iterator[SourcePhoto]:
    """The photos of a shard, of the shards in a folder, or of those that a pattern such as ``train-*.tar`` names.

    The class of a photo is in its sample's ``.json``, as the fields of :meth:`SourcePhoto.of`, or a name in its
    ``.cls``. The split is what the name of a shard or its folder begins with.

    :raises DataError: a shard that is compressed, damaged, or holds no photo.
    """
    if without_options(source).lower().endswith(COMPRESSED):
        raise DataError(f"{source}: compressed, so no photo in it can be found; decompress it to a .tar")
    for shard in list_files(source, ".tar"):
        try:
            empty = True
            for photo in _read_shard(shard):
                yield photo
                empty = False
        except (OSError, tarfile.TarError) as error:
            raise DataError(f"{shard}: cannot be read as a tar archive: {error}") from error
        if empty:
            raise DataError(f"{shard}: no photo in this archive; expected files such as 0001.jpg beside 0001.json")


def _read_shard(shard: str) -> Iterator[SourcePhoto]:
    split = split_of(shard)
    with open_file(shard) as file, tarfile.open(fileobj=file, mode="r:") as archive:
        files = (member for member in archive if member.isreg() and not PurePosixPath(member.name).name.startswith("."))
        for _, members in groupby(files, key=lambda member: _key(member.name)):
            photo = _read_sample(shard, archive, members, split)
            if photo is not None:
                yield photo
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
    shard: str, archive: tarfile.TarFile, members: Iterable[tarfile.TarInfo], split: str | None
) -> SourcePhoto | None:
    """The photo of a sample, with its class; None for a sample without one.

    Of several photos that is ``KEY.jpg`` and not ``KEY.depth.png``.
    """
    photos: list[str] = []
    fields: dict[str, Any] = {"split": split}
    for member in members:
        suffix = PurePosixPath(member.name).suffix.lower()
        if suffix in PHOTO_SUFFIXES:
            photos.append(member.name)
        elif suffix == ".json":
            fields |= {key: value for key, value in _json(shard, archive, member).items() if value is not None}
        elif suffix == ".cls":
            fields["label"] = _content(archive, member).decode("utf-8", "replace").strip()
    plain = [name for name in photos if PurePosixPath(name).name.count(".") == 1]
    if not plain and len(photos) > 1:
        raise DataError(
            f"{shard}: {photos[0]} and {photos[1]} are one sample, whose name ends at the first dot; rename them"
        )
    return SourcePhoto.of(f"{shard}:{(plain or photos)[0]}", fields) if photos else None


def _json(shard: str, archive: tarfile.TarFile, member: tarfile.TarInfo) -> dict[str, Any]:
    try:
        fields = json.loads(_content(archive, member))
    except ValueError as error:
        raise DataError(f"{shard}:{member.name}: not JSON: {error}") from None
    return fields if isinstance(fields, dict) else {}


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    return b"" if file is None else file.read(MAX_LABEL_BYTES)
