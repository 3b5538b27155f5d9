import numpy as np
import pytest
from helpers.fakes import TAXONOMY
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from hierpets.hierarchy.probabilities import COMBINERS, joint_probabilities
from hierpets.plugin import Labels
from hierpets.taxonomy import Taxonomy
from hierpets.training.prior import prior_shift

L = len(TAXONOMY.leaves)


def labels_of(leaf: list[int], species: list[int] | None = None, taxonomy: Taxonomy = TAXONOMY) -> Labels:
    leaves = np.array(leaf)
    owners = taxonomy.leaf_species[leaves] if species is None else np.array(species)
    return Labels(owners, leaves, taxonomy.species, tuple(map(str, taxonomy.leaves)))


def data_joint(labels: Labels, weights: np.ndarray, taxonomy: Taxonomy = TAXONOMY) -> np.ndarray:
    """P(species) over all photos times P(breed | species) over those with a breed."""
    known = labels.leaf >= 0
    species = np.bincount(labels.species, weights, minlength=len(taxonomy.species)) / weights.sum()
    leaf = np.bincount(labels.leaf[known], weights[known], minlength=len(taxonomy.leaves))
    totals = np.array([leaf[c].sum() for c in taxonomy.slices])[taxonomy.leaf_species]
    return leaf / totals * species[taxonomy.leaf_species]


def answer_of(labels: Labels, weights: np.ndarray, combiner: str) -> tuple[np.ndarray, np.ndarray]:
    """Logits of a model that sees nothing in a photo and has learnt the prior of its training, [1, S] and [1, L]."""
    joint = data_joint(labels, weights)
    species = np.add.reduceat(joint, [c.start for c in TAXONOMY.slices])
    breed = np.log(joint / species[TAXONOMY.leaf_species])
    if combiner == "flat":
        return np.zeros((1, len(TAXONOMY.species))), np.log(joint)[None]
    return np.log(species)[None], breed[None]


@pytest.mark.parametrize("combiner", COMBINERS)
@given(
    extra=st.lists(st.integers(0, L - 1), min_size=0, max_size=30),
    weights=st.lists(st.floats(0.1, 10), min_size=L + 32, max_size=L + 32),
)
def test_prior_shift_brings_a_blind_model_to_the_target_prior(combiner, extra, weights):
    labels = labels_of([*range(L), *extra, -1, -1], [*TAXONOMY.leaf_species[[*range(L), *extra]], 0, 1])
    weights = np.array(weights[: len(labels)])
    species, leaf = answer_of(labels, weights, combiner)
    for target in ("data", "uniform"):
        shift = prior_shift(weights, labels, TAXONOMY, target=target, combiner=combiner)
        corrected = joint_probabilities(species + shift.species, leaf + shift.leaf, TAXONOMY, combiner=combiner)[0]
        expected = (
            data_joint(labels, np.ones(len(labels)))
            if target == "data"
            else np.array([1 / 3 / len(breeds or (None,)) for breeds in TAXONOMY.tree.values() for _ in breeds or (0,)])
        )
        np.testing.assert_allclose(corrected, expected, atol=1e-9)


def test_prior_shift_is_zero_from_equal_weights_to_the_data():
    shift = prior_shift(np.full(8, 3.0), labels_of([0, 1, 2, 2, 2, 3, 4, 5]), TAXONOMY, target="data")
    np.testing.assert_allclose(shift.species, 0, atol=1e-12)
    np.testing.assert_allclose(shift.leaf, 0, atol=1e-12)


def test_prior_shift_leaves_a_class_without_a_photo_alone():
    shift = prior_shift(np.ones(4), labels_of([0, 0, 1, 2]), TAXONOMY)
    assert np.isfinite(shift.species).all()
    assert np.isfinite(shift.leaf).all()
    assert shift.leaf[5] == 0
    assert shift.species[2] == 0


@pytest.mark.parametrize("combiner", ["conditional", "flat"])
def test_prior_shift_undoes_a_sampler_of_a_logistic_regression(combiner):
    taxonomy = Taxonomy(tree={"cat": ("a", "b"), "dog": ("c", "d")})
    generator = np.random.default_rng(0)
    leaf = np.repeat(np.arange(4), [2000, 400, 150, 750])
    # One column for each of six kinds of photo, so that a linear model can be exact.
    features = np.eye(6)[[generator.choice(6, p=p) for p in generator.dirichlet(np.ones(6), size=4)[leaf]]]
    labels = labels_of(leaf.tolist(), taxonomy=taxonomy)
    # Under one softmax any weights can be undone; with a head for each level, those of a species.
    weights = np.array([0.2, 1.0, 4.0, 1.0] if combiner == "flat" else [0.3, 0.3, 5.0, 5.0])[leaf]

    def fit(sample_weight: np.ndarray, target: np.ndarray, rows: np.ndarray) -> np.ndarray:
        model = LogisticRegression(C=1e4, max_iter=500).fit(features[rows], target[rows], sample_weight[rows])
        scores = model.decision_function(features)
        return scores if scores.ndim == 2 else np.stack([-scores / 2, scores / 2], axis=1)

    def predict(sample_weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        everything = np.ones(len(leaf), bool)
        if combiner == "flat":
            return np.zeros((len(leaf), 2)), fit(sample_weight, leaf, everything)
        breeds = [fit(sample_weight, leaf, labels.species == s) for s in range(2)]
        return fit(sample_weight, labels.species, everything), np.concatenate(breeds, axis=1)

    shift = prior_shift(weights, labels, taxonomy, target="data", combiner=combiner)
    species, leaves = predict(weights)
    corrected = joint_probabilities(species + shift.species, leaves + shift.leaf, taxonomy, combiner=combiner)
    uncorrected = joint_probabilities(species, leaves, taxonomy, combiner=combiner)
    wanted = joint_probabilities(*predict(np.ones(len(leaf))), taxonomy, combiner=combiner)
    assert np.abs(uncorrected - wanted).mean() > 0.05
    assert np.abs(corrected - wanted).mean() < 0.003
    # The corrected posterior averages to how often each class really is.
    np.testing.assert_allclose(corrected.mean(axis=0), np.bincount(leaf) / len(leaf), atol=0.003)
