"""The bundle that ships in the package."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from hierpets.bundle.layout import released_bundle
from hierpets.bundle.manifest import read_manifest
from hierpets.cli import main
from hierpets.data.listing import find_photos
from hierpets.inference.loading import load


@pytest.fixture(scope="module")
def predictor():
    return load(recommend=False)


def test_released_bundle_is_small_and_says_where_it_comes_from():
    files = [file for file in released_bundle().rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= 25_000_000
    assert {file.suffix for file in files} <= {".json", ".safetensors", ".xml", ".bin", ""}
    assert "CC BY-SA 4.0" in (released_bundle() / "LICENSE").read_text()


def test_released_bundle_knows_its_breeds_and_how_it_was_calibrated():
    manifest = read_manifest(released_bundle())
    origins = Counter(zip((leaf.species for leaf in manifest.taxonomy.leaves), manifest.origins, strict=True))
    # ImageNet has 118 classes of dogs, one of which shows two breeds; 21 of the breeds are trained.
    assert origins == {
        ("cat", "trained"): 12,
        ("dog", "trained"): 25,
        ("cat", "pretrained"): 1,
        ("dog", "pretrained"): 97,
    }
    assert manifest.training["calibrated_on"] == "cross_validation"
    for population in ("trained", "pretrained", "unlisted"):
        assert all(len(rows) > 250 for rows in manifest.policy.of(population).values())


def test_released_bundle_is_taken_when_no_model_is_named(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["predict", "--format", "jsonl", "demo:cat/siamese/1"])
    assert not caught.value.code
    (record,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert record["scores"]["pet"] < 100


def test_released_torch_and_openvino_agree():
    predictor = load(precision="f32", recommend=False)
    photos = [f"demo:{leaf}/{i}" for i, leaf in enumerate(["cat/siamese", "dog/pug", "dog/beagle", "rabbit/-"])]
    reference = load(engine="torch", recommend=False)
    for ours, theirs in zip(predictor.predict(photos), reference.predict(photos), strict=True):
        np.testing.assert_allclose(ours.joint, theirs.joint, atol=2e-3)
        np.testing.assert_allclose(ours.pet_score, theirs.pet_score, atol=2e-2)
        np.testing.assert_allclose(ours.decision.listed, theirs.decision.listed, atol=2e-2)


def test_released_a_cpu_computes_it_in_int8(predictor):
    assert predictor.engine.precision == "int8"


@pytest.mark.data
def test_released_int8_answers_as_float_does(predictor, data_dir):
    photos = find_photos(data_dir / "unseen-breeds")[::12] + find_photos(data_dir / "pets")[::120]
    exact = load(precision="f32", recommend=False)
    pairs = list(zip(predictor.predict(photos), exact.predict(photos), strict=True))
    assert np.mean([a.joint.argmax() == b.joint.argmax() for a, b in pairs]) > 0.9  # none is firm out of distribution
    assert np.mean([a.decision.species == b.decision.species for a, b in pairs]) > 0.97
    assert np.mean([abs(a.pet_score - b.pet_score) for a, b in pairs]) < 0.3


@pytest.mark.data
def test_released_bundle_names_breeds_of_real_photos(predictor, data_dir):
    photos = find_photos(data_dir / "pets")[::73]
    answers = list(predictor.stream(photos))
    right = [a.decision.breed == Path(a.path).parent.name for a in answers]
    assert np.mean(right) > 0.9  # it was trained on them
    assert np.mean([a.decision.level == "breed" for a in answers]) > 0.75


@pytest.mark.data
def test_released_bundle_does_not_take_a_car_or_a_wolf_for_a_pet(predictor, data_dir):
    photos = find_photos(data_dir / "not-pets")[::8] + find_photos(data_dir / "not-pets" / "wild_canids")[:5]
    answers = list(predictor.stream(photos))
    assert np.mean([a.decision.source == "not_a_known_pet" for a in answers]) > 0.95


@pytest.mark.data
def test_released_a_breed_that_nobody_knows_is_mostly_answered_by_its_species(predictor, data_dir):
    dogs = data_dir / "unseen-breeds" / "dog"
    photos = [
        p
        for name in ("bull_terrier", "chinese_crested", "cockapoo", "labradoodle")
        for p in find_photos(dogs / name)[::2]
    ]
    for answers in (predictor.predict(photos), predictor.predict(photos, only="dog")):
        assert np.mean([a.decision.level == "breed" for a in answers]) < 0.35
        assert np.mean([a.decision.species == "dog" for a in answers]) > 0.98


@pytest.mark.data
def test_released_a_breed_of_pretraining_is_named_without_a_training_photo(predictor, data_dir):
    dogs = data_dir / "unseen-breeds" / "dog"
    named = {"dalmation": "dalmatian", "borzoi": "borzoi", "vizsla": "vizsla", "great_dane": "great_dane"}
    answers = [(a, breed) for name, breed in named.items() for a in predictor.predict(find_photos(dogs / name)[::2])]
    assert np.mean([a.decision.top[0][0].breed == breed for a, breed in answers]) > 0.75
    right = [a for a, breed in answers if a.breed == breed]
    assert len(right) > 0.45 * len(answers)
    assert {a.origin for a in right} == {"pretrained"}


@pytest.mark.data
def test_released_what_is_asked_changes_the_answer(predictor, data_dir):
    photos = find_photos(data_dir / "pets" / "cat" / "birman")[:20]
    photo, plain = next((p, a) for p, a in zip(photos, predictor.stream(photos), strict=False) if a.level == "breed")
    capped = predictor.predict(photo, max_level="species")
    strict = predictor.predict(photo, alpha=0.001)
    dogs = predictor.predict(photo, only="dog")
    assert (plain.decision.level, plain.decision.breed) == ("breed", "birman")
    assert capped.decision.level == "species"
    assert strict.decision.thresholds.probability > plain.decision.thresholds.probability
    assert (dogs.decision.source, dogs.decision.species) == ("restricted", "dog")
