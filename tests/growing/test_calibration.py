"""Thresholds of a bundle that has learned a new species."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hierpets.growing.calibration import grow_policy, grow_temperatures
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
        np.arange(photos), np.zeros((photos, 2)), leaf, Evidence(*[torch.zeros(photos, 0)] * 3), labels
    )


def rabbits(photos: int) -> LeaveOneOutPredictions:
    """Photos of rabbits that are taken for one, with scores from 0 to 1."""
    labels = Labels(np.ones(photos, int), np.full(photos, 2), TREE.species, tuple(map(str, TREE.leaves)))
    scores = np.stack([np.linspace(0, 1, photos), *np.ones((2, photos))], axis=1)
    joint = np.tile([0.0, 0.0, 1.0], (photos, 1))
    return LeaveOneOutPredictions(np.arange(photos), joint, scores, labels, (RABBIT,) * photos)


@pytest.mark.parametrize(("before", "after"), [(0.5, 0.01), (-3.0, -3.0)])
def test_one_in_a_hundred_photos_of_a_new_species_may_count_as_no_pet(before, after):
    known = Policy(pet=before, scores={"trained": {"cat": ((0.0,) * MAX_SET,) * 30}})
    assert grow_policy(known, rabbits(101), {RABBIT}, TREE).pet == pytest.approx(after)


def test_a_new_species_of_which_no_photo_was_judged_is_as_new_in_the_next_growth():
    known = Policy(pet=0.5, scores={"trained": {"cat": ((0.0,) * MAX_SET,) * 30}})
    single = grow_policy(known, rabbits(0), {RABBIT}, TREE)
    assert (single.pet, single.of("trained")["rabbit"]) == (0.5, ())
    assert grow_policy(single, rabbits(101), set(), TREE).pet == pytest.approx(0.01)


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
