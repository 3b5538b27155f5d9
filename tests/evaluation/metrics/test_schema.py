"""metrics.json keeps to the schema that docs/metrics.md shows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from hierpets.evaluation import OODPredictions, evaluate_predictions
from hierpets.evaluation.metrics.compute import metrics_json
from hierpets.evaluation.metrics.schema import Metrics, field_table
from hierpets.taxonomy import Taxonomy

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def results(predictions, make_predictions, taxonomy):
    """Rich, without breeds, of one photo, of a perfect and of a clueless model."""
    ood = OODPredictions(("a", "b"), np.array([1.0, 2.0]), np.array(["unknown", "breed"]), ("car", "food"))
    flat = Taxonomy(tree={"cat": (), "dog": ()})
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
    return {name: evaluate_predictions(p, ood=n, resamples=20) for name, (p, n) in cases.items()}


def test_every_result_keeps_to_the_schema(results):
    validator = Draft202012Validator(Metrics.model_json_schema())
    for name, result in results.items():
        Metrics.model_validate_json(metrics_json(result))
        assert list(validator.iter_errors(result)) == [], name


def test_the_schema_refuses_what_it_does_not_know(results):
    with pytest.raises(ValidationError, match="surprise"):
        Metrics.model_validate(results["rich"] | {"surprise": 1})
    with pytest.raises(ValidationError, match="accuracy"):
        Metrics.model_validate(results["rich"] | {"species": results["rich"]["species"] | {"accuracy": 1.5}})


def test_every_key_has_a_meaning():
    rows = [line.split(" | ") for line in field_table().splitlines()[2:]]
    assert len(rows) > 90
    silent = [key for key, kind, meaning in rows if not meaning.strip(" |") and kind != "object"]
    assert silent == []


def test_the_page_shows_the_present_schema():
    run = subprocess.run([sys.executable, ROOT / "tools" / "metrics_page.py", "check"], check=False)
    assert run.returncode == 0, "docs/metrics.md is out of date: python tools/metrics_page.py make"


def test_support_stands_first_and_accuracy_last(results):
    for level in ("species", "breed", "breed_given_species"):
        keys = list(results["rich"][level])
        assert keys[0] == "n" and keys[-1] == "accuracy"
        assert (
            next(iter(results["rich"][level]["per_class"]["cat" if level == "species" else "cat/birman"])) == "support"
        )


def test_extremes(results):
    perfect, silent = results["perfect"], results["nothing answered"]
    assert perfect["species"]["accuracy"] == 1 and perfect["species"]["intervals"]["accuracy"][0] < 0.97
    assert perfect["hierarchy"]["mistake_severity"] is None
    assert (
        silent["selective"]["node"]["holds_truth"] == 1 and silent["selective"]["node"]["right_when_answered"] is None
    )
    assert silent["selective"]["breed"]["risk"] is None and silent["hierarchy"]["decided_precision"] is None
    assert results["one leaf"]["species"]["per_class"]["cat"]["roc_auc"] is None
    assert results["no breed told"]["breed"] is None and results["no breed told"]["hierarchy"]["n"] == 0
