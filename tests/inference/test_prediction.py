"""What a prediction shows: properties, one line of text, the record, a card for notebooks."""

import csv
import io
import json
import typing
from dataclasses import replace

import jsonschema
import numpy as np
import pyarrow as pa
import pytest
from helpers.decisions import decide_one
from helpers.policies import flat_policy

from hierpets.bundle.identity import ModelId
from hierpets.errors import ImageError
from hierpets.inference.prediction import Prediction, Region
from hierpets.inference.record import CSV_COLUMNS, PredictionRecord, csv_line, csv_row, parquet_row, parquet_schema
from hierpets.messages.catalogue import speaking
from hierpets.recommend.result import RecommendationRecord
from hierpets.regions.boxes import Box
from hierpets.taxonomy import Leaf, Taxonomy

TAXONOMY = Taxonomy(tree={"cat": ("birman", "siamese"), "dog": ("beagle", "pug"), "rabbit": ()})
ORIGINS = dict.fromkeys(TAXONOMY.leaves, "trained") | {Leaf("cat", "siamese"): "pretrained"}
POLICY = flat_policy(TAXONOMY.species, 0.6, pet=0.0)
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


def predicted(
    *joint: float, pet: float = 1.0, listed: float = 1.0, tree: Taxonomy = TAXONOMY, path: str = "cat.jpg", **fields
) -> Prediction:
    scores = np.array([pet, *[listed] * len(tree.species)])
    decision = decide_one(np.array(joint), tree, POLICY, scores=scores)
    return Prediction(path, MODEL, decision.thresholds, decision, np.array(joint), pet, origins=ORIGINS, **fields)


BREED = predicted(0.9, 0.05, 0.02, 0.02, 0.01, recommendation=ADVICE)
UNSURE = predicted(0.45, 0.44, 0.05, 0.05, 0.01)
UNLISTED = predicted(0.9, 0.05, 0.02, 0.02, 0.01, listed=0.1)
RABBIT = predicted(0.01, 0.01, 0.01, 0.01, 0.96)
CAR = predicted(0.9, 0.05, 0.02, 0.02, 0.01, pet=-5.0)
GENERAL = predicted(0.05, 0.9, 0.02, 0.02, 0.01)
TRIO = Taxonomy(tree={"cat": ("birman", "siamese", "sphynx"), "dog": ("pug",)})
OPEN = predicted(0.5, 0.4, 0.05, 0.05, tree=TRIO)
BROKEN = Prediction("a.jpg", MODEL, POLICY.thresholds(""), error=ImageError("a.jpg: no such file"))
DAMAGED = predicted(0.9, 0.05, 0.02, 0.02, 0.01, warning="damaged JPEG: Premature end of JPEG file")
ALL = [BREED, UNSURE, UNLISTED, RABBIT, CAR, GENERAL, OPEN, BROKEN, DAMAGED]


@pytest.mark.parametrize(
    ("prediction", "level", "species", "breed", "probability", "line"),
    [
        (BREED, "breed", "cat", "birman", 0.9, "cat 95.0%, birman 90.0%; shampoo: silk"),
        (UNSURE, "species", "cat", None, 0.89, "cat 89.0%, breed uncertain: birman 45%, siamese 44%"),
        (UNLISTED, "species", "cat", None, 0.95, "cat 95.0%, breed not recognized (closest: birman, siamese)"),
        (
            GENERAL,
            "breed",
            "cat",
            "siamese",
            0.9,
            "cat 95.0%, siamese 90.0% (known from pretraining",
        ),
        (OPEN, "species", "cat", None, 0.95, "cat 95.0%, birman or siamese 90.0%"),
        (RABBIT, "species", "rabbit", None, 0.96, "rabbit 96.0%"),
        (CAR, "unknown", None, None, None, "unknown: it looks like no pet of a known species"),
        (BROKEN, None, None, None, None, "error: no such file"),
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


UNPRINTABLE = ["not-utf8-\udcff\n.jpg", "Screenshot 9.41\u202fAM.jpg", "a\u00a0b.jpg", "a\u200db.jpg"]
MISSING = replace(BROKEN, path="upload", error=ImageError("not-utf8-\udcff.jpg: no such file"))


@pytest.mark.parametrize("prediction", [*ALL, *(replace(BREED, path=path) for path in UNPRINTABLE), MISSING])
def test_prediction_json_text_is_its_record_in_one_line(prediction):
    text = prediction.json_text()
    assert json.loads(text) == prediction.to_json()
    assert text.encode()
    assert "\n" not in text


def test_record_of_a_photo_of_no_known_pet_names_none():
    record = CAR.to_json()
    assert (record["species"], record["top"]) == (None, [])
    assert record["source"] == "not_a_known_pet"


def test_record_says_how_the_model_learned_each_breed():
    record = GENERAL.to_json()
    assert record["breed"] == {"label": "siamese", "probability": 0.9, "origin": "pretrained"}
    assert [leaf["origin"] for leaf in record["top"]] == ["pretrained", "trained", "trained"]
    assert (GENERAL.origin, BREED.origin, UNSURE.origin) == ("pretrained", "trained", None)


def test_record_of_an_open_answer_holds_the_breeds_and_no_single_one():
    record = OPEN.to_json()
    assert (record["level"], record["source"], record["breed"]) == ("species", "breed_set", None)
    assert [(breed["label"], breed["origin"]) for breed in record["breeds"]] == [
        ("birman", "trained"),
        ("siamese", "pretrained"),
    ]
    assert OPEN.breeds == ("birman", "siamese")
    assert dict(zip(CSV_COLUMNS, csv_row(record), strict=True))["breeds"] == "birman or siamese"
    assert "birman or siamese" in OPEN._repr_html_()


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


def test_prediction_of_the_species_alone_speaks_of_no_breed():
    decision = decide_one(np.array([0.9, 0.05, 0.02, 0.02, 0.01]), TAXONOMY, POLICY, max_level="species")
    prediction = Prediction("a.jpg", MODEL, decision.thresholds, decision, np.ones(5) / 5, 1.0, origins=ORIGINS)
    assert str(prediction) == "cat 95.0%"


def test_prediction_speaks_the_language_that_it_was_made_in():
    with speaking("de"):
        prediction = predicted(0.9, 0.05, 0.02, 0.02, 0.01)
    region = Region(Box(left=0, top=0, width=0.5, height=1), None, prediction)
    whole = replace(prediction, regions=(region,))
    assert str(whole) == whole.headline() == "Katze 95,0\xa0%, Heilige Birma 90,0\xa0%"
    html = whole._repr_html_()
    assert "<li>0\xa0% bis 50\xa0%" in html
    assert "Heilige Birma" in html
    assert "birman" not in html
    assert "<span>90,0\xa0%</span>" in html, "beside a bar"
    assert str(region).startswith("0\xa0% bis 50\xa0%")


def test_breed_of_a_photo_that_cannot_be_read_is_not_recognized():
    assert not BROKEN.breed_recognized


def test_headline_names_no_rival_that_is_next_to_impossible():
    birman, siamese = Leaf("cat", "birman"), Leaf("cat", "siamese")
    for top, words in (
        ([(birman, 0.72), (siamese, 0.004)], "birman 72%"),
        ([(birman, 0.72), (siamese, 0.01)], "birman 72%, siamese 1%"),
        ([(birman, 0.004), (siamese, 0.003)], "birman 0%"),
    ):
        prediction = replace(UNSURE, decision=replace(UNSURE.decision, top=tuple(top)))
        assert prediction.headline() == f"cat 89.0%, breed uncertain: {words}"
