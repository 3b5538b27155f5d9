import numpy as np
import pytest

from hierpets.config import HeadSpec
from hierpets.plugin import Labels
from hierpets.taxonomy import Taxonomy
from hierpets.training.calibration import calibrate, cross_predict
from hierpets.training.frozen.candidates import cross_validate
from hierpets.training.frozen.feature_set import FeatureSet
from hierpets.training.frozen.fit import assign_folds, fit_frozen, held_out_breeds, out_of_fold
from hierpets.training.held_out import HeldOutOutputs

TAXONOMY = Taxonomy(tree={"cat": ("a", "b", "c"), "dog": ("d", "e", "f", "g"), "rabbit": ()})
D = 16


def sample(per_leaf: int = 40, spread: float = 0.8, unlabeled: int = 0, seed: int = 0) -> FeatureSet:
    generator = np.random.default_rng(seed)
    species_centers = generator.normal(scale=3.0, size=(3, D))
    centers = species_centers[TAXONOMY.leaf_species] + generator.normal(scale=spread, size=(8, D))
    leaf = np.repeat(np.arange(8), per_leaf)
    features = (centers[leaf] + generator.normal(size=(len(leaf), D))).astype(np.float32)
    species = TAXONOMY.leaf_species[leaf]
    hidden = generator.permutation(np.flatnonzero(species < 2))[:unlabeled]
    leaf[hidden] = -1
    labels = Labels(species, leaf, TAXONOMY.species, tuple(map(str, TAXONOMY.leaves)))
    return FeatureSet(features, features, labels, np.ones(len(leaf)), TAXONOMY)


def test_assign_folds_is_stratified_and_deals_evenly():
    folds = assign_folds(sample(unlabeled=30).labels, folds=5, seed=1)
    assert np.ptp(np.bincount(folds)) <= 1
    leaf = sample(unlabeled=30).labels.leaf
    for c in range(8):
        assert np.ptp(np.bincount(folds[leaf == c], minlength=5)) <= 1


def test_out_of_fold_logits_are_of_heads_that_did_not_see_the_photo():
    photos, spec = sample(), HeadSpec()
    folds = assign_folds(photos.labels, folds=4, seed=0)
    species, leaf, signals, judged = out_of_fold(photos, spec, None, folds)
    assert judged.all()
    fit = fit_frozen(photos.where(folds != 2), spec, None)
    expected = fit.heads(photos.features[folds == 2])
    np.testing.assert_allclose(species[folds == 2], expected[0], rtol=1e-5)
    np.testing.assert_allclose(leaf[folds == 2], expected[1], rtol=1e-5)
    np.testing.assert_allclose(signals[folds == 2], fit.signals(photos.features[folds == 2]), rtol=1e-5)


def test_cross_validate_learns_nothing_from_shuffled_labels():
    photos = sample(spread=0.0)
    shuffled = np.random.default_rng(3).permutation(photos.labels.leaf)
    noise = FeatureSet(
        photos.features,
        photos.features,
        Labels(TAXONOMY.leaf_species[shuffled], shuffled, TAXONOMY.species, photos.labels.leaf_names),
        photos.weights,
        TAXONOMY,
    )
    score = cross_validate(noise, HeadSpec(), assign_folds(noise.labels, folds=5, seed=0), "conditional")
    assert score.breed < 0.25


def test_out_of_fold_does_not_judge_the_fold_of_a_single_photo():
    photos = sample()
    keep = np.ones(len(photos.labels), dtype=bool)
    keep[np.flatnonzero(photos.labels.leaf == 4)[1:]] = False
    few = photos.where(keep)
    *_, judged = out_of_fold(few, HeadSpec(), None, assign_folds(few.labels, folds=5, seed=0))
    assert 0 < (~judged).sum() < len(judged)
    assert not judged[few.labels.leaf == 4].any()


def test_held_out_breeds_score_lower_than_known_ones():
    photos = sample(spread=3.0)
    *_, known, _ = out_of_fold(photos, HeadSpec(), None, assign_folds(photos.labels, folds=4, seed=0))
    unknown = held_out_breeds(photos, None, groups=4, seed=0)
    with_breeds = photos.labels.species < 2  # rabbit has no breeds to hold out
    assert len(unknown) == with_breeds.sum()
    assert known[with_breeds][:, 0].median() > unknown[:, 0].median()


@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_cross_predict_is_right_as_often_as_alpha_promises(alpha):
    photos = sample(per_leaf=150, spread=0.8)
    folds = assign_folds(photos.labels, folds=5, seed=0)
    fit = fit_frozen(photos, HeadSpec(), None)
    species, leaf, signals, _ = out_of_fold(photos, HeadSpec(), None, folds)
    fit.ood_scorer.standardize(signals)
    unlisted = fit.ood_scorer.combine(held_out_breeds(photos, None, groups=4, seed=0)).numpy()
    outputs = HeldOutOutputs(
        tuple(map(str, range(len(folds)))), photos.labels, species, leaf, fit.ood_scorer.combine(signals).numpy()
    )
    calibrated = calibrate(outputs, unlisted, taxonomy=TAXONOMY, combiner="conditional", alpha=alpha)
    _, decisions = cross_predict(outputs, unlisted, calibrated, assign_folds(photos.labels, folds=5, seed=9))
    truth = {"breed": photos.labels.leaf, "species": photos.labels.species, "unknown": np.full(len(folds), -1)}
    right = np.mean([d.node(TAXONOMY) == truth[d.level][i] for i, d in enumerate(decisions)])
    assert right >= 1 - alpha - 0.02
