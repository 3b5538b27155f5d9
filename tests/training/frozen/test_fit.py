from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers.features import blobs, feature_set

from hierpets.config import HeadSpec
from hierpets.data.records import PhotoIndex, PhotoRecord
from hierpets.hierarchy.probabilities import COMBINERS, joint_probabilities
from hierpets.model.heads import Heads
from hierpets.model.pretrained_breeds import PretrainedBreeds
from hierpets.plugin import Labels
from hierpets.taxonomy import Taxonomy
from hierpets.training.calibration import HeldOutPredictions, calibrate, cross_predict
from hierpets.training.features.feature_set import FeatureSet
from hierpets.training.features.stored_rows import StoredRows
from hierpets.training.frozen.fit import fit_frozen
from hierpets.training.frozen.fitter import FrozenFit, HeadFitter, fit_ood_scorer
from hierpets.training.frozen.held_out.breeds import HeldOutBreeds, held_out_breeds
from hierpets.training.frozen.held_out.cross_validation import FoldHeads
from hierpets.training.frozen.held_out.folds import assign_folds
from hierpets.training.frozen.held_out.out_of_fold import OutOfFold, out_of_fold, tuned_folds
from hierpets.training.frozen.mixing import fit_mixing
from hierpets.training.frozen.statistics import collect_statistics
from hierpets.training.measurement import measure

TAXONOMY = Taxonomy(tree={"cat": ("a", "b", "c"), "dog": ("d", "e", "f", "g"), "rabbit": ()})
D = 16
LDA = HeadFitter(HeadSpec())


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


def fitted(photos: FeatureSet, fitter: HeadFitter = LDA) -> FrozenFit:
    (statistics,) = collect_statistics(photos, None)
    return FrozenFit(fitter.fit(statistics, photos), fit_ood_scorer(statistics, None, breeds(photos)))


def breeds(photos: FeatureSet) -> PretrainedBreeds:
    return PretrainedBreeds.of(photos.taxonomy, None)


def index_of(photos: FeatureSet) -> PhotoIndex:
    return PhotoIndex(
        TAXONOMY, tuple(PhotoRecord(str(i), *TAXONOMY.leaves[leaf]) for i, leaf in enumerate(photos.labels.leaf))
    )


def heads_of(photos: FeatureSet, spec: HeadSpec, **how) -> Heads:
    return HeadFitter(spec, **how).fit(collect_statistics(photos, None)[0], photos)


def unseen(photos: FeatureSet, folds: np.ndarray, fitter: HeadFitter = LDA) -> OutOfFold:
    return out_of_fold(photos, collect_statistics(photos, None, folds), folds, fitter, None, breeds(photos))


def unlisted(photos: FeatureSet) -> HeldOutBreeds:
    (total,), everyone = collect_statistics(photos, None), np.ones(len(photos), bool)
    return held_out_breeds(photos, total, None, breeds(photos), groups=4, seed=0, asked=everyone, learned=everyone)


def test_assign_folds_is_stratified_and_deals_evenly():
    folds = assign_folds(sample(unlabeled=30).labels, folds=5, seed=1)
    assert np.ptp(np.bincount(folds)) <= 1
    leaf = sample(unlabeled=30).labels.leaf
    for c in range(8):
        assert np.ptp(np.bincount(folds[leaf == c], minlength=5)) <= 1


def test_assign_folds_deals_the_only_photos_of_their_leaves_out_where_no_heads_are_fitted():
    names = tuple(f"dog/{letter}" for letter in "abcdefg")
    labels = Labels(np.zeros(7, int), np.arange(7), ("dog",), names)
    assert assign_folds(labels, folds=5, seed=0).tolist() == [5] * 7
    assert sorted(np.bincount(assign_folds(labels, folds=5, seed=0, single=True)).tolist()) == [1, 1, 1, 2, 2]


@pytest.mark.parametrize("spec", [HeadSpec(), HeadSpec(kind="logistic")], ids=str)
def test_out_of_fold_logits_are_of_heads_that_did_not_see_the_photo(spec):
    photos = sample(unlabeled=20)
    folds = assign_folds(photos.labels, folds=4, seed=0)
    rows, species, leaf, evidence, _ = unseen(photos, folds, HeadFitter(spec))
    np.testing.assert_array_equal(rows, np.arange(len(photos)))
    fit = fitted(photos.where(folds != 2), HeadFitter(spec))
    expected = fit.heads(photos.features[folds == 2])
    np.testing.assert_allclose(species[folds == 2], expected[0], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(leaf[folds == 2], expected[1], rtol=1e-4, atol=1e-4)
    again = fit.ood_scorer.evidence(photos.features[folds == 2])
    for found, wanted in zip(evidence.where(folds == 2), again, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-3)


def test_features_in_a_file_give_what_those_in_memory_give(monkeypatch):
    monkeypatch.setattr("hierpets.training.features.feature_set.BATCH", 100)
    photos = sample(unlabeled=20)
    stored = StoredRows(D)
    for chunk in np.array_split(photos.features, 7):
        stored.append(chunk)
    filed = replace(photos, features=stored, views=stored)
    folds = assign_folds(photos.labels, folds=4, seed=0)
    assert_same(unseen(photos, folds), unseen(filed, folds), 0)
    assert len(list(photos.batches())) == 4


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
    folds = assign_folds(noise.labels, folds=5, seed=0)
    heads = FoldHeads.fit(noise, collect_statistics(noise, None, folds), folds, HeadFitter(HeadSpec()))
    assert heads.ask(noise).score().breed < 0.25


def test_the_only_photo_of_a_class_costs_no_fold():
    photos = sample()
    keep = np.ones(len(photos.labels), dtype=bool)
    keep[np.flatnonzero(photos.labels.leaf == 4)[1:]] = False
    few = photos.where(keep)
    folds = assign_folds(few.labels, folds=5, seed=0)
    assert np.ptp(np.bincount(folds)[:5]) <= 1
    np.testing.assert_array_equal(folds == 5, few.labels.leaf == 4)
    np.testing.assert_array_equal(unseen(few, folds).rows, np.flatnonzero(few.labels.leaf != 4))


def test_fit_frozen_judges_every_fold_where_classes_have_a_single_photo():
    photos = sample()
    keep = np.ones(len(photos.labels), dtype=bool)
    for leaf in (1, 4):
        keep[np.flatnonzero(photos.labels.leaf == leaf)[1:]] = False
    few = photos.where(keep)
    found = fit_frozen(few, LDA, None, folds=5, seed=0)
    assert found.fit.heads.leaf.weight.shape[0] == len(few.taxonomy.leaves)
    assert sorted(found.out_of_fold.rows) == np.flatnonzero(~np.isin(few.labels.leaf, (1, 4))).tolist()


@pytest.mark.parametrize("tuned", [False, True])
def test_fit_frozen_asks_some_photos_and_learns_from_all(monkeypatch, tuned):
    photos = sample(unlabeled=20)
    folds = assign_folds(photos.labels, folds=4, seed=0)
    how = {"folds": 4, "seed": 0, "tuned": tuned_on_others(photos, folds, noise=0.1) if tuned else ()}
    whole = fit_frozen(photos, LDA, None, **how)
    monkeypatch.setattr("hierpets.training.frozen.fit.MAX_HELD_OUT", 80)
    monkeypatch.setattr("hierpets.training.frozen.fit.MIN_HELD_OUT_OF_SPECIES", 20)
    drawn = fit_frozen(photos, LDA, None, **how)
    np.testing.assert_array_equal(drawn.fit.heads.leaf.weight, whole.fit.heads.leaf.weight)
    rows = drawn.out_of_fold.rows
    assert np.bincount(photos.labels.species[rows]).tolist() == [30, 40, 20]  # of 120, 160 and 40: a quarter, but 20
    for name in ("species", "leaf"):
        some, all_of_them = (getattr(found.out_of_fold, name) for found in (drawn, whole))
        np.testing.assert_allclose(some, all_of_them[rows], rtol=1e-4, atol=1e-4)
    held_out = drawn.held_out_breeds
    assert set(held_out.rows) == {*rows} & {*whole.held_out_breeds.rows}
    order = np.argsort(whole.held_out_breeds.rows)
    places = order[np.searchsorted(whole.held_out_breeds.rows, held_out.rows, sorter=order)]
    for some, all_of_them in zip(held_out.unlisted, whole.held_out_breeds.unlisted, strict=True):
        np.testing.assert_allclose(some, all_of_them[torch.from_numpy(places)], rtol=1e-3, atol=1e-3)
    mixing = fit_mixing(drawn, photos.labels, TAXONOMY, None, pretrained_breeds=False)
    np.testing.assert_array_equal(mixing.by_population.trained.rows, rows)
    assert {*mixing.by_population.unlisted.rows} == {*held_out.rows}


def assert_same(one: OutOfFold, other: OutOfFold, tolerance: float) -> None:
    for a, b in zip((*one[:3], *one.evidence), (*other[:3], *other.evidence), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    ("tree", "held_out"),
    [
        ({"cat": ("a", "b", "c"), "dog": ("d", "e"), "rabbit": ()}, {0, 1, 2}),
        ({"cat": ("a", "b"), "dog": ("d", "e"), "rabbit": ()}, {0, 1, 2, 3}),
        ({"cat": ("a", "b"), "dog": ("d",)}, {0, 1}),
        ({"cat": ("a",), "dog": ("d",)}, set()),
    ],
)
def test_species_of_two_breeds_hold_one_out_where_none_has_more(tree, held_out):
    taxonomy = Taxonomy(tree=tree)
    photos = feature_set(*blobs([20] * len(taxonomy.leaves)), taxonomy)
    found = unlisted(photos)
    assert {*photos.labels.leaf[found.rows].tolist()} == held_out
    leads = found.unlisted.breed[np.arange(len(found.rows)), photos.labels.species[found.rows], 0]
    assert bool(leads.any()) == (len(held_out) == 3)  # a single breed that is left leads nothing


def test_held_out_breeds_score_lower_than_known_ones():
    photos = sample(spread=3.0)
    known = unseen(photos, assign_folds(photos.labels, folds=4, seed=0)).evidence.pet[:, 0]
    unknown = unlisted(photos)
    with_breeds = photos.labels.species < 2  # rabbit has no breeds to hold out
    np.testing.assert_array_equal(np.sort(unknown.rows), np.flatnonzero(with_breeds))
    assert known[with_breeds][:, 0].median() > unknown.unlisted.pet[:, 0, 0].median()


@pytest.mark.parametrize(("alpha", "strangers_named"), [(0.05, 0.75), (0.2, 0.9)])
def test_cross_predict_is_right_as_often_as_alpha_promises(alpha, strangers_named):
    """The more may be wrong, the more of the unlisted breeds are named: where one photo in five shows one."""
    photos = sample(per_leaf=150, spread=0.8)
    found = fit_frozen(photos, LDA, None, folds=5, seed=0)
    mixing = fit_mixing(found, photos.labels, TAXONOMY, None, pretrained_breeds=False)
    parts = (mixing.of_training(index_of(photos), own) for own in mixing.by_population)
    outputs, pretrained, strangers = parts
    assert pretrained is None
    calibrated = calibrate(outputs, None, strangers, taxonomy=TAXONOMY, combiner="conditional", alpha=alpha)
    trained = SimpleNamespace(pretrained=None, unlisted=strangers)
    _, decisions = cross_predict(outputs, trained, calibrated, assign_folds(photos.labels, folds=5, seed=9))
    metrics = measure(outputs, HeldOutPredictions(calibrated.joint(outputs.outputs), decisions), calibrated)
    node = metrics.selective.node
    assert node.holds_truth >= 1 - alpha - 0.02
    assert all(part.holds_truth >= 1 - alpha - 0.04 for part in node.per_species.values())
    named = [d.level == "breed" for d in calibrated.predict(strangers).decisions]
    assert np.mean(named) < strangers_named * metrics.selective.answers.breed


def test_no_photo_of_a_fold_has_a_part_in_what_calibrates_it():
    """Neither temperatures nor the gate: other outputs of a fold move those of all folds but itself."""
    photos = sample()
    found = fit_frozen(photos, LDA, None, folds=4, seed=0)
    own, unseen = found.folds == 1, found.out_of_fold
    signals = unseen.evidence.breed.clone()
    signals[torch.from_numpy(own)] += 5
    changed = unseen._replace(
        leaf=np.where(own[:, None], -unseen.leaf, unseen.leaf), evidence=unseen.evidence._replace(breed=signals)
    )
    plain, other = (
        fit_mixing(one, photos.labels, TAXONOMY, None, pretrained_breeds=False)
        for one in (found, found._replace(out_of_fold=changed))
    )
    first, second = (mixing.of_training(index_of(photos), plain.by_population.trained) for mixing in (plain, other))
    for name in ("leaf_logits", "scores"):
        before, after = getattr(first, name), getattr(second, name)
        np.testing.assert_array_equal(before[own], after[own])
        assert not np.allclose(before[~own], after[~own])


@pytest.mark.parametrize("spec", [HeadSpec(), HeadSpec(kind="logistic", c=1.0)], ids=str)
def test_a_photo_without_breed_trains_the_species_head_alone(spec):
    taxonomy = Taxonomy(tree={"cat": ("a", "b"), "dog": ("c", "d", "e")})
    whole = feature_set(*blobs([30] * 5), taxonomy, hidden=slice(None, None, 3))
    heads, labeled = heads_of(whole, spec), heads_of(whole.where(whole.labels.breed_known), spec)
    np.testing.assert_allclose(heads.leaf.weight, labeled.leaf.weight, rtol=1e-4, atol=1e-6)
    assert not np.allclose(heads.species.weight, labeled.species.weight, rtol=1e-3)


@pytest.mark.parametrize("combiner", COMBINERS)
@pytest.mark.parametrize("kind", ["lda", "logistic", "blend"])
@pytest.mark.parametrize("prior", ["uniform", "data"])
def test_heads_predict_the_prior_where_features_say_nothing(kind, combiner, prior):
    taxonomy = Taxonomy(tree={"cat": ("a", "b"), "dog": tuple("cdefghij")})
    counts = np.array([60, 20, *[10] * 8])
    leaf = np.repeat(np.arange(10), counts)
    features = np.resize(np.float32([-1, 1]), (len(leaf), 1))  # every breed has as many of either
    # Every breed weighs the same, as the sampler breed_balanced has it: 2 breeds of cats against 8 of dogs.
    blind = replace(feature_set(features, leaf, taxonomy), weights=1 / counts[leaf])
    heads = heads_of(blind, HeadSpec(kind=kind), prior=prior, combiner=combiner)
    joint = joint_probabilities(*heads(np.zeros((1, 1), np.float32)), taxonomy, combiner=combiner)[0]
    expected = {"uniform": np.repeat([1 / 4, 1 / 16], [2, 8]), "data": counts / counts.sum()}[prior]
    np.testing.assert_allclose(joint, expected, atol=1e-3)


def tuned_on_others(photos: FeatureSet, folds: np.ndarray, noise: float) -> list[FeatureSet]:
    """For each fold features of a backbone of its own: other noise in each."""
    generator = np.random.default_rng(1)
    shape = photos.features.shape
    drawn = [(photos.features + noise * generator.normal(size=shape)).astype(np.float32) for _ in np.unique(folds)]
    return [replace(photos, features=features, views=features) for features in drawn]


@pytest.mark.parametrize("spec", [HeadSpec(), HeadSpec(kind="logistic")], ids=str)
def test_out_of_fold_with_tuned_backbones_uses_the_features_of_the_one_that_did_not_see_the_fold(spec):
    photos = sample(unlabeled=20)
    folds = assign_folds(photos.labels, folds=4, seed=0)
    tuned = tuned_on_others(photos, folds, noise=0.5)
    parts, fitter = collect_statistics(photos, None, folds), HeadFitter(spec)
    plain = breeds(photos)
    found = out_of_fold(photos, parts, folds, fitter, None, plain, tuned_folds(tuned, folds, None))
    assert len(found.rows) == len(photos)
    for fold in (0, 3):
        own = tuned[fold]
        expected = fitted(own.where(folds != fold), fitter).heads(own.features[folds == fold])
        np.testing.assert_allclose(found.leaf[folds == fold], expected[1], rtol=1e-4, atol=1e-4)
    same = out_of_fold(photos, parts, folds, fitter, None, plain, tuned_folds([photos] * 4, folds, None))
    assert_same(same, out_of_fold(photos, parts, folds, fitter, None, plain), 1e-2)


def test_fit_frozen_with_tuned_backbones_serves_the_one_that_saw_all():
    photos = sample()
    folds = assign_folds(photos.labels, folds=4, seed=0)
    tuned = tuned_on_others(photos, folds, noise=3.0)
    whole, plain = (fit_frozen(photos, LDA, None, folds=4, seed=0, tuned=t) for t in (tuned, ()))
    np.testing.assert_array_equal(whole.fit.heads.leaf.weight, plain.fit.heads.leaf.weight)
    accuracy = [(r.out_of_fold.leaf.argmax(axis=1) == photos.labels.leaf).mean() for r in (whole, plain)]
    assert accuracy[0] < accuracy[1] - 0.1  # judged by the noisy backbones
    assert len(whole.held_out_breeds.rows) == len(plain.held_out_breeds.rows)
