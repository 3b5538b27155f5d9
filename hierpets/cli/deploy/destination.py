"""Where ``hierpets predict`` writes its records, and in which format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import click

__all__ = ["FORMATS", "Destination", "Format"]

Format = Literal["text", "json", "jsonl", "csv", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)
SUFFIXES: dict[str, Format] = {".jsonl": "jsonl", ".csv": "csv", ".parquet": "parquet"}


@dataclass(frozen=True)
class Destination:
    """The options of the output, which have been checked together. Without ``out``, records are printed."""

    form: Format
    out: str | None
    resume: bool
    overwrite: bool
    cluster: str | None

    @classmethod
    def of(
        cls,
        form: Format | None,
        out: str | None,
        paths: Sequence[str],
        *,
        resume: bool,
        overwrite: bool,
        cluster: str | None,
    ) -> Destination:
        """Check the options and choose the format.

        :raises click.UsageError: options exclude each other.
        """
        if resume and overwrite:
            raise click.UsageError("use either --resume or --overwrite.")
        if cluster is not None:
            if out is None or overwrite or "-" in paths or form not in (None, "parquet"):
                message = "--cluster needs --out DIR for Parquet; it does not take - or --overwrite."
                raise click.UsageError(message)
            form = "parquet"
        elif out is None:
            if resume or overwrite:
                raise click.UsageError(f"{'--resume' if resume else '--overwrite'} needs a file; set it with --out.")
            if form == "parquet":
                raise click.UsageError("Parquet is binary; it needs --out FILE.")
        else:
            form = _format_of_file(form, out)
        return cls(form or "text", out, resume, overwrite, cluster)


def _format_of_file(form: Format | None, out: str) -> Format:
    if "://" in out:
        raise click.UsageError(f"--out {out}: writing to a URL needs --cluster; use --cluster local.")
    form = form or SUFFIXES.get(Path(out).suffix.lower())
    if form is None or form not in SUFFIXES.values():
        raise click.UsageError(f"--out {out}: choose --format jsonl, csv or parquet.")
    return form
