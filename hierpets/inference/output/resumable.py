"""Write predictions for any number of photos to a file, record by record; a run can be resumed after a crash.

``FILE.part`` grows and becomes ``FILE`` when the last photo is done, so ``FILE`` is always complete. If photos were
added since, a resumed run turns it into ``FILE.part`` again. ``FILE.run.json`` holds the request and the model.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from hierpets.data.addresses import stamp_of
from hierpets.data.listing import count_photos, list_photos
from hierpets.errors import ConfigError, DataError, HierpetsError, reason_of
from hierpets.files import followed, is_device, is_folder, lock, write_file
from hierpets.inference.options import PredictOptions
from hierpets.inference.output.lines import CsvWriter, JsonlWriter, WrittenRecord
from hierpets.inference.output.parquet import ParquetWriter
from hierpets.inference.output.request import RunRequest, RunTotals, run_file
from hierpets.inference.prediction import Prediction
from hierpets.inference.predictor import Predictor
from hierpets.inference.record import printable
from hierpets.progress import Progress, no_progress
from hierpets.regions.files import BoxFile
from hierpets.registry.loading import Registry
from hierpets.text import counted

__all__ = ["FileFormat", "ResumableWriter", "partial_path", "write_predictions"]

FileFormat = Literal["jsonl", "csv", "parquet"]


class ResumableWriter(Protocol):
    """Writes records to a file that is not complete yet."""

    def __init__(self, path: Path) -> None: ...
    def fileno(self) -> int | None: ...
    @staticmethod
    def read(target: Path) -> Iterator[WrittenRecord]: ...
    def recorded(self) -> Iterator[WrittenRecord]: ...
    def reopen(self, target: Path) -> None: ...
    def write(self, prediction: Prediction) -> None: ...
    def finish(self, target: Path) -> None: ...
    def close(self) -> None: ...


WRITERS: dict[FileFormat, type[ResumableWriter]] = {
    "jsonl": JsonlWriter,
    "csv": CsvWriter,
    "parquet": ParquetWriter,
}


def partial_path(target: Path) -> Path:
    """The path that holds the records until they are complete."""
    return target.with_name(target.name + ".part")


def write_predictions(
    target: Path,
    predictor: Predictor,
    paths: Sequence[str],
    *,
    form: FileFormat,
    registry: Registry,
    options: PredictOptions | None = None,
    boxes: BoxFile | None = None,
    photos: Iterator[str] | None = None,
    live: bool | Callable[[], bool] = False,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> RunTotals:
    """Write a record for each photo of ``paths`` to ``target``, in order and in constant memory.

    ``paths`` are photos, folders, anything that a reader of ``registry`` supports, or ``-`` for paths on standard
    input. ``photos`` are the photos of ``paths`` if they have been listed already, as those of ``-`` are;
    ``live`` says whether the next one is still to come. ``boxes`` say where the animals are.

    With ``resume``, existing records are kept if the request and the photos are the same; photos may have been added
    behind them. ``progress`` is first called with the number of existing records; the total is None until it has been
    counted. With ``overwrite``, an existing file or unfinished run is deleted first.

    :raises ConfigError: the file exists, or was started, and ``resume`` is not given; the options differ; another
        process is writing it; or it is a folder.
    :raises DataError: the photos do not match the existing records; a file cannot be written.
    """
    target = followed(target)
    if is_device(target):
        raise ConfigError(f"{target}: expected a file, which a run can continue; leave out --out to print the records")
    if is_folder(target):
        raise ConfigError(f"{target}: is a folder; expected the name of a file")
    photos = list_photos(paths, (), registry) if photos is None else photos
    options = options or PredictOptions()
    predictor.check(options)  # an unknown name is reported before anything is written
    request = RunRequest.of(predictor, paths, options, boxes=boxes, registry=registry, form=form)
    part = partial_path(target)
    if overwrite:
        _delete(target, part, form)
    whole = _WholeFile.of(target, request, form, resume=resume) if target.exists() else None
    if whole is not None and (photos := whole.added(photos)) is None:
        return whole.totals
    if whole is None and part.exists() and resume:
        request.check_same(RunRequest.read(target), part)
    total = _Count(paths, registry)
    with _opened(form, part, fresh=not resume) as writer:
        done = _skip_recorded(writer.recorded(), photos) if whole is None else whole.reopen(writer, part)
        with _writing(part):
            write_file(run_file(target), request.text())
        run = _Run(writer, part, done, lambda done: progress("photos", done, total.value))
        for prediction in predictor.stream(photos, options, boxes=boxes, live=live):
            run.add(prediction)
        with _writing(part):
            write_file(run_file(target), request.text(run.totals))
            writer.finish(target)
    return run.totals


def _delete(target: Path, part: Path, form: FileFormat) -> None:
    """Delete a file of predictions and its unfinished part, unless another process is writing it."""
    with ExitStack() as held, _writing(target):
        if part.exists():  # whatever its format
            held.enter_context(_opened("parquet" if part.is_dir() else "jsonl", part, fresh=False))
        if os.name != "posix":
            held.close()  # Windows cannot delete an open file; elsewhere it stays locked until it is gone
        shutil.rmtree(part) if part.is_dir() else part.unlink(missing_ok=True)
        target.unlink(missing_ok=True)
        run_file(target).unlink(missing_ok=True)


class _WholeFile(NamedTuple):
    """A file of predictions that a previous run completed."""

    target: Path
    form: FileFormat
    stamp: str
    totals: RunTotals

    @classmethod
    def of(cls, target: Path, request: RunRequest, form: FileFormat, *, resume: bool) -> _WholeFile:
        """:raises ConfigError: ``resume`` is not given, or another request wrote the file, or it is not complete."""
        if not resume:
            raise ConfigError(f"{target}: already exists; use --overwrite, choose another --out, or delete it")
        before = RunRequest.read(target)
        request.check_same(before, target)
        if before.result is None:
            raise ConfigError(
                f"{target}: already exists, but {run_file(target)} does not mark it complete; use --overwrite to start "
                "over"
            )
        return cls(target, form, stamp_of(str(target)), before.result)

    def added(self, photos: Iterator[str]) -> Iterator[str] | None:
        """The photos that have no record yet; None if all have one.

        :raises DataError: the photos have changed. :raises ConfigError: the file has changed.
        """
        if (found := _skip_recorded(WRITERS[self.form].read(self.target), photos)) != self.totals:
            raise ConfigError(
                f"{self.target}: holds {counted(found.photos, 'photo')}, {self.totals.photos} when it was complete; "
                "use --overwrite to start over"
            )
        first = next(photos, None)
        return None if first is None else chain((first,), photos)

    def reopen(self, writer: ResumableWriter, part: Path) -> RunTotals:
        """Let the writer append to it; returns its totals. :raises ConfigError: another process has changed it."""
        with _writing(part):
            if not self.target.exists() or stamp_of(str(self.target)) != self.stamp:
                raise _overtaken(self.target)
            writer.reopen(self.target)
        _lock(writer, part)
        return self.totals


class _Run:
    """A run: writes records, counts them and reports progress."""

    def __init__(self, writer: ResumableWriter, part: Path, totals: RunTotals, progress: Callable[[int], None]):
        self._writer, self._part, self._progress = writer, part, progress
        self.totals = totals
        self._progress(totals.photos)

    def add(self, prediction: Prediction) -> None:
        with _writing(self._part):
            self._writer.write(prediction)
        advice = prediction.recommendation
        self.totals = _plus(self.totals, prediction.error is not None, bool(advice and advice.error))
        self._progress(self.totals.photos)


def _plus(before: RunTotals, failed: bool, failed_recommendation: bool) -> RunTotals:
    """The totals with one more record."""
    return RunTotals(
        photos=before.photos + 1,
        unreadable=before.unreadable + failed,
        failed_recommendations=before.failed_recommendations + failed_recommendation,
    )


def _skip_recorded(records: Iterator[WrittenRecord], photos: Iterator[str]) -> RunTotals:
    """Skip the ``photos`` that have a record, and count these. :raises DataError: the photos have changed since."""
    totals = RunTotals()
    for path, failed, failed_recommendation in records:
        _check_same_photo(path, next(photos, None), totals.photos + 1)
        totals = _plus(totals, failed, failed_recommendation)
    return totals


class _Count:
    """Counts photos in a thread; ``value`` is None until it is done, which may take long."""

    def __init__(self, paths: Sequence[str], registry: Registry):
        self.value: int | None = None
        # A daemon thread, so that a program that is stopped does not wait for it.
        threading.Thread(target=self._find, args=(paths, registry), name="count", daemon=True).start()

    def _find(self, paths: Sequence[str], registry: Registry) -> None:
        with suppress(HierpetsError):  # the run itself will raise it
            self.value = count_photos(paths, registry)


def _check_same_photo(recorded: str, listed: str | None, number: int) -> None:
    if listed is None or printable(listed) != printable(recorded):
        now = "there are no more" if listed is None else f"it is now {listed}"
        raise DataError(
            f"--resume: photo {number} was {printable(recorded)}, {now}: photos were added or removed; "
            "write to another file without --resume"
        )


@contextmanager
def _opened(form: FileFormat, path: Path, *, fresh: bool) -> Iterator[ResumableWriter]:
    """A writer for a file that no other process is writing. If ``fresh``, the file must not exist yet."""
    existed = path.exists()
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        writer = WRITERS[form](path)
    try:
        _lock(writer, path)
        if existed and fresh:
            raise ConfigError(f"{path}: an unfinished run; --resume continues it, --overwrite starts over")
        yield writer
    finally:
        with _writing(path):
            writer.close()


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """:raises DataError: a file cannot be written."""
    try:
        yield
    except OSError as error:
        message = f"{error.filename or path}: cannot be written: {reason_of(error)}"
        raise DataError(f"{message}; fix this and rerun with --resume") from error


def _lock(writer: ResumableWriter, path: Path) -> None:
    """Lock the file of a writer. :raises ConfigError: another process is writing it, or just moved or deleted it."""
    handle = writer.fileno()
    if not lock(handle):
        raise ConfigError(f"{path}: another process is writing it; wait until it ends")
    if handle is None or os.name != "posix":
        return
    with suppress(OSError):
        if os.path.samestat(os.fstat(handle), path.stat()):
            return
    raise _overtaken(path)


def _overtaken(path: Path) -> ConfigError:
    return ConfigError(f"{path}: another process has just finished or deleted it; look at what is there and run again")
