"""The detector that ships: what it sees, where, and that it is what its license says."""

import numpy as np
import pytest

from hierpets.data.photos import read_photo
from hierpets.inference.detector.network import ANIMALS, GRAPH, SIZE, Detections, Detector, stretched


@pytest.fixture(scope="module")
def detector():
    return Detector(threads=1)


@pytest.mark.parametrize("shape", [(300, 300), (40, 700), (1200, 900), (1, 1)])
def test_a_photo_of_any_shape_is_seen_as_a_square(shape, detector):
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert stretched(pixels).shape == (SIZE, SIZE, 3)
    seen = detector(pixels)
    assert seen.edges.shape == (len(seen.logits), 4)
    assert seen.logits.shape[1] == len(ANIMALS)
    assert np.isfinite(seen.edges).all()
    assert np.isfinite(seen.logits).all()


def test_nothing_in_a_plain_photo_is_an_animal(detector):
    assert detector(np.full((SIZE, SIZE, 3), 120, np.uint8)).probability(ANIMALS).max() < 0.5


def test_the_best_of_several_animals_counts_for_a_box():
    logits = np.full((2, len(ANIMALS)), -5.0)
    logits[0, ANIMALS.index("cat")], logits[1, ANIMALS.index("dog")] = 0.0, np.log(3)
    seen = Detections(np.zeros((2, 4)), logits)
    np.testing.assert_allclose(seen.best(["cat", "dog"]), [0, np.log(3)])
    np.testing.assert_allclose(seen.probability(["cat", "dog"]), [0.5, 0.75])
    np.testing.assert_allclose(seen.best(["dog"]), [-5, np.log(3)])


def test_the_license_travels_with_the_weights():
    assert "Apache License, Version 2.0" in GRAPH.with_name("LICENSE").read_text(encoding="utf-8")


@pytest.mark.data
@pytest.mark.parametrize(("folder", "animal"), [("pets/cat", "cat"), ("pets/dog", "dog"), ("horses/horse", "horse")])
def test_real_animals_are_found_as_what_they_are(folder, animal, data_dir, detector):
    photos = sorted((data_dir / folder).glob("*/*.jpg"))[::40][:20]
    known = ("cat", "dog", "horse")
    seen = [detector(read_photo(photo)) for photo in photos]
    right = [max(known, key=lambda name, one=one: one.best([name]).max()) == animal for one in seen]
    assert len(right) >= 4
    assert np.mean(right) >= 0.8
