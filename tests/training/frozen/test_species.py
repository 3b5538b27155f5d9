import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from hierpets.hierarchy.policy import population_shares
from hierpets.model.heads import Linear
from hierpets.model.statistics.classes import ClassStatistics
from hierpets.taxonomy import Leaf
from hierpets.training.frozen.species import EXPECTED, SpeciesPhotos, fit_species_weights, species_margin


def photos(generator, n: int, head: float, pretrained: float, species: int = 2) -> SpeciesPhotos:
    """What both heads say where the lead of the true species is normal, about these means."""
    true = generator.integers(0, species, n)
    lead = np.eye(species)[true]
    return SpeciesPhotos(
        lead * head + generator.normal(size=(n, species)), lead * pretrained + generator.normal(size=(n, species)), true
    )


def test_many_photos_say_what_logistic_regression_does():
    generator = np.random.default_rng(0)
    trained, others = photos(generator, 6000, 2.0, 1.0), photos(generator, 3000, 0.5, 1.5)
    both = [np.concatenate(columns) for columns in zip(trained, others, strict=True)]
    leads = np.stack([column[:, 1] - column[:, 0] for column in both[:2]], axis=1)
    shares = population_shares(())
    weights = np.repeat([shares["trained"] / 6000, shares["unlisted"] / 3000], [6000, 3000])
    expected = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-8).fit(leads, both[2], weights * 9000).coef_[0]
    np.testing.assert_allclose(fit_species_weights(trained, others), expected, rtol=0.01)
    coarse = [one._replace(masses=one.masses.astype(np.float32)) for one in (trained, others)]
    np.testing.assert_allclose(fit_species_weights(*coarse), expected, rtol=0.01)


def test_the_head_that_is_wrong_about_other_breeds_is_heard_less():
    """However right it is about those that it saw."""
    generator = np.random.default_rng(1)
    trained = photos(generator, 40, 50.0, 8.0)
    right, wrong = (fit_species_weights(trained, photos(generator, 40, lead, 8.0)) for lead in (50.0, -0.5))
    assert right.head / right.pretrained > 2 * wrong.head / wrong.pretrained


@pytest.mark.parametrize("lead", [1.0, 1000.0])
def test_few_photos_that_are_all_right_make_nothing_certain(lead):
    generator = np.random.default_rng(2)
    found = fit_species_weights(photos(generator, 20, lead, lead), photos(generator, 20, lead, lead))
    assert 0.1 < found.head / EXPECTED.head < 10
    assert 0.1 < found.pretrained / EXPECTED.pretrained < 10


def test_where_no_breed_could_be_held_out_weights_are_as_expected():
    trained = photos(np.random.default_rng(3), 20, 5.0, 1.0)
    nobody = SpeciesPhotos(np.zeros((0, 2)), np.zeros((0, 2)), np.zeros(0, int))
    assert fit_species_weights(trained, nobody) == fit_species_weights(nobody, trained) == EXPECTED


def statistics(generator) -> ClassStatistics:
    """Of three species about points on the axes."""
    classes = np.arange(60) % 3
    features = 4 * np.eye(5)[classes] + generator.normal(size=(60, 5))
    return ClassStatistics.of(features, classes, np.ones(60), [Leaf(name, None) for name in ("cat", "dog", "horse")])


@given(st.floats(0.5, 1000), st.floats(-5, 5))
def test_a_margin_grows_with_the_logits_and_not_with_what_all_have_in_common(factor, shift):
    known = statistics(np.random.default_rng(0))
    head = Linear(np.eye(5)[:3], np.zeros(3))
    margin = species_margin(head, known, ("cat", "dog", "horse"))
    assert 3 < margin < 5
    other = Linear(head.weight * factor, head.bias * factor + shift)
    assert species_margin(other, known, ("cat", "dog", "horse")) == pytest.approx(max(factor * margin, 1.0))


def test_one_species_has_no_margin():
    assert species_margin(Linear(np.ones((1, 5)), np.zeros(1)), statistics(np.random.default_rng(0)), ("cat",)) == 1.0
