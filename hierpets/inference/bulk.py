"""Answers to any number of photos in a file: written as they come, whole at the end, and taken up again after a kill.

``FILE.part`` grows; when the last photo is answered it becomes ``FILE``, so ``FILE`` is always whole. ``FILE.run.json``
says what was asked of which model.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, get_args

from hierpets.errors import ConfigError, DataError
from hierpets.files import write_text
from hierpets.inference.columns import printable
from hierpets.inference.parquet_part import ParquetPart
from hierpets.inference.predictor import Prediction
from hierpets.inference.text_part import CsvPart, JsonlPart, Recorded

__all__ = ["FILE_FORMATS", "FileFormat", "Tally", "answer_into", "part_of", "run_file"]

FileFormat = Literal["jsonl", "csv", "parquet"]
FILE_FORMATS: tuple[FileFormat, ...] = get_args(FileFormat)
PARTS: dict[FileFormat, Callable[[Path], Part]] = {"jsonl": JsonlPart, "csv": CsvPart, "parquet": ParquetPart}


class Part(Protocol):
    """What a file is before it is whole."""

    def fileno(self) -> int | None: ...
    def recorded(self) -> Iterator[Recorded]: ...
    def write(self, record: Mapping[str, Any]) -> None: ...
    def finish(self, target: Path) -> None: ...
    def close(self) -> None: ...


class Tally(NamedTuple):
    """Photos that have their record, and how many of them could not be read."""

    photos: int
    unreadable: int


def part_of(target: Path) -> Path:
    """Where the answers are until they are all there."""
    return target.with_name(target.name + ".part")


def run_file(target: Path) -> Path:
    """What was asked of which model."""
    return target.with_name(target.name + ".run.json")


def answer_into(
    target: Path,
    form: FileFormat,
    photos: Iterable[str],
    predict: Callable[[Iterable[str]], Iterator[Prediction]],
    *,
    asked: Mapping[str, Any],
    resume: bool = False,
    progress: Callable[[Tally], None] = lambda tally: None,
) -> Tally:
    """Write a record for each of ``photos`` to ``target``, in constant memory and in their order.

    ``asked`` is all that decides an answer, as JSON. With ``resume``, records that are there already are kept, if the
    same was asked for the same photos; ``progress`` hears how many these are, and then of each photo.

    :raises ConfigError: the file is there, or begun, and ``resume`` is not given; or something else was asked then.
    :raises DataError: the photos are not those of the records that are there; or the disk is full.
    """
    asked = json.loads(json.dumps(asked))
    if target.exists():
        return _already_whole(target, asked, resume=resume)
    part_path = part_of(target)
    if part_path.exists():
        _check_resumable(target, asked, resume=resume)
    try:
        write_text(run_file(target), json.dumps(asked, indent=2) + "\n")
        with _opened(form, part_path) as part:
            tally = _write_all(part, photos, predict, progress)
            write_text(run_file(target), json.dumps({**asked, "result": tally._asdict()}, indent=2) + "\n")
            part.finish(target)
    except OSError as error:
        told = f"{error.filename or part_path}: cannot be written: {error.strerror or error}"
        raise DataError(f"{told}; mend that, then go on with --resume") from error
    return tally


def _write_all(
    part: Part,
    photos: Iterable[str],
    predict: Callable[[Iterable[str]], Iterator[Prediction]],
    progress: Callable[[Tally], None],
) -> Tally:
    remaining = iter(photos)
    tally = Tally(0, 0)
    for record in part.recorded():
        _check_same(record.path, next(remaining, None), tally.photos + 1)
        tally = Tally(tally.photos + 1, tally.unreadable + record.failed)
    progress(tally)
    for answer in predict(remaining):
        part.write(answer.to_json())
        tally = Tally(tally.photos + 1, tally.unreadable + (answer.error is not None))
        progress(tally)
    return tally


def _check_same(recorded: str, listed: str | None, number: int) -> None:
    if listed is None or printable(listed) != printable(recorded):
        now = "there are no more" if listed is None else f"it is now {listed}"
        raise DataError(
            f"--resume: photo {number} was {printable(recorded)}, {now}: photos came or went since; start anew"
        )


def _already_whole(target: Path, asked: Mapping[str, Any], *, resume: bool) -> Tally:
    if not resume:
        raise ConfigError(f"{target}: is there already; name another --out, or delete it")
    before = _read_run(target)
    _check_asked(target, before, asked)
    try:
        return Tally(**before["result"])
    except (KeyError, TypeError):
        raise ConfigError(f"{target}: is there, but {run_file(target)} does not say that it is whole") from None


def _check_resumable(target: Path, asked: Mapping[str, Any], *, resume: bool) -> None:
    if not resume:
        raise ConfigError(f"{part_of(target)}: a run that was stopped; --resume goes on with it, or delete it")
    _check_asked(part_of(target), _read_run(target), asked)


def _read_run(target: Path) -> dict[str, Any]:
    path = run_file(target)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return dict(content)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"{path}: cannot be read, so --resume cannot tell what was asked: {error}") from error


def _check_asked(path: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    for key in sorted({*before, *now} - {"result"}):
        was, is_now = before.get(key), now.get(key)
        if was != is_now:
            raise ConfigError(
                f"{path}: begun with {key} {json.dumps(was)}, now {json.dumps(is_now)}; ask the same, or delete it"
            )


@contextmanager
def _opened(form: FileFormat, path: Path) -> Iterator[Part]:
    """A part that no other process writes."""
    part = PARTS[form](path)
    try:
        _lock(part, path)
        yield part
    finally:
        part.close()


def _lock(part: Part, path: Path) -> None:
    try:
        import fcntl
    except ImportError:  # Windows
        return
    handle = part.fileno()
    try:
        if handle is not None:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ConfigError(f"{path}: another process is writing it; wait for it to end") from None
