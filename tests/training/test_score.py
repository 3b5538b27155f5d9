"""What a network's logits are worth."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierpets.plugin import Labels
from hierpets.taxonomy import Taxonomy
from hierpets.training.score import LabeledLogits, Score, paired_difference

TREE = Taxonomy(tree={"cat": ("bengal", "siamese"), "dog": ("beagle", "pug")})


def certain_of(guessed, species, leaf, tree=TREE, certainty=0.97):
    """Logits that give each photo's ``guessed`` leaf this probability and the others alike the rest; and its labels."""
    joint = np.full((len(guessed), len(tree.leaves)), (1 - certainty) / (len(tree.leaves) - 1))
    joint[np.arange(len(guessed)), guessed] = certainty
    by_species = np.add.reduceat(joint, [columns.start for columns in tree.slices], axis=1)
    labels = Labels(np.array(species), np.array(leaf), tree.species, tuple(map(str, tree.leaves)))
    return LabeledLogits(np.log(by_species), np.log(joint), labels, tree, "conditional")


def test_classes_count_the_same_and_photos_of_unknown_breed_for_their_species_alone():
    """Bengals two of three, the one siamese right, the one beagle wrong but a dog, a cat of no known breed taken for a
    dog.
    """
    logits = certain_of([0, 0, 1, 1, 3, 3], species=[0, 0, 0, 0, 1, 0], leaf=[0, 0, 0, 1, 2, -1])
    score = logits.score()
    assert score.breed == score.accuracy == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert score.species == pytest.approx((4 / 5 + 1) / 2)
    cat_of_unknown_breed = 0.02
    expected = [0.97, 0.97, 0.01, 0.97, 0.01, cat_of_unknown_breed]
    assert score.nll == pytest.approx(-np.log(expected).mean())
    assert logits.judged.right.tolist() == [True, True, False, True, False, False]
    assert logits.judged.weights == pytest.approx([1 / 9] * 3 + [1 / 3] * 2 + [0])
    assert logits.judged.accuracy == pytest.approx(score.accuracy)


@pytest.mark.parametrize(("tree", "leaf"), [(TREE, [-1, -1, -1]), (Taxonomy(tree={"cat": (), "dog": ()}), [0, 0, 1])])
def test_where_no_breed_is_known_species_are_judged(tree, leaf):
    logits = certain_of([0, len(tree.leaves) - 1, len(tree.leaves) - 1], [0, 0, 1], leaf, tree)
    score = logits.score()
    assert score.breed is None
    assert score.accuracy == score.species == logits.judged.accuracy == 0.75


def test_the_better_score_is_more_accurate_and_then_likelier():
    worse, likelier, better = Score(0.8, 0.99, 0.1), Score(0.9, 0.9, 0.2), Score(0.9, 0.9, 0.3)
    assert sorted([likelier, worse, better], key=lambda score: score.rank) == [worse, better, likelier]


def test_a_label_of_no_probability_has_a_loss_all_the_same():
    labels = Labels(np.array([1]), np.array([-1]), TREE.species, tuple(map(str, TREE.leaves)))
    logits = LabeledLogits(np.array([[900.0, 0.0]]), np.zeros((1, 4)), labels, TREE, "conditional")
    assert 600 < logits.score().nll < math.inf


@given(st.lists(st.sampled_from([-1, 0, 1]), min_size=1, max_size=30))
def test_a_difference_is_clear_where_more_than_chance_explains_it(differences):
    """Of n photos that differ it is at least the root of n more won than lost: one alone is nothing."""
    found = paired_difference(np.array(differences, float))
    won, differ = sum(differences), sum(map(abs, differences))
    assert found.total == won
    assert found.error == pytest.approx(math.sqrt(differ))
    assert found.is_clear == (won > 0 and won**2 > differ)


def test_photos_of_one_animal_are_one_comparison():
    differences, animals = np.array([1.0, 1.0, 1.0, 1.0]), np.array([7, 7, 7, 7])
    assert paired_difference(differences).is_clear
    assert not paired_difference(differences, animals).is_clear
    assert paired_difference(differences, np.array([7, 9, 9, 7])) == pytest.approx((4.0, math.sqrt(8)))


def test_the_loss_of_certainty_is_no_negative_zero():
    tree, zeros = Taxonomy(tree={"cat": (), "dog": ()}), np.zeros(1, int)
    labels = Labels(zeros, zeros, tree.species, tuple(map(str, tree.leaves)))
    logits = np.array([[900.0, 0.0]])
    nll = LabeledLogits(logits, np.zeros((1, 2)), labels, tree, "conditional").score().nll
    assert nll == 0 and math.copysign(1, nll) == 1
