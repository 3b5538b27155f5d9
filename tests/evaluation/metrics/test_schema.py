"""metrics.json keeps to the schema that docs/metrics.md shows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.stressed import stress_with_loss
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from hierpets.bundle.identity import ModelId
from hierpets.errors import DataError
from hierpets.evaluation.metrics.compute import evaluate_predictions, metrics_json
from hierpets.evaluation.metrics.reading import read_metrics, read_run_metrics
from hierpets.evaluation.metrics.schema import Metrics
from hierpets.evaluation.predictions import OODPredictions
from hierpets.taxonomy import Taxonomy
from hierpets.validation.reference import field_table

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def results(predictions, make_predictions, taxonomy):
    """Rich, without breeds, of one photo, of a perfect and of a clueless model."""
    ood = OODPredictions(("a", "b"), np.array([1.0, 2.0]), np.array(["unknown", "breed"]), ("car", "food"))
    flat = Taxonomy(tree={"cat": (), "dog": ()})
    stressed = {"rich": stress_with_loss(0.1)}
    cases = {
        "rich": (predictions, ood),
        "flat": (make_predictions(flat, 40), None),
        "one photo": (make_predictions(taxonomy, 1), None),
        "one leaf": (make_predictions(Taxonomy(tree={"cat": ()}), 5), None),
        "perfect": (make_predictions(taxonomy, 80, skill=90.0, unknown=0.0), None),
        "nothing answered": (make_predictions(taxonomy, 80, unknown=1.0), None),
        "clueless": (make_predictions(taxonomy, 80, skill=0.0), ood),
        "no breed told": (make_predictions(Taxonomy(tree={"cat": ("a", "b")}), 9, unlabeled=1.0), None),
    }
    return {
        name: evaluate_predictions(p, ood=n, resamples=20).model_copy(update={"stress": stressed.get(name)})
        for name, (p, n) in cases.items()
    }


def test_metrics_json_keeps_to_the_schema(results):
    validator = Draft202012Validator(Metrics.model_json_schema())
    for name, result in results.items():
        written = metrics_json(result)
        assert Metrics.model_validate_json(written) == result, name
        assert list(validator.iter_errors(json.loads(written))) == [], name


def test_metrics_refuse_what_the_schema_does_not_know(results):
    rich = results["rich"].model_dump()
    with pytest.raises(ValidationError, match="surprise"):
        Metrics.model_validate(rich | {"surprise": 1})
    with pytest.raises(ValidationError, match="accuracy"):
        Metrics.model_validate(rich | {"species": rich["species"] | {"accuracy": 1.5}})


def test_field_table_of_metrics_gives_every_key_a_meaning():
    rows = [line.split(" | ") for line in field_table(Metrics).splitlines()[2:]]
    assert len(rows) > 90
    silent = [key for key, kind, meaning in rows if not meaning.strip(" |") and kind != "object"]
    assert silent == []


def test_metrics_json_has_support_first_and_accuracy_last(results):
    written = json.loads(metrics_json(results["rich"]))
    assert list(written)[:2] == ["schema_version", "model"]
    for level in ("species", "breed", "breed_given_species"):
        keys = list(written[level])
        assert keys[0] == "n" and keys[-1] == "accuracy"
        assert next(iter(written[level]["per_class"]["cat" if level == "species" else "cat/birman"])) == "support"


def test_metrics_json_of_several_is_by_name(results):
    written = json.loads(metrics_json({"validation": results["flat"]}))
    assert written == {"validation": json.loads(metrics_json(results["flat"]))}


def test_evaluate_predictions_names_the_model(predictions):
    model = ModelId(digest="0123456789abcdef", version="7")
    found = evaluate_predictions(predictions, model=model, resamples=5)
    assert found.model == model
    assert json.loads(metrics_json(found))["model"] == {"digest": "0123456789abcdef", "version": "7"}


def test_evaluate_predictions_of_extremes(results):
    perfect, silent = results["perfect"], results["nothing answered"]
    assert perfect.species.accuracy == 1 and perfect.species.intervals["accuracy"][0] < 0.97
    assert perfect.hierarchy.mistake_severity is None
    assert silent.selective.node.holds_truth == 1 and silent.selective.node.right_when_answered is None
    assert silent.selective.breed.risk is None and silent.hierarchy.decided_precision is None
    assert results["one leaf"].species.per_class["cat"].roc_auc is None
    assert results["no breed told"].breed is None and results["no breed told"].hierarchy.n == 0


def test_read_metrics_gives_back_what_was_written(results, tmp_path):
    path = tmp_path / "metrics.json"
    for result in results.values():
        path.write_text(metrics_json(result))
        assert read_metrics(path) == result


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "not JSON"),
        ("[]", "expected keys and values, got list"),
        ('{"n": 1}', "not the metrics of an evaluation: "),
    ],
)
def test_read_metrics_says_what_is_wrong_and_where(tmp_path, text, problem):
    path = tmp_path / "metrics.json"
    path.write_text(text)
    with pytest.raises(DataError, match=problem) as caught:
        read_metrics(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(DataError, match="cannot be read"):
        read_metrics(tmp_path / "missing.json")


def test_read_run_metrics_refuses_those_of_an_evaluation(results, tmp_path):
    path = tmp_path / "metrics.json"
    path.write_text(metrics_json({"validation": results["flat"]}))
    assert read_run_metrics(path) == {"validation": results["flat"]}
    path.write_text(metrics_json(results["flat"]))
    with pytest.raises(DataError, match="expected the metrics of a training run, found those of an evaluation"):
        read_run_metrics(path)
