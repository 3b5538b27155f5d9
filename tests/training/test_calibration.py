"""Scores say what a decision must exceed, and nothing that is judged was fitted to itself."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierpets.hierarchy.decision import Decision, decide
from hierpets.hierarchy.policy import MAX_SET, Policy, Thresholds
from hierpets.plugin import Labels
from hierpets.taxonomy import Taxonomy
from hierpets.training.calibration import calibrate, cross_predict, one_of_each, rounded_up, score_photos, score_rows
from hierpets.training.outputs import HeldOutOutputs

TAXONOMY = Taxonomy(tree={"cat": tuple("abcd"), "dog": tuple("efgh")})
RAGGED = Taxonomy(tree={"cat": tuple("abcde"), "dog": tuple("fghi"), "fox": ("j",), "horse": ("k", "l"), "rabbit": ()})
FOLDS = np.arange(600) % 3


def labels_of(leaf: np.ndarray, taxonomy: Taxonomy) -> Labels:
    return Labels(taxonomy.leaf_species[leaf], leaf, taxonomy.species, tuple(map(str, taxonomy.leaves)))


def holds(decision: Decision, leaf: int, taxonomy: Taxonomy) -> bool:
    """Whether an answer is the label or holds it."""
    if decision.breeds:
        return leaf in [taxonomy.leaf_index(*found) for found, _ in decision.breeds]
    truth = {"breed": leaf, "species": taxonomy.leaf_species[leaf], "unknown": -1}
    return bool(decision.node(taxonomy) == truth[decision.level])


@given(st.integers(0, 2**32 - 1), st.booleans(), st.integers(1, MAX_SET))
def test_an_answer_is_wrong_where_a_score_exceeds_its_threshold_and_only_there(seed, at_score, max_set):
    tree, generator = RAGGED, np.random.default_rng(seed)
    policy = Policy(pet=0.2, scores={"unlisted": {tree.species[0]: ((0.0,) * MAX_SET,)}})
    joint = generator.dirichlet(np.full(len(tree.leaves), 0.3), size=40)
    leaf = generator.integers(len(tree.leaves), size=len(joint))
    listed = generator.random((len(joint), 1 + len(tree.species)))
    listed[:, 0] = generator.uniform(-6, 2, size=len(joint))  # also of those that are pets if their breed is sure
    listed[0, 0] = policy.pet  # the least that is a pet
    scores = score_photos(policy, joint, listed, labels_of(leaf, tree), tree, policy.knows_others(tree.species))
    # A threshold is the score of a photo, which is passed over with it.
    alone, sets = scores[0, [0, max_set - 1]].tolist() if at_score else generator.random(2).tolist()
    thresholds = Thresholds(0.05, alone, max(alone, sets), policy.pet)
    every = dict.fromkeys(tree.species, thresholds)
    decisions = decide(joint, tree, policy, scores=listed, max_set=max_set, thresholds=every)
    for decision, truth, own in zip(decisions, leaf.tolist(), scores, strict=True):
        of_set = own[max_set - 1] if max_set > 1 else 0.0
        right = holds(decision, truth, tree)
        assert right or own[0] > thresholds.probability or of_set > thresholds.breed_set
        # The most probable leaf of all may be of another species than the most probable one: then no breed is named.
        if right and decision.top[0][0].species == decision.species:
            assert own[0] <= thresholds.probability


def outputs(seed: int, *, hidden: bool = False) -> HeldOutOutputs:
    """Logits that err now and then; with their breed ``hidden``, always."""
    generator = np.random.default_rng(seed)
    leaf = np.random.default_rng(0).integers(8, size=600)
    logits = 3 * np.eye(8)[leaf] + generator.normal(size=(600, 8))
    if hidden:
        logits[np.arange(600), leaf] = -1e6
    species = 4 * np.eye(2)[TAXONOMY.leaf_species[leaf]] + generator.normal(size=(600, 2))
    scores = np.concatenate([generator.normal(size=(600, 1)), generator.random((600, 2))], axis=1)
    return HeldOutOutputs(tuple(map(str, range(600))), labels_of(leaf, TAXONOMY), species, logits, scores)


def judged(unlisted: HeldOutOutputs, known: HeldOutOutputs | None = None) -> list[Decision]:
    known, trained = known or outputs(1), SimpleNamespace(pretrained=None, unlisted=unlisted)
    how = {"taxonomy": TAXONOMY, "combiner": "conditional", "alpha": 0.1}
    return cross_predict(known, trained, calibrate(known, None, unlisted, **how), FOLDS).decisions


def test_a_photo_is_not_judged_by_what_it_gave_when_its_breed_was_held_out():
    plain = outputs(2, hidden=True)
    own = FOLDS == 1
    certain = replace(plain, leaf_logits=np.where(own[:, None], 50 * plain.leaf_logits, plain.leaf_logits))
    first, second = judged(plain), judged(certain)
    assert [first[row] for row in np.flatnonzero(own)] == [second[row] for row in np.flatnonzero(own)]
    assert [first[row].thresholds for row in np.flatnonzero(~own)] != [
        second[row].thresholds for row in np.flatnonzero(~own)
    ]


def test_a_photo_is_judged_by_thresholds_of_the_other_folds():
    unlisted, known = outputs(2, hidden=True), outputs(1)
    wrong = replace(known, leaf_logits=np.where((FOLDS == 1)[:, None], -9 * known.leaf_logits, known.leaf_logits))
    first, second = judged(unlisted), judged(unlisted, wrong)
    for fold in range(3):
        thresholds = [
            {d.species: d.thresholds for d, f in zip(one, FOLDS, strict=True) if f == fold} for one in (first, second)
        ]
        assert (thresholds[0] == thresholds[1]) == (fold == 1)


def test_photos_whose_breeds_are_all_of_one_fold_leave_the_others_without():
    few = outputs(2, hidden=True).where(np.flatnonzero(FOLDS == 1)[:30])
    assert len(judged(few)) == 600


def test_thresholds_are_set_by_a_photo_of_each_animal():
    """Ten photos of one animal, nearly the same, are one witness of how often new animals are answered wrongly."""
    known = outputs(1)
    animals = replace(known.labels, groups=np.arange(600) // 10)
    how = {"taxonomy": TAXONOMY, "combiner": "conditional", "alpha": 0.1}
    plain, grouped = (calibrate(replace(known, labels=own), None, None, **how) for own in (known.labels, animals))
    assert sum(map(len, plain.policy.of("trained").values())) == 600
    assert sum(map(len, grouped.policy.of("trained").values())) == 60
    assert grouped.temperatures == plain.temperatures  # which all photos may fit
    rows = one_of_each(animals)
    assert np.array_equal(animals.groups[rows], np.arange(60))
    assert len(set(rows % 10)) > 5  # not always the first


def test_new_animals_are_wrong_no_more_often_than_promised():
    """Twelve animals of ten photos each, which share nine tenths of their noise; 150 calibrations, 20 new animals."""
    generator, wrong = np.random.default_rng(0), []

    def photos(animals: int) -> HeldOutOutputs:
        groups = np.repeat(np.arange(animals), 10)
        leaf = generator.integers(8, size=animals)[groups]
        shared, own = generator.normal(size=(animals, 8))[groups], generator.normal(size=(len(groups), 8))
        logits = 2 * np.eye(8)[leaf] + 1.5 * (0.95 * shared + 0.31 * own)
        labels = replace(labels_of(leaf, TAXONOMY), groups=groups)
        names = tuple(map(str, range(len(groups))))
        return HeldOutOutputs(names, labels, 50 * np.eye(2)[labels.species], logits, np.ones((len(groups), 3)))

    for _ in range(150):
        found = calibrate(photos(12), None, None, taxonomy=TAXONOMY, combiner="conditional", alpha=0.2)
        new = photos(20)
        decisions = found.predict(new).decisions
        wrong += [not holds(one, leaf, TAXONOMY) for one, leaf in zip(decisions, new.labels.leaf.tolist(), strict=True)]
    assert 0.1 < np.mean(wrong) < 0.2  # 0.22 where each photo counts


def test_scores_are_never_rounded_to_less():
    scores = np.array([[0.1234561, 0.9999991, 1.0], [0.0, 0.5, 0.9999999]])
    kept = np.array(score_rows(scores))
    assert (kept >= scores[np.argsort(scores[:, 0])]).all()
    assert kept.max() == 1.0
    assert np.abs(kept - scores[np.argsort(scores[:, 0])]).max() <= 1e-6


def test_scores_that_are_kept_already_stay_as_they_are():
    kept = np.arange(1_000_001) / 1e6
    assert (rounded_up(kept) == kept).all()


def test_a_photo_that_was_certain_and_wrong_asks_for_all_and_no_more():
    """Else its breed, which is never to be named, would still be left open beside another."""
    sums = 1 + np.finfo(float).eps * np.arange(5)
    assert (rounded_up(sums) == 1.0).all()
    policy = Policy(leaves={"dog/e": tuple(rounded_up(np.repeat(sums[-1], 40)).tolist())})
    joint = np.array([[0.0, 0.0, 0.0, 0.0, 0.7, 0.3, 0.0, 0.0]])
    (decision,) = decide(joint, TAXONOMY, policy)
    assert (decision.level, decision.breeds) == ("species", ())


def test_the_pet_threshold_keeps_most_photos_of_breeds_that_were_held_out():
    unlisted = outputs(2, hidden=True)
    found = calibrate(outputs(1), None, unlisted, taxonomy=TAXONOMY, combiner="conditional", alpha=0.1)
    assert (unlisted.scores[:, 0] >= found.policy.pet).mean() == pytest.approx(0.95, abs=0.005)


def test_the_pet_threshold_keeps_nearly_all_photos_where_nothing_has_breeds():
    """Photos of every kind of a species are known then; where breeds cannot be held out, the threshold guards them."""
    plain = Taxonomy(tree={"cat": (), "dog": ()})
    known = outputs(1)
    species = known.labels.species
    alone = replace(known, labels=labels_of(species, plain), leaf_logits=np.zeros((600, 2)))
    for given_, tree, kept in ((alone, plain, 0.99), (known, TAXONOMY, 0.95)):
        found = calibrate(given_, None, None, taxonomy=tree, combiner="conditional", alpha=0.1)
        assert (given_.scores[:, 0] >= found.policy.pet).mean() == pytest.approx(kept, abs=0.002)


def of_species(species: np.ndarray, logits: np.ndarray) -> HeldOutOutputs:
    """Photos of which the species alone is told."""
    leaf, paths = 4 * species, tuple(f"{row}.jpg" for row in range(len(species)))
    flat = np.zeros((len(species), len(TAXONOMY.leaves)))
    return HeldOutOutputs(paths, labels_of(leaf, TAXONOMY), logits, flat, np.ones((len(species), 3)))


def test_a_species_head_that_is_wrong_about_other_breeds_is_less_certain_of_all():
    """However right it is about those that it saw: one photo in five is expected to show another."""
    truth = np.arange(400) % 2
    sure = 50.0 * np.eye(2)
    known, others = of_species(truth, sure[truth]), of_species(truth, sure[np.arange(400) // 2 % 2])
    assert known.temperatures(TAXONOMY).species < 5
    both = known.temperatures(TAXONOMY, others)
    certain = 1 / (1 + np.exp(-50 / both.species))
    assert certain == pytest.approx(0.9, abs=0.01), "all of four fifths are right, and half of the others"
    assert known.temperatures(TAXONOMY, others.where(np.zeros(400, bool))) == known.temperatures(TAXONOMY)
    assert replace(known, species_calibrated=True).temperatures(TAXONOMY, others).species == 1.0
