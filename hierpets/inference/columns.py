"""The record of a prediction as a row: the columns of CSV, and those of Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hierpets.errors import ConfigError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["CSV_COLUMNS", "csv_line", "csv_row", "parquet_row", "parquet_schema", "printable", "require_pyarrow"]

CSV_COLUMNS = (
    "path",
    "level",
    "species",
    "species_probability",
    "breed",
    "breed_probability",
    "source",
    "product",
    "error",
)


def csv_row(record: Mapping[str, Any]) -> list[Any]:
    """The cells of ``CSV_COLUMNS``."""
    species, breed = record["species"] or {}, record["breed"] or {}
    return [
        record["path"],
        record["level"],
        species.get("label"),
        species.get("probability"),
        breed.get("label"),
        breed.get("probability"),
        record["source"],
        _product(record),
        (record["error"] or {}).get("message"),
    ]


def csv_line(cells: Sequence[Any]) -> str:
    """Cells as a line; a cell with a line break is quoted, and the line is then several."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


def parquet_schema() -> pa.Schema:
    """The keys of a record, nested as they are, with ``product`` beside ``recommendation``, which is JSON as text."""
    pa = require_pyarrow()
    text, number = pa.string(), pa.float64()
    answer = pa.struct([("label", text), ("probability", number)])
    leaf = pa.struct([("species", text), ("breed", text), ("probability", number)])
    thresholds = [(name, number) for name in ("alpha", "probability", "pet", "known")]
    return pa.schema(
        [
            pa.field("path", text, nullable=False),
            ("level", text),
            ("species", answer),
            ("breed", answer),
            pa.field("top", pa.list_(leaf), nullable=False),
            ("source", text),
            ("reason", text),
            pa.field("thresholds", pa.struct(thresholds), nullable=False),
            ("scores", pa.struct([("pet", number), ("known", number)])),
            ("product", text),
            ("recommendation", text),
            ("error", pa.struct([("type", text), ("message", text)])),
        ]
    )


def parquet_row(record: Mapping[str, Any]) -> dict[str, Any]:
    """The values of :func:`parquet_schema`."""
    advice, error = record["recommendation"], record["error"]
    return {
        **record,
        "path": printable(record["path"]),
        "product": _product(record),
        "recommendation": json.dumps(advice) if advice else None,
        "error": {**error, "message": printable(error["message"])} if error else None,
    }


def printable(path: str) -> str:
    """A path as text that every format can hold: bytes of a file name that are no UTF-8 are written ``\\udcXX``."""
    return path.encode("utf-8", "backslashreplace").decode()


def require_pyarrow() -> Any:
    """pyarrow, or the error that says how to get it."""
    try:
        import pyarrow
    except ImportError:
        raise ConfigError("Parquet needs the extra: pip install 'hierpets[cluster]'") from None
    return pyarrow


def _product(record: Mapping[str, Any]) -> str | None:
    return (record["recommendation"] or {}).get("product")
