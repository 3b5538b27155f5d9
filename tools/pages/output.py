"""``docs/output.md``: its tables and its JSON Schema, from the model of the record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hierpets.inference.output.request import RunRequest
from hierpets.inference.record import CSV_CELLS, PredictionRecord, parquet_schema
from hierpets.validation.reference import field_table
from tools.pages.marks import replace_marked

PAGE = Path(__file__).resolve().parents[2] / "docs" / "output.md"
WIDTH = 100
LEFT_OUT = ("title", "description", "default", "x-parquet")  # of the JSON Schema, because the table of keys has them


def output_parts() -> dict[str, str]:
    """Return the generated parts of docs/output.md by name."""
    return {
        "record": field_table(PredictionRecord),
        "run": field_table(RunRequest),
        "csv": csv_table(),
        "parquet": parquet_table(),
        "schema": f"```json\n{as_json(json_schema())}\n```",
    }


def csv_table() -> str:
    """Return a table of the columns of a CSV file, each with the record's key that it contains."""
    rows = [f"| `{column}` | `{'.'.join(keys)}` |" for column, keys in CSV_CELLS.items()]
    return "\n".join(["| CSV column | key of the record |", "|---|---|", *rows])


def parquet_table() -> str:
    """Return a table of the columns of a Parquet file with their types."""
    types = ((field.name, str(field.type).replace(" not null", "").replace("item: ", "")) for field in parquet_schema())
    return "\n".join(["| Parquet column | type |", "|---|---|", *(f"| `{name}` | `{kind}` |" for name, kind in types)])


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a record."""
    schema = PredictionRecord.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_bare(schema)}


def as_json(value: Any, indent: str = "") -> str:
    """Format JSON; a value that fits on a line is not broken."""
    line, inner = json.dumps(value), indent + "  "
    if len(line) + len(indent) <= WIDTH or not isinstance(value, dict):
        return line
    lines = (f"{inner}{json.dumps(key)}: {as_json(part, inner)}" for key, part in value.items())
    return "{\n" + ",\n".join(lines) + f"\n{indent}}}"


def _bare(schema: dict[str, Any]) -> dict[str, Any]:
    """Remove :data:`LEFT_OUT` keys from a schema, but not below ``properties`` and ``$defs``, where keys are names."""
    bare: dict[str, Any] = {}
    for key, value in schema.items():
        if key in ("properties", "$defs"):
            bare[key] = {name: _bare(inner) for name, inner in value.items()}
        elif key not in LEFT_OUT:
            inner = (
                [_bare(part) if isinstance(part, dict) else part for part in value]
                if isinstance(value, list)
                else value
            )
            bare[key] = _bare(value) if isinstance(value, dict) else inner
    return bare


def output_page() -> str:
    """Return ``docs/output.md`` with its generated parts updated."""
    page = PAGE.read_text(encoding="utf-8")
    for name, text in output_parts().items():
        page = replace_marked(page, f"<!-- {name}: tools/reference.py output -->", f"<!-- end of {name} -->", text)
    return page
