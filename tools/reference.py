"""Writes the parts of docs that derive from the code, or checks that they are up to date.

python tools/reference.py output [--check]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from hierpets.files import write_text  # noqa: E402
from hierpets.inference.output.request import RunRequest  # noqa: E402
from hierpets.inference.record import CSV_CELLS, PredictionRecord, parquet_schema  # noqa: E402
from hierpets.validation.reference import field_table  # noqa: E402
from tools.marks import replace_marked  # noqa: E402

WIDTH = 100
LEFT_OUT = ("title", "description", "default", "x-parquet")  # of the JSON schema: the table of keys says it


def output_parts() -> dict[str, str]:
    """The generated parts of docs/output.md."""
    return {
        "record": field_table(PredictionRecord),
        "run": field_table(RunRequest),
        "csv": csv_table(),
        "parquet": parquet_table(),
        "schema": f"```json\n{as_json(json_schema())}\n```",
    }


PAGES: Mapping[str, Callable[[], dict[str, str]]] = {"output": output_parts}


def csv_table() -> str:
    """The columns of a CSV file, each with the key of the record that it holds."""
    rows = [f"| `{column}` | `{'.'.join(keys)}` |" for column, keys in CSV_CELLS.items()]
    return "\n".join(["| CSV column | key of the record |", "|---|---|", *rows])


def parquet_table() -> str:
    """The columns of a Parquet file with their types."""
    types = ((field.name, str(field.type).replace(" not null", "").replace("item: ", "")) for field in parquet_schema())
    return "\n".join(["| Parquet column | type |", "|---|---|", *(f"| `{name}` | `{kind}` |" for name, kind in types)])


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a record."""
    schema = PredictionRecord.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_bare(schema)}


def as_json(value: Any, indent: str = "") -> str:
    """JSON in which a value that fits on a line has one."""
    line, inner = json.dumps(value), indent + "  "
    if len(line) + len(indent) <= WIDTH or not isinstance(value, dict):
        return line
    lines = (f"{inner}{json.dumps(key)}: {as_json(part, inner)}" for key, part in value.items())
    return "{\n" + ",\n".join(lines) + f"\n{indent}}}"


def _bare(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema without words; keys below ``properties`` and ``$defs`` are names, and stay."""
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


def render(name: str, page: str) -> str:
    """The page with its generated parts as they are now."""
    for part, text in PAGES[name]().items():
        page = replace_marked(page, f"<!-- {part}: tools/reference.py {name} -->", f"<!-- end of {part} -->", text)
    return page


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", choices=PAGES)
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if the page is out of date")
    given = parser.parse_args(arguments)
    path = ROOT / "docs" / f"{given.page}.md"
    page = path.read_text(encoding="utf-8")
    rendered = render(given.page, page)
    if given.check:
        return int(page != rendered)
    write_text(path, rendered)
    return 0


if __name__ == "__main__":
    sys.exit(main())
