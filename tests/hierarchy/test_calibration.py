import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from hierpets.evaluation.metrics.reliability import expected_calibration_error
from hierpets.hierarchy.calibration import Temperatures, fit_temperature, fit_temperatures
from hierpets.taxonomy import Taxonomy

TAXONOMY = Taxonomy(tree={"cat": ("a", "b", "c"), "dog": ("d", "e"), "rabbit": ()})


def drawn(rows: int, classes: int, sharpness: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits ``sharpness`` times as bold as the labels warrant."""
    generator = np.random.default_rng(seed)
    honest = generator.normal(scale=2.0, size=(rows, classes))
    labels = np.array([generator.choice(classes, p=p) for p in softmax(honest, axis=1)])
    return honest * sharpness, labels


def likelihood(temperature: float, logits: np.ndarray, labels: np.ndarray) -> float:
    return -log_softmax(logits / temperature, axis=1)[np.arange(len(labels)), labels].mean()


@pytest.mark.parametrize("sharpness", [0.3, 1.0, 5.0, 20.0])
def test_fit_temperature_agrees_with_scipy_and_finds_the_sharpness(sharpness):
    logits, labels = drawn(4000, 6, sharpness)
    found = fit_temperature(logits, labels)
    reference = minimize_scalar(likelihood, bounds=(0.05, 100), args=(logits, labels), method="bounded")
    assert found == pytest.approx(reference.x, rel=0.01)
    assert found == pytest.approx(sharpness, rel=0.1)


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 8.0])
def test_fit_temperature_never_lowers_the_likelihood(sharpness):
    logits, labels = drawn(200, 4, sharpness, seed=3)
    assert likelihood(fit_temperature(logits, labels), logits, labels) <= likelihood(1.0, logits, labels)


def test_fit_temperature_of_no_photos_or_one_class_is_one():
    assert fit_temperature(np.zeros((0, 3)), np.zeros(0, dtype=int)) == 1.0
    assert fit_temperature(np.ones((5, 1)), np.zeros(5, dtype=int)) == 1.0


def test_fit_temperatures_makes_confidence_a_frequency_for_each_head():
    generator = np.random.default_rng(1)
    species_logits, species = drawn(3000, 3, 4.0)
    leaf_logits = np.zeros((3000, 6))
    leaf = np.zeros(3000, dtype=int)
    for s, (columns, sharpness) in enumerate(zip(TAXONOMY.slices, [10.0, 2.0, 1.0], strict=True)):
        leaf_logits[:, columns], inside = drawn(3000, columns.stop - columns.start, sharpness, seed=s + 5)
        leaf = np.where(species == s, columns.start + inside, leaf)
    leaf[generator.random(3000) < 0.1] = -1
    found = fit_temperatures(species_logits, leaf_logits, species=species, leaf=leaf, taxonomy=TAXONOMY)
    assert found.species == pytest.approx(4.0, rel=0.15)
    assert found.breeds["cat"] == pytest.approx(10.0, rel=0.2)
    assert found.breeds["dog"] == pytest.approx(2.0, rel=0.2)
    assert found.breeds["rabbit"] == 1.0
    joint = found.joint(species_logits, leaf_logits, TAXONOMY)
    known = leaf >= 0
    hit, weights = joint[known].argmax(axis=1) == leaf[known], np.ones((1, known.sum()))
    assert expected_calibration_error(joint[known].max(axis=1), hit, weights)[0] < 0.03


def test_temperatures_default_to_changing_nothing():
    species, leaf = np.ones((2, 3)), np.arange(12.0).reshape(2, 6)
    same = Temperatures().apply(species, leaf, TAXONOMY)
    np.testing.assert_array_equal(same[0], species)
    np.testing.assert_array_equal(same[1], leaf)


@pytest.mark.parametrize("rows", [60, 300])
def test_fit_temperature_stays_in_bounds_where_every_photo_is_right(rows):
    """Honest logits that happen to be all right, of which the likelihood alone would make certainties."""
    margin = np.random.default_rng(0).normal(9.0, 2.5, size=rows).clip(min=1.0)
    found = fit_temperature(np.stack([margin, np.zeros(rows)], axis=1), np.zeros(rows, int))
    assert 0.4 < found <= 1.0
