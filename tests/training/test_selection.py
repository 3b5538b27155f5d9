from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from helpers.fakes import TAXONOMY, tiny_registry
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hierpets.config import AutoConfig, BackboneChoice, FrozenChoice, HeadSpec
from hierpets.data.photos import read_photo
from hierpets.data.records import PhotoIndex, PhotoRecord, index_of
from hierpets.evaluation.stress.corruptions import SIDE, limit_shorter_side
from hierpets.model.backbone import build_backbone
from hierpets.plugin import Backbone, Preprocess
from hierpets.progress import no_progress
from hierpets.training.features.extractor import FeatureExtractor
from hierpets.training.score import Judged, Score
from hierpets.training.selection.candidates import Candidate, head_specs, multiply_adds
from hierpets.training.selection.choice import choose, describe_selection, judge_selection
from hierpets.training.selection.corrupted import BY_KIND, corrupt, extract_corrupted
from hierpets.training.selection.judgements import Judgement, Judgements
from hierpets.training.splits import Splits

EVERYONE = np.ones(400, bool)
FOLDS = np.arange(400) % 5


def judged(right: np.ndarray) -> Judged:
    return Judged(right, np.full(len(right), 1 / len(right)))


def candidate(
    right: np.ndarray, cost: int = 1, *, kind: str = "lda", view: str = "plain", corrupted: np.ndarray | None = None
) -> Candidate:
    choice = FrozenChoice(BackboneChoice(name="any"), view, HeadSpec(kind=kind))
    judgement = Judgement(Score(None, 1.0, 0.5), judged(right), None if corrupted is None else judged(corrupted))
    return Candidate(choice, judgement, cost)


def wrong_at(*rows: int) -> np.ndarray:
    right = np.ones(400, bool)
    right[list(rows)] = False
    return right


def test_a_dear_candidate_is_chosen_only_if_it_is_better_by_more_than_chance():
    cheap, dear = candidate(wrong_at(*range(20))), candidate(wrong_at(*range(1, 22)), cost=9)
    assert choose([cheap, dear], EVERYONE).candidate is cheap
    much_better = candidate(wrong_at(1), cost=9)
    chosen = choose([cheap, much_better], EVERYONE)
    assert (chosen.candidate, chosen.behind) == (much_better, 0)


def test_the_difference_that_counts_is_that_photo_by_photo():
    """Three photos more right and none more wrong say more than thirty against twenty-seven."""
    base, better = candidate(wrong_at(*range(30))), candidate(wrong_at(*range(27)), cost=2)
    assert choose([base, better], EVERYONE).candidate is better
    swapped = candidate(wrong_at(*range(100, 127)), cost=2)
    assert choose([base, swapped], EVERYONE).candidate is base


@pytest.mark.parametrize(
    ("won", "lost", "believed"), [(1, 0, False), (2, 0, True), (5, 3, False), (6, 2, True), (7, 3, True), (8, 5, False)]
)
def test_better_by_a_standard_error_is_better(won, lost, believed):
    """Of ten photos that two judge differently, the difference has a standard error of the root of ten."""
    cheap, dear = candidate(wrong_at(*range(won))), candidate(wrong_at(*range(100, 100 + lost)), cost=2)
    chosen = choose([cheap, dear], EVERYONE)
    assert (chosen.candidate is dear) == believed
    assert chosen.error == pytest.approx(0 if believed else np.sqrt(won + lost) / 400)


def test_photos_of_one_animal_count_as_one_comparison():
    """Eight photos won say much if they are of eight animals, and little if they are of one."""
    cheap, dear = candidate(wrong_at(*range(8))), candidate(wrong_at(100), cost=2)
    assert choose([cheap, dear], EVERYONE).candidate is dear
    animals = np.maximum(np.arange(400) - 7, 0)
    chosen = choose([cheap, dear], EVERYONE, animals)
    assert chosen.candidate is cheap
    assert chosen.behind == pytest.approx(7 / 400)
    assert chosen.error == pytest.approx(np.sqrt(8**2 + 1) / 400)
    narrow, wide = (
        describe_selection([cheap], choose([cheap], EVERYONE), FOLDS, groups).interval for groups in (None, animals)
    )
    assert np.ptp(wide) > np.ptp(narrow)


def test_a_backbone_without_weights_costs_nothing():
    pooling = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(3), torch.nn.Flatten())
    assert multiply_adds(Backbone(pooling, 27, Preprocess(size=32))) == 0


def test_of_equal_cost_the_simplest_head_and_view_come_first_and_then_what_did_better():
    right = wrong_at(*range(20))
    blend, flip, lda = candidate(right, kind="blend"), candidate(right, view="flip"), candidate(right)
    better = candidate(wrong_at(*range(19)))
    assert choose([blend, flip, lda], EVERYONE).candidate is lda
    assert choose([lda, better], EVERYONE).candidate is better


def test_photos_that_phones_corrupted_count_as_much_as_the_others():
    fragile = candidate(wrong_at(1), corrupted=wrong_at(*range(100)))
    sturdy = candidate(wrong_at(1, 2), cost=2, corrupted=wrong_at(*range(10)))
    assert choose([fragile, sturdy], EVERYONE).candidate is sturdy


def test_the_winner_of_a_lottery_is_not_better_on_photos_that_did_not_choose_it():
    """Two hundred candidates that guess: the best looks better than chance; nested cross-validation shows chance."""
    generator = np.random.default_rng(0)
    folds = np.arange(4000) % 5
    lottery = [candidate(generator.random(4000) < 0.5) for _ in range(200)]
    choice = choose(lottery, np.ones(4000, bool))
    said = describe_selection(lottery, choice, folds)
    assert said.accuracy > 0.515
    assert said.interval[0] < 0.5 < said.interval[1]
    assert f"{said.nested_accuracy:.1%}" in str(said) and "200" in str(said)


@settings(max_examples=50, deadline=None)
@given(arrays(bool, st.tuples(st.integers(1, 6), st.just(60))))
def test_nested_accuracy_lies_between_the_worst_and_the_best_of_each_fold(right):
    folds = np.arange(60) % 4
    found = judge_selection([candidate(row, cost=number) for number, row in enumerate(right)], folds)
    for fold in range(4):
        own = folds == fold
        assert right[:, own].sum(axis=1).min() <= found.right[own].sum() <= right[:, own].sum(axis=1).max()


def test_a_single_candidate_is_as_good_as_it_says():
    only = candidate(wrong_at(*range(40)))
    said = describe_selection([only], choose([only], EVERYONE), FOLDS)
    assert (said.accuracy, said.nested_accuracy) == pytest.approx((0.9, 0.9))
    assert said.stressed is None
    low, high = said.interval
    assert str(said) == f"balanced accuracy of 90.0% ({low:.1%} to {high:.1%}) out of fold"


def test_a_choice_says_that_its_numbers_are_those_before_fine_tuning():
    pair = [candidate(wrong_at(*range(40))), candidate(wrong_at(*range(40)))]
    said = describe_selection(pair, choose(pair, EVERYONE), FOLDS)
    tuned = said.model_copy(update={"finetuned": True})
    assert str(said).startswith("chosen among 2 with")
    assert str(tuned) == f"before fine-tuning: {said}"


def test_a_choice_without_mistakes_is_as_uncertain_as_its_photos_are_few():
    few = candidate(np.ones(20, bool))
    low, high = describe_selection([few], choose([few], np.ones(20, bool)), FOLDS[:20]).interval
    assert (low, high) == pytest.approx((0.839, 1.0), abs=0.001)


def test_accuracy_is_at_most_one_whatever_rounding_adds():
    weights = np.repeat([1 / 5 / 2, 1 / 9 / 2], [5, 9])
    assert weights.sum() > 1
    assert Judged(np.ones(14, bool), weights).accuracy == 1


class Reader:
    """In place of an extractor: what it was asked for, as features."""

    def features_of_views(self, paths, views, *, task, progress):
        assert len({id(view) for view in views}) == len(BY_KIND), "workers are sent each corruption once"
        kinds = [list(BY_KIND).index(view.keywords["kind"]) for view in views]
        return np.array([(int(path), kind) for path, kind in zip(paths, kinds, strict=True)], np.float32)


@pytest.mark.parametrize("per_class", [9, 20])
def test_every_class_meets_every_kind_of_corruption_and_features_keep_their_rows(per_class):
    leaves = [(leaf.species, leaf.breed) for leaf in TAXONOMY.leaves for _ in range(per_class)]
    order = np.random.default_rng(0).permutation(len(leaves))
    records = tuple(PhotoRecord(str(row), *leaves[i], split="train") for row, i in enumerate(order))
    index = PhotoIndex(TAXONOMY, records)
    splits = Splits(index, index, replace(index, records=()), index.labels(), np.ones(len(records)))
    found = extract_corrupted(splits, Reader(), no_progress)
    np.testing.assert_array_equal(found.features[:, 0], found.rows)
    assert sorted(found.rows) == list(range(len(records)))
    for leaf in range(len(TAXONOMY.leaves)):
        met = found.features[splits.labels.leaf[found.rows] == leaf, 1]
        assert set(met.tolist()) == set(range(len(BY_KIND)))


def test_what_is_corrupted_is_corrupted_as_in_the_stress_test(tmp_path, monkeypatch):
    monkeypatch.setenv("HIERPETS_CACHE", str(tmp_path / "cache"))
    extractor = FeatureExtractor(build_backbone(tiny_registry(tmp_path), "tiny", {})[0])
    photo = "demo:dog/pug/1"
    darker = partial(corrupt, kind="darker", amount=BY_KIND["darker"].amount, side=SIDE)
    pixels = read_photo(photo)
    assert darker(pixels).mean() < 0.7 * pixels.mean()
    np.testing.assert_array_equal(darker(pixels), BY_KIND["darker"](limit_shorter_side(pixels, SIDE)))
    assert not np.allclose(extractor.features([photo], (darker,)), extractor.features([photo]))


@pytest.mark.parametrize(
    ("name", "changed"),
    [("BY_KIND", {"darker": replace(BY_KIND["darker"], amount=-6)}), ("SIDE", 24)],
    ids=["amount", "side"],
)
def test_a_corruption_of_another_amount_takes_no_features_of_before(tmp_path, monkeypatch, name, changed):
    monkeypatch.setenv("HIERPETS_CACHE", str(tmp_path / "cache"))
    module = "hierpets.training.selection.corrupted"
    monkeypatch.setattr(f"{module}.BY_KIND", {"darker": BY_KIND["darker"]})
    extractor = FeatureExtractor(build_backbone(tiny_registry(tmp_path), "tiny", {})[0])
    index = index_of(PhotoRecord(f"demo:dog/pug/{row}", "dog", "pug", split="train") for row in range(3))
    splits = Splits(index, index, replace(index, records=()), index.labels(), np.ones(len(index)))
    before = extract_corrupted(splits, extractor, no_progress).features
    monkeypatch.setattr(f"{module}.{name}", changed)
    assert not np.allclose(before, extract_corrupted(splits, extractor, no_progress).features)


def test_head_specs_leaves_logistic_regression_out_where_photos_are_many():
    auto = AutoConfig(heads=(HeadSpec(), HeadSpec(kind="logistic"), HeadSpec(kind="blend")))
    assert len(head_specs(auto, photos=100)) == 3
    assert [spec.kind for spec in head_specs(auto, photos=100_000)] == ["lda"]
    alone = AutoConfig(heads=(HeadSpec(kind="logistic"),))
    assert head_specs(alone, photos=100_000) == [*alone.heads], "what nothing else is asked for takes minutes"


@given(
    arrays(bool, 7),
    arrays(float, 7, elements=st.floats(0, 1)),
    st.one_of(st.none(), st.floats(0, 1)),
    st.booleans(),
)
def test_judgements_gives_back_what_was_put(right, weights, breed, corrupted):
    photos = Judged(right, weights)
    stored = Judgement(Score(breed, 0.5, 0.25), photos, Judged(~right, weights[::-1]) if corrupted else None)
    with TemporaryDirectory() as folder:
        for _ in range(2):  # what another process wrote, as well
            with closing(Judgements(Path(folder) / "judgements.sqlite")) as judgements:
                judgements.put("a", stored)
                assert judgements.get("b") is None
        with closing(Judgements(Path(folder) / "judgements.sqlite")) as judgements:
            found = judgements.get("a")
    assert found.score == stored.score
    np.testing.assert_array_equal(found.plain, photos)
    assert (found.corrupted is None) == (not corrupted)
    if corrupted:
        np.testing.assert_array_equal(found.corrupted, stored.corrupted)
