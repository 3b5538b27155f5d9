"""What is held out is looked at again as a photo is when the model is used, by what was not fitted to it."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.features import blobs, feature_set

from hierpets.config import HeadSpec
from hierpets.data.records import PhotoIndex, PhotoRecord
from hierpets.hierarchy.outputs import Calibration
from hierpets.hierarchy.second_look import is_doubtful
from hierpets.taxonomy import Taxonomy
from hierpets.training.features.feature_set import FeatureSet
from hierpets.training.frozen.fit import fit_frozen
from hierpets.training.frozen.fitter import HeadFitter
from hierpets.training.frozen.looks import FrozenOutputs
from hierpets.training.frozen.mixing import Mixing, fit_mixing
from hierpets.training.outputs import fit_pet_threshold

TREE = Taxonomy(tree={"cat": ("a", "b", "c"), "dog": ("d", "e", "f", "g")})
COUNTS = [30] * 7


def index_of(leaf: np.ndarray, name: str = "") -> PhotoIndex:
    return PhotoIndex(TREE, tuple(PhotoRecord(f"{name}{i}", *TREE.leaves[k]) for i, k in enumerate(leaf)))


class Case:
    """Photos whose breeds are hard to tell, and a second look at each that shows it better."""

    def __init__(self, tuned: bool):
        generator = np.random.default_rng(3)
        x, leaf = blobs(COUNTS)
        noise = generator.normal(scale=3.0, size=x.shape)
        self.photos = feature_set((x + noise).astype(np.float32), leaf, TREE)
        self.closer = (x + noise / 4).astype(np.float32)
        own: list[FeatureSet] = []
        if tuned:
            for fold in range(4):
                shifted = self.photos.features + 0.01 * fold
                own.append(replace(self.photos, features=shifted, views=shifted))
        self.found = fit_frozen(self.photos, HeadFitter(HeadSpec()), None, folds=4, seed=0, tuned=own)
        self.mixing: Mixing = fit_mixing(self.found, self.photos.labels, TREE, None, pretrained_breeds=False)
        val, val_leaf = blobs([6] * 7)
        self.val = (val + generator.normal(scale=3.0, size=val.shape)).astype(np.float32)
        self.splits = SimpleNamespace(train=index_of(leaf), val=index_of(val_leaf, "v"))
        self.first = FrozenOutputs.at_first(self.mixing, self.splits, lambda paths: self.val)

    def again(self, features, by_fold=()) -> FrozenOutputs:
        return self.first.with_second_look(self.mixing, self.splits, features, by_fold, combiner="conditional")

    def rows(self, paths) -> np.ndarray:
        return np.array([int(path.lstrip("v")) for path in paths], int)

    def same(self, paths) -> np.ndarray:
        return (self.val if paths[0].startswith("v") else self.photos.features)[self.rows(paths)]

    def better(self, paths) -> np.ndarray:
        return (self.val if paths[0].startswith("v") else self.closer)[self.rows(paths)]


@pytest.fixture(scope="module")
def case() -> Case:
    return Case(tuned=False)


def doubtful(case: Case, part) -> np.ndarray:
    first = case.first
    pet_threshold = fit_pet_threshold(first.trained, first.unlisted, TREE)
    temperatures = first.trained.temperatures(TREE, first.unlisted)
    return is_doubtful(part.outputs, Calibration(TREE, temperatures, "conditional"), pet_threshold=pet_threshold)


def assert_same_outputs(found, expected, rows=slice(None)):
    for one, other in zip(found.outputs, expected.outputs, strict=True):
        np.testing.assert_allclose(one[rows], other[rows], rtol=1e-4, atol=1e-4)


def test_a_second_look_that_shows_the_same_changes_nothing(case):
    for found, first in zip(case.again(case.same), case.first, strict=True):
        if first is not None:
            assert found.paths == first.paths
            assert_same_outputs(found, first)


def test_photos_without_a_second_look_keep_the_first(case):
    found = case.again(lambda paths: np.zeros((len(paths), case.photos.features.shape[1]), np.float32))
    assert_same_outputs(found.trained, case.first.trained)
    assert_same_outputs(found.unlisted, case.first.unlisted)


def test_photos_that_leave_doubt_are_averaged_with_their_second_look_and_no_others(case):
    asked = []

    def better(paths):
        asked.append(sorted(case.rows(paths).tolist()) if not paths[0].startswith("v") else [])
        return case.better(paths)

    found, first = case.again(better).trained, case.first.trained
    wanted = doubtful(case, first)
    assert 0.1 < wanted.mean() < 0.9
    assert_same_outputs(found, first, ~wanted)
    # The same heads, which did not see the fold, are asked about the closer look.
    rows = np.flatnonzero(wanted)
    heads = case.found.out_of_fold.fits[int(case.found.folds[rows[0]])].heads
    species, _ = heads(case.closer[rows[:1]])
    np.testing.assert_allclose(
        found.species_logits[rows[0]], (first.species_logits[rows[0]] + species[0]) / 2, rtol=1e-4
    )
    right = [(part.leaf_logits.argmax(axis=1) == part.labels.leaf)[wanted].mean() for part in (first, found)]
    assert right[1] > right[0] + 0.05
    all_wanted = set(rows.tolist())
    assert all_wanted <= set(asked[0]), "a photo is looked at once for all populations"
    assert len([one for one in asked if one]) == 1


def test_a_breed_that_was_held_out_stays_unknown_at_the_second_look(case):
    found = case.again(case.better).unlisted
    assert (found.leaf_logits.argmax(axis=1) != found.labels.leaf).all()
    changed = np.abs(found.scores - case.first.unlisted.scores).max(axis=1) > 1e-6
    np.testing.assert_array_equal(changed, doubtful(case, case.first.unlisted))


def test_validation_photos_are_looked_at_again_too(case):
    closer = case.val[::-1].copy()
    found = case.again(lambda paths: closer[case.rows(paths)] if paths[0][0] == "v" else case.same(paths)).validation
    changed = np.abs(found.scores - case.first.validation.scores).max(axis=1) > 1e-6
    np.testing.assert_array_equal(changed, doubtful(case, case.first.validation))


def test_a_backbone_that_did_not_see_a_fold_looks_again_at_its_photos():
    case, asked = Case(tuned=True), {}

    def own(fold):
        def features(paths):
            asked[fold] = case.rows(paths)
            return case.better(paths)

        return features

    case.again(case.better, [own(fold) for fold in range(4)])
    assert sorted(asked) == [0, 1, 2, 3]
    for fold, rows in asked.items():
        assert (case.found.folds[rows] == fold).all()
