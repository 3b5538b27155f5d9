"""What docs say about records is what the code says."""

import json

import jsonschema
import pytest

from hierpets.inference.record import CSV_COLUMNS, PredictionRecord
from tools.pages import output as reference
from tools.pages.marks import replace_marked

pytest.importorskip("pyarrow")


def test_output_parts_name_every_key_and_column():
    parts = reference.output_parts()
    for key in PredictionRecord.model_fields:
        assert f"| `{key}" in parts["record"]
    for column in CSV_COLUMNS:
        assert f"| `{column}` |" in parts["csv"]
    assert (
        "| `top` | `list<struct<species: string, breed: string, probability: double, origin: string>>` |"
        in parts["parquet"]
    )


def test_json_schema_is_strict_and_asks_for_every_key():
    schema = reference.json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    for model in (schema, *schema["$defs"].values()):
        assert model["additionalProperties"] is False
        assert set(model["required"]) == set(model["properties"])
    assert set(schema["required"]) == set(PredictionRecord.model_fields)


def test_as_json_reads_back_as_what_it_was():
    schema = reference.json_schema()
    text = reference.as_json(schema)
    assert json.loads(text) == schema
    assert text.count("\n") < 180


def test_replace_marked_changes_nothing_outside_the_marks():
    once = replace_marked("before\n<a>\nold\n</a>\nafter\n", "<a>", "</a>", "new")
    assert once == "before\n<a>\n\nnew\n\n</a>\nafter\n"
    assert replace_marked(once, "<a>", "</a>", "new") == once


def test_replace_marked_refuses_a_page_without_the_marks():
    with pytest.raises(SystemExit, match="lacks the marks"):
        replace_marked("nothing", "<a>", "</a>", "new")
