"""Photos listed in text: a CSV ``path,species,breed,split,individual``, and the annotation files of Oxford-IIIT Pet."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

from hierpets.data.addresses import file_of, is_on_disk
from hierpets.data.labeled.consistency import ListedPhoto, check_listed, raise_problems, unrepeated
from hierpets.data.records import SPLITS, PhotoRecord
from hierpets.errors import DataError, did_you_mean
from hierpets.plugin.reading import SPLIT_NAMES

__all__ = ["is_oxford", "list_csv", "read_csv", "read_oxford"]

COLUMNS = ("path", "species", "breed", "split", "individual")
REQUIRED = ("path", "species")
OXFORD_SPECIES = {"1": "cat", "2": "dog"}


def read_csv(file: Path) -> list[PhotoRecord]:
    """Read one photo per line. Paths are relative to the CSV; an empty breed, split or individual is not stated.

    A line that repeats another is skipped with a warning.

    :raises DataError: with a line ``FILE:LINE: what`` for every problem.
    """
    rows = _rows(file)
    _, header = next(rows)
    _check_header(file, header)
    listed: list[ListedPhoto] = []
    problems: list[str] = []
    for line, cells in rows:
        record, wrong = _read_row(file, header, cells)
        where = f"{file}:{line}"
        listed += [ListedPhoto(where, record)] if record else []
        problems += [f"{where}: {wrong}"] if wrong else []
    return _finish(file, listed, problems or check_listed(listed))


def list_csv(file: Path) -> Iterator[str]:
    """Yield the photos of the column ``path``, one per line, also repeated and missing ones.

    :raises DataError: a wrong line, when it is reached.
    """
    rows = _rows(file)
    _, header = next(rows)
    if header.count("path") != 1:
        raise DataError(f"{file}:1: expected one column path, got {','.join(header) or 'none'}")
    column, empty = header.index("path"), True
    for line, cells in rows:
        if wrong := _misfit(header, cells, ("path",)):
            raise DataError(f"{file}:{line}: {wrong}")
        yield _beside(file, cells[column])
        empty = False
    if empty:
        raise DataError(f"{file}: lists no photo")


def _rows(file: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the header, and each row that is not empty, with its line number. Columns are separated as in the header:
    Excel writes semicolons in locales with decimal commas.

    :raises DataError: a cell continues in the next line, as after an unclosed quote, which would swallow all rows up to
        the next quote.
    """
    line = 1
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            header = text.readline()
            # A line break at the end, so that an unclosed quote in the last row swallows one as well.
            rows = csv.reader(chain((header,), text, ("\n",)), delimiter=max(",;\t", key=header.count))
            for row in rows:
                if any("\n" in cell or "\r" in cell for cell in row):
                    raise DataError(f"{file}:{line}: a quote is not closed, or a cell holds a line break")
                cells = [cell.strip() for cell in row]
                if line == 1 or any(cells):
                    yield line, cells
                line = rows.line_num + 1
    except UnicodeDecodeError:
        raise DataError(f"{file}: not UTF-8 text; save the table as CSV in UTF-8") from None
    except csv.Error as error:
        raise DataError(f"{file}:{line}: not a table: {error}; is a quote not closed?") from None


def is_oxford(root: Path) -> bool:
    """Whether a folder has the layout of the Oxford-IIIT Pet archives."""
    return (root / "images").is_dir() and (root / "annotations" / "trainval.txt").is_file()


def read_oxford(root: Path) -> list[PhotoRecord]:
    """Read ``annotations/trainval.txt`` (no split yet) and ``test.txt``, if it exists.

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


def _check_header(file: Path, header: list[str]) -> None:
    expected = f"expected the columns {','.join(COLUMNS)} (breed, split and individual may be left out)"
    for column in header:
        if column not in COLUMNS:
            raise DataError(f"{file}:1: unknown column {column!r}{did_you_mean(column, COLUMNS)}; {expected}")
    missing = [column for column in REQUIRED if column not in header]
    if missing or len(set(header)) < len(header):
        what = f"no column {' and '.join(missing)}" if missing else "a column is given twice"
        raise DataError(f"{file}:1: {what}; {expected}")


def _read_row(file: Path, header: list[str], cells: list[str]) -> tuple[PhotoRecord | None, str | None]:
    """Return the record of a line, or what is wrong with it."""
    if wrong := _misfit(header, cells, REQUIRED):
        return None, wrong
    row = dict(zip(header, cells, strict=True))
    path = _beside(file, row["path"])
    if is_on_disk(path) and not Path(file_of(path)).is_file():
        return None, f"no such file: {path}"
    given = row.get("split") or None
    split = SPLIT_NAMES.get(given.lower()) if given else None
    if given and split is None:
        return None, f"unknown split {given!r}{did_you_mean(given, SPLIT_NAMES)}; known: {', '.join(SPLITS)}"
    return PhotoRecord(path, row["species"], row.get("breed") or None, split, row.get("individual") or None), None


def _misfit(header: list[str], cells: list[str], required: Sequence[str]) -> str | None:
    """Describe why a row does not fit the table: a wrong number of cells, or an empty cell that is ``required``."""
    if len(cells) != len(header):
        return f"expected {len(header)} fields, got {len(cells)}"
    empty = [column for column, cell in zip(header, cells, strict=True) if column in required and not cell]
    return f"no {' and '.join(empty)}" if empty else None


def _beside(file: Path, path: str) -> str:
    return str(file.parent / path) if is_on_disk(path) else path


def _read_annotations(root: Path, file: Path, split: str | None) -> tuple[list[ListedPhoto], list[str]]:
    """Return the photos of an annotation file, and what is wrong with its lines."""
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
