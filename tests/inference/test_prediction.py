"""What a prediction shows: properties, one line of text, the record, a card for notebooks."""

import csv
import io
import json
import typing

import jsonschema
import numpy as np
import pyarrow as pa
import pytest

from hierpets.errors import ImageError
from hierpets.hierarchy.decision import Scores, decide
from hierpets.hierarchy.policy import ENOUGH, Listed, Policy
from hierpets.inference.prediction import Prediction
from hierpets.inference.record import CSV_COLUMNS, PredictionRecord, csv_line, csv_row, parquet_row, parquet_schema
from hierpets.model.manifest import ModelId
from hierpets.recommend.result import RecommendationRecord
from hierpets.taxonomy import Taxonomy

TAXONOMY = Taxonomy(tree={"cat": ("birman", "siamese"), "dog": ("beagle", "pug"), "rabbit": ()})
SURE = Listed(50.0, 0.0)  # one or the other
POLICY = Policy(scores=dict.fromkeys(TAXONOMY.species, (0.0,) + (0.6,) * ENOUGH), pet=0.0, listed={"cat": SURE})
MODEL = ModelId(digest="0123456789abcdef", version="1")
ADVICE = RecommendationRecord(
    product="silk",
    name="Silk & <Co>",
    reason="It suits.",
    rule="expected_value",
    confidence=0.9,
    price=None,
    coats={"long": 1.0},
    ruled_out=(),
)


IN_DISTRIBUTION = Scores(1.0, 1.0)


def predicted(*joint: float, scores: Scores = IN_DISTRIBUTION, path: str = "cat.jpg", **fields) -> Prediction:
    decision = decide(np.array(joint), TAXONOMY, POLICY, scores=scores)
    shown = scores._replace(known=decision.listed)
    return Prediction(path, MODEL, decision.thresholds, decision, np.array(joint), shown, **fields)


BREED = predicted(0.9, 0.05, 0.02, 0.02, 0.01, recommendation=ADVICE)
UNSURE = predicted(0.45, 0.44, 0.05, 0.05, 0.01)
UNLISTED = predicted(0.9, 0.05, 0.02, 0.02, 0.01, scores=Scores(1.0, -1.0))
RABBIT = predicted(0.01, 0.01, 0.01, 0.01, 0.96)
CAR = predicted(0.9, 0.05, 0.02, 0.02, 0.01, scores=Scores(-5.0, -5.0))
BROKEN = Prediction("a.jpg", MODEL, POLICY.thresholds(""), error=ImageError("a.jpg: no such file"))
DAMAGED = predicted(0.9, 0.05, 0.02, 0.02, 0.01, warning="damaged JPEG: Premature end of JPEG file")
ALL = [BREED, UNSURE, UNLISTED, RABBIT, CAR, BROKEN, DAMAGED]


@pytest.mark.parametrize(
    ("prediction", "level", "species", "breed", "probability", "line"),
    [
        (BREED, "breed", "cat", "birman", 0.9, "cat 95.0%, birman 90.0%; shampoo: silk"),
        (UNSURE, "species", "cat", None, 0.89, "cat 89.0%, breed uncertain: birman 45%, siamese 44%"),
        (UNLISTED, "species", "cat", None, 0.95, "cat 95.0%, breed not recognized (closest: birman, siamese)"),
        (RABBIT, "species", "rabbit", None, 0.96, "rabbit 96.0%"),
        (CAR, "unknown", None, None, None, "unknown: it looks like no pet of a known species"),
        (BROKEN, None, None, None, None, "error: a.jpg: no such file"),
    ],
)
def test_prediction_properties_and_line(prediction, level, species, breed, probability, line):
    assert (prediction.level, prediction.species, prediction.breed) == (level, species, breed)
    assert prediction.probability == (None if probability is None else pytest.approx(probability))
    assert str(prediction).startswith(line)
    assert repr(prediction) == f"<Prediction {prediction.path}: {prediction}>"


@pytest.mark.parametrize("prediction", ALL)
def test_prediction_record_fits_its_own_schema(prediction):
    record = json.loads(json.dumps(prediction.to_json()))
    jsonschema.validate(record, PredictionRecord.model_json_schema(mode="serialization"))
    assert PredictionRecord.model_validate_json(json.dumps(record)) == PredictionRecord.model_validate(record)
    assert record["model"] == {"digest": MODEL.digest, "version": "1"}


def test_prediction_record_keeps_a_path_that_is_no_text():
    path = b"not-utf8-\xff.jpg".decode("utf-8", "surrogateescape")
    record = predicted(0.9, 0.05, 0.02, 0.02, 0.01, path=path).to_json()
    assert record["path"] == path
    assert json.loads(json.dumps(record))["path"] == path


@pytest.mark.parametrize("prediction", [*ALL, predicted(0.9, 0.05, 0.02, 0.02, 0.01, path="not-utf8-\udcff\n.jpg")])
def test_prediction_json_text_is_its_record_in_one_line(prediction):
    text = prediction.json_text()
    assert json.loads(text) == json.loads(json.dumps(prediction.to_json()))
    assert text.encode()
    assert "\n" not in text


def test_record_of_a_photo_of_no_known_pet_names_none():
    record = CAR.to_json()
    assert (record["species"], record["top"]) == (None, [])
    assert record["source"] == "not_a_known_pet"


@pytest.mark.parametrize("prediction", ALL)
def test_csv_row_has_a_cell_a_column(prediction):
    line = csv_line(csv_row(prediction.to_json()))
    (row,) = csv.DictReader(io.StringIO(csv_line(CSV_COLUMNS) + line))
    assert row["path"] == prediction.path
    assert row["species"] == (prediction.species or "")
    assert row["breed"] == (prediction.breed or "")
    assert row["model"] == MODEL.digest
    assert row["error"] == (str(prediction.error) if prediction.error else "")
    assert row["warning"] == (prediction.warning or "")
    assert row["product"] == (prediction.shampoo or "")


def test_parquet_schema_holds_every_key_of_the_record():
    schema = parquet_schema()
    assert set(schema.names) == {*PredictionRecord.model_fields, "product"}
    assert schema.field("species").type == pa.struct(
        [pa.field("label", pa.string(), nullable=False), pa.field("probability", pa.float64(), nullable=False)]
    )
    assert schema.field("recommendation").type == pa.string()
    nullable = {name for name in PredictionRecord.model_fields if schema.field(name).nullable}
    hints = typing.get_type_hints(PredictionRecord)
    assert nullable == {name for name, hint in hints.items() if type(None) in typing.get_args(hint)}


def test_parquet_rows_survive_a_table():
    rows = [parquet_row(prediction.to_json()) for prediction in ALL]
    table = pa.Table.from_pylist(rows, parquet_schema())
    for row, prediction in zip(table.to_pylist(), ALL, strict=True):
        advice = row.pop("recommendation")
        assert row.pop("product") == prediction.shampoo
        record = json.loads(json.dumps(prediction.to_json()))
        assert {**row, "recommendation": json.loads(advice) if advice else None} == record


def test_prediction_shows_what_is_wrong_with_a_damaged_photo():
    assert DAMAGED.to_json()["warning"] == DAMAGED.warning
    assert "Premature end of JPEG file" in DAMAGED._repr_html_()


def test_prediction_html_shows_thumbnail_bars_and_shampoo_and_escapes():
    photo = np.full((300, 400, 3), 127, np.uint8)
    html = predicted(0.9, 0.05, 0.02, 0.02, 0.01, path="<cat>.jpg", recommendation=ADVICE, photo=photo)._repr_html_()
    assert "&lt;cat&gt;.jpg" in html
    assert "Silk &amp; &lt;Co&gt;" in html
    assert "data:image/jpeg;base64," in html
    assert html.count("width:") >= 3
    assert "cat/birman" in html
    for prediction in ALL:
        assert "<img" not in prediction._repr_html_()
