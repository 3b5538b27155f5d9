"""Thresholds of a bundle that has learned a new species."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hierpets.growing.calibration import grow_policy, grow_temperatures, lacking_pet_score
from hierpets.growing.leave_one_out import LeaveOneOutLogits, LeaveOneOutPredictions
from hierpets.hierarchy.calibration import Temperatures
from hierpets.hierarchy.policy import MAX_SET, Policy
from hierpets.model.ood import Evidence
from hierpets.plugin import Labels
from hierpets.taxonomy import Leaf, Taxonomy

TREE = Taxonomy(tree={"cat": ("birman", "siamese"), "rabbit": ()})
RABBIT = Leaf("rabbit", None)
CATS, HORSES = ("birman", "siamese"), ("arabian", "friesian")


def logits_of(photos: int, wrong: int, lead: float) -> LeaveOneOutLogits:
    """Photos of two breeds of horses, whose logits lead by so much, some to the wrong side."""
    tree = Taxonomy(tree={"cat": CATS, "horse": HORSES})
    breed = np.arange(photos) % 2
    answer = np.where(np.arange(photos) < wrong, 1 - breed, breed)
    leaf = np.hstack([np.zeros((photos, 2)), lead * np.eye(2)[answer]])
    labels = Labels(np.ones(photos, int), 2 + breed, tree.species, tuple(map(str, tree.leaves)))
    return LeaveOneOutLogits(
        np.arange(photos), np.zeros((photos, 2)), leaf, Evidence(*[torch.zeros(photos, 0)] * 4), labels
    )


def rabbits(pet: np.ndarray, cats: int = 0) -> LeaveOneOutPredictions:
    """Photos of rabbits of these pet scores [N], the last of which are taken for cats."""
    n = len(pet)
    labels = Labels(np.ones(n, int), np.full(n, 2), TREE.species, tuple(map(str, TREE.leaves)))
    joint = np.where(np.arange(n)[:, None] < n - cats, [0.0, 0.0, 1.0], [1.0, 0.0, 0.0])
    return LeaveOneOutPredictions(np.arange(n), joint, np.stack([pet, *np.ones((2, n))], axis=1), labels, (RABBIT,) * n)


@pytest.mark.parametrize(("least", "lacking"), [(0.5, 0.45), (-3.0, 0.0), (None, 0.0)])
def test_one_in_twenty_photos_of_a_grown_species_may_count_as_no_pet(least, lacking):
    predictions = rabbits(np.linspace(0, 1, 101))
    assert lacking_pet_score(Policy(pet=least), predictions, {"rabbit"}, TREE) == pytest.approx([0.0, lacking])
    assert lacking_pet_score(Policy(pet=least), predictions, set(), TREE).tolist() == [0.0, 0.0]


def test_photos_that_are_taken_for_another_species_make_nothing_a_pet():
    """They are judged by what is known of that one, and may look as little like a pet as anything."""
    predictions = rabbits(np.array([0.0, 1.0, -50.0, -60.0]), cats=2)
    assert lacking_pet_score(Policy(pet=0.5), predictions, {"rabbit"}, TREE) == pytest.approx([0.0, 0.45])
    none = rabbits(np.array([-50.0, -60.0]), cats=2)
    assert lacking_pet_score(Policy(pet=0.5), none, {"rabbit"}, TREE).tolist() == [0.0, 0.0]


def test_the_threshold_of_pets_stays():
    known = Policy(pet=0.5, scores={"trained": {"cat": ((0.0,) * MAX_SET,) * 30}})
    assert grow_policy(known, rabbits(np.linspace(0, 1, 101)), {RABBIT}, TREE).pet == 0.5


@pytest.mark.parametrize("horses", [("arabian",), ()], ids=["of one breed before", "unknown before"])
@pytest.mark.parametrize("photos", [20, 100])
def test_a_species_gets_its_temperature_when_it_has_two_breeds(horses, photos):
    """As many photos are wrong as a lead of 2 would say; that of one breed alone was 1, and meant nothing."""
    known = Taxonomy(tree={"cat": CATS, **({"horse": horses} if horses else {})})
    before = Temperatures(species=3.0, breeds={"cat": 20.0, "horse": 1.0})
    logits = logits_of(photos, wrong=round(photos / (1 + np.exp(2))), lead=80.0)
    found = grow_temperatures(before, known, logits, Taxonomy(tree={"cat": CATS, "horse": HORSES}))
    assert (found.species, found.breeds["cat"]) == (3.0, 20.0)
    assert found.breeds["horse"] == pytest.approx(40.0, rel=0.2)


def test_few_photos_get_the_mean_temperature_of_species_that_have_two_breeds():
    tree = Taxonomy(tree={"cat": CATS, "dog": ("beagle", "pug"), "horse": HORSES, "rabbit": ()})
    known = Taxonomy(tree={"cat": CATS, "dog": ("beagle", "pug"), "rabbit": ()})
    before = Temperatures(breeds={"cat": 20.0, "dog": 45.0, "rabbit": 1.0})
    logits = logits_of(2, wrong=0, lead=300.0)
    logits = replace(
        logits,
        leaf=np.pad(logits.leaf, ((0, 0), (2, 1))),
        labels=replace(logits.labels, species=np.full(2, 2), leaf=np.array([4, 5])),
    )
    assert grow_temperatures(before, known, logits, tree).breeds["horse"] == pytest.approx(30.0, rel=0.15)
    grown = Temperatures(breeds=before.breeds | {"horse": 33.0})
    assert grow_temperatures(grown, tree, logits, tree).breeds == {"cat": 20.0, "dog": 45.0, "horse": 33.0}
