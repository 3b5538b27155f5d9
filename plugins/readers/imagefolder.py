"""Hugging Face's ImageFolder: photos beside a ``metadata.jsonl`` or ``metadata.csv`` that names them."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from hierpets.plugin import DataError, SourcePhoto
from hierpets.plugin.reading import is_folder, split_of

NAME = "file_name"


def imagefolder(source: str) -> Iterator[SourcePhoto]:
    """Yield the photos that the metadata of a folder, or of its subfolders train, val and test, lists by ``file_name``.

    The class is in ``species`` and ``breed``, or in ``label`` as SPECIES/BREED. A photo that does not exist is yielded
    with that as its problem.

    :raises DataError: a line is not JSON, a file is not a CSV table or not UTF-8, or a line names no photo.
    """
    folder = Path(source)
    if not is_folder(folder):
        return
    for file in sorted([*folder.glob("metadata.*"), *folder.glob("*/metadata.*")]):
        if file.suffix in (".jsonl", ".csv"):
            try:
                yield from _photos(file)
            except UnicodeDecodeError:
                raise DataError(f"{file}: not UTF-8 text; save it in UTF-8") from None


def _photos(file: Path) -> Iterator[SourcePhoto]:
    split = split_of(str(file.with_name("metadata")))
    for line, fields in _jsonl(file) if file.suffix == ".jsonl" else _csv(file):
        name = fields.get(NAME)
        if not name or not isinstance(name, str):
            raise DataError(f"{file}:{line}: no {NAME}; expected the path of a photo beside this file")
        path = file.parent / name
        photo = SourcePhoto.of(str(path), {"split": split, **fields}, where=f"{file}:{line}")
        yield photo if path.is_file() else replace(photo, problem=f"no such file: {path}")


def _jsonl(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with file.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                fields = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise DataError(f"{file}:{number}: not JSON: {error}") from None
            yield number, fields if isinstance(fields, dict) else {}


def _csv(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with file.open(encoding="utf-8-sig", newline="") as lines:
        rows = csv.DictReader(lines)
        try:
            for fields in rows:
                yield rows.line_num, fields
        except csv.Error as error:
            raise DataError(f"{file}:{rows.line_num}: not a table: {error}") from None
