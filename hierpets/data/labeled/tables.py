"""Photos listed in text: a CSV ``path,species,breed,split,individual``, and the annotation files of Oxford-IIIT Pet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

from hierpets.data.addresses import DEMO_PREFIX, file_of
from hierpets.data.labeled.consistency import ListedPhoto, check_listed, raise_problems, unrepeated
from hierpets.data.records import SPLITS, PhotoRecord
from hierpets.errors import DataError, did_you_mean
from hierpets.plugin.reading import SPLIT_NAMES, is_uri

__all__ = ["is_oxford", "read_csv", "read_oxford"]

COLUMNS = ("path", "species", "breed", "split", "individual")
REQUIRED = ("path", "species")
OXFORD_SPECIES = {"1": "cat", "2": "dog"}


def read_csv(file: Path, *, labels: bool = True) -> list[PhotoRecord]:
    """One photo per line. Paths are relative to the CSV; an empty breed, split or individual is not stated.

    A line that repeats another is skipped with a warning. Without ``labels``, only the column ``path`` is looked at,
    and a photo that is not there is listed: to read it says so.

    :raises DataError: with a line ``FILE:LINE: what`` for every problem.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{file}: not UTF-8 text; save the table as CSV in UTF-8") from None
    rows = _rows(file, text)
    _, header = next(rows)
    _check_header(file, header, labels=labels)
    listed: list[ListedPhoto] = []
    problems: list[str] = []
    for line, cells in rows:
        if any(cells):
            record, wrong = _read_row(file, header, cells, labels=labels)
            where = f"{file}:{line}"
            listed += [ListedPhoto(where, record)] if record else []
            problems += [f"{where}: {wrong}"] if wrong else []
    return _finish(file, listed, problems or check_listed(listed if labels else ()))


def _rows(file: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Each row with its line. Columns are separated as in the header: Excel writes semicolons wherever a comma is for
    decimals.

    :raises DataError: a cell goes on in the next line, as it does where a quote is not closed: it takes in all rows up
        to the next quote.
    """
    header = text.partition("\n")[0]
    # With a line break at the end, a quote in the last row that is not closed takes in one as well.
    rows = csv.reader(io.StringIO(text + "\n", newline=""), delimiter=max(",;\t", key=header.count))
    line = 1
    try:
        for row in rows:
            if any("\n" in cell or "\r" in cell for cell in row):
                raise DataError(f"{file}:{line}: a quote is not closed, or a cell holds a line break")
            yield line, [cell.strip() for cell in row]
            line = rows.line_num + 1
    except csv.Error as error:
        raise DataError(f"{file}:{line}: not a table: {error}; is a quote not closed?") from None


def is_oxford(root: Path) -> bool:
    """Whether a folder has the layout of the Oxford-IIIT Pet archives."""
    return (root / "images").is_dir() and (root / "annotations" / "trainval.txt").is_file()


def read_oxford(root: Path) -> list[PhotoRecord]:
    """``annotations/trainval.txt`` (no split yet) and, where it exists, ``test.txt``.

    A line is ``NAME CLASS SPECIES BREED``; species 1 is a cat, 2 a dog. The breed's name comes from the photo's:
    ``Egyptian_Mau_12`` is ``egyptian_mau``.

    :raises DataError: with a line ``FILE:LINE: what`` for every problem.
    """
    file = root / "annotations" / "trainval.txt"
    listed, problems = _read_annotations(root, file, None)
    tested = file.with_name("test.txt")
    if tested.is_file():
        more, wrong = _read_annotations(root, tested, "test")
        listed, problems = listed + more, problems + wrong
    return _finish(file, listed, problems or check_listed(listed))


def _check_header(file: Path, header: list[str], *, labels: bool) -> None:
    if not labels:
        if header.count("path") != 1:
            raise DataError(f"{file}:1: expected one column path, got {','.join(header) or 'none'}")
        return
    expected = f"expected the columns {','.join(COLUMNS)} (breed, split and individual may be left out)"
    for column in header:
        if column not in COLUMNS:
            raise DataError(f"{file}:1: unknown column {column!r}{did_you_mean(column, COLUMNS)}; {expected}")
    missing = [column for column in REQUIRED if column not in header]
    if missing or len(set(header)) < len(header):
        what = f"no column {' and '.join(missing)}" if missing else "a column is given twice"
        raise DataError(f"{file}:1: {what}; {expected}")


def _read_row(
    file: Path, header: list[str], cells: list[str], *, labels: bool
) -> tuple[PhotoRecord | None, str | None]:
    """The record of a line, or what is wrong with it."""
    if len(cells) != len(header):
        return None, f"expected {len(header)} fields, got {len(cells)}"
    row = dict(zip(header, cells, strict=True))
    if empty := [column for column in (REQUIRED if labels else ("path",)) if not row[column]]:
        return None, f"no {' and '.join(empty)}"
    path = row["path"]
    if not path.startswith(DEMO_PREFIX) and not is_uri(path):
        path = str(file.parent / path)
        if labels and not Path(file_of(path)).is_file():
            return None, f"no such file: {path}"
    if not labels:
        return PhotoRecord(path, ""), None
    given = row.get("split") or None
    split = SPLIT_NAMES.get(given.lower()) if given else None
    if given and split is None:
        return None, f"unknown split {given!r}{did_you_mean(given, SPLIT_NAMES)}; known: {', '.join(SPLITS)}"
    return PhotoRecord(path, row["species"], row.get("breed") or None, split, row.get("individual") or None), None


def _read_annotations(root: Path, file: Path, split: str | None) -> tuple[list[ListedPhoto], list[str]]:
    """The photos of an annotation file, and what is wrong with its lines."""
    listed: list[ListedPhoto] = []
    problems: list[str] = []
    for number, line in _lines(file):
        fields, where = line.split(), f"{file}:{number}"
        if len(fields) != 4 or fields[2] not in OXFORD_SPECIES or "_" not in fields[0]:
            problems.append(f"{where}: expected NAME CLASS SPECIES BREED with species 1 or 2, got {line!r}")
            continue
        photo = root / "images" / f"{fields[0]}.jpg"
        if not photo.is_file():
            problems.append(f"{where}: no such file: {photo}")
        breed = fields[0].rsplit("_", 1)[0].lower()
        listed.append(ListedPhoto(where, PhotoRecord(str(photo), OXFORD_SPECIES[fields[2]], breed, split)))
    return listed, problems


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        if line.strip() and not line.startswith("#"):
            yield number, line.strip()


def _finish(file: Path, listed: list[ListedPhoto], problems: Iterable[str]) -> list[PhotoRecord]:
    raise_problems(file, problems)
    if not listed:
        raise DataError(f"{file}: lists no photo")
    return unrepeated(listed)
