"""When an early network answers, and that the whole is calibrated as it will be served."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.fakes import TAXONOMY
from torch import nn

from hierpets.bundle.manifest import BackboneSpec
from hierpets.config import HeadSpec
from hierpets.errors import ConfigError
from hierpets.hierarchy.calibration import Temperatures
from hierpets.hierarchy.probabilities import joint_probabilities
from hierpets.model.network import HierarchicalNetwork
from hierpets.plugin import Backbone, Labels, Preprocess
from hierpets.taxonomy import Taxonomy
from hierpets.training.calibration import calibrate_trained
from hierpets.training.cascade.fit import MAX_LOST, fit_cascade, fit_early_threshold
from hierpets.training.outputs import HeldOutOutputs
from hierpets.training.trained import Trained

SPEC = BackboneSpec(name="none", feature_dim=4)


def outputs(photos, *, noise, scale, seed):
    """Logits of a network that sees every label through so much noise, and exaggerates by ``scale``."""
    labels = np.random.default_rng(0).integers(0, len(TAXONOMY.leaves), photos)
    generator = np.random.default_rng(seed)
    leaf = np.eye(len(TAXONOMY.leaves))[labels] * 4 + generator.normal(size=(photos, 6)) * noise
    species = np.eye(3)[TAXONOMY.leaf_species[labels]] * 6 + generator.normal(size=(photos, 3)) * noise
    return HeldOutOutputs(
        paths=tuple(f"{row}.jpg" for row in range(photos)),
        labels=Labels(TAXONOMY.leaf_species[labels], labels, TAXONOMY.species, tuple(map(str, TAXONOMY.leaves))),
        species_logits=(species * scale).astype(np.float32),
        leaf_logits=(leaf * scale).astype(np.float32),
        scores=np.hstack([generator.normal(size=(photos, 1)), np.ones((photos, 3))]).astype(np.float32),
    )


def trained(held_out):
    return Trained(
        network=HierarchicalNetwork(nn.Identity(), 4, TAXONOMY),
        backbone=Backbone(nn.Identity(), feature_dim=4, preprocess=Preprocess(size=32)),
        spec=SPEC,
        head=HeadSpec(),
        held_out={"cross_validation": held_out},
        pretrained=None,
        unlisted=None,
        temperatures=Temperatures(),
        origins=("trained",) * 6,
        summary="made up",
    )


def calibrated(found, temperatures):
    logits = temperatures.apply(found.species_logits, found.leaf_logits, TAXONOMY)
    return joint_probabilities(*logits, TAXONOMY)


@pytest.fixture(scope="module")
def early():
    return trained(outputs(4000, noise=1.9, scale=5.0, seed=1))


@pytest.fixture(scope="module")
def main():
    return trained(outputs(4000, noise=1.3, scale=0.4, seed=2))


@pytest.fixture(scope="module")
def whole(early, main):
    return fit_cascade([early], main, combiner="conditional")


@pytest.mark.parametrize(
    ("right", "main_right", "expected"),
    [
        ("++++++", "++++++", 0.0),
        ("++++--", "++++++", 0.5),
        ("------", "++++++", 0.9),
        ("+++-+-", "+-+++-", 0.0),  # what is lost was won before
        ("++----", "++--++", 0.5),  # both wrong costs nothing
    ],
)
def test_fit_gate_is_the_least_that_loses_nothing_against_the_main_network(right, main_right, expected):
    certain = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    wins = [np.array([sign == "+" for sign in signs]) for signs in (right, main_right)]
    order = np.random.default_rng(0).permutation(6)
    assert fit_early_threshold(certain[order], *(won[order] for won in wins)) == expected


def test_fit_gate_lets_one_photo_in_a_thousand_go():
    certain, main_right = np.linspace(1, 0, 2000), np.ones(2000, dtype=bool)
    right = main_right.copy()
    right[[100, 200, 300]] = False
    assert fit_early_threshold(certain, right, main_right) == certain[300]


def test_photos_that_are_as_certain_as_the_one_too_many_do_not_pass():
    certain = np.array([0.9, 0.6, 0.6, 0.6, 0.2])
    threshold = fit_early_threshold(certain, np.array([1, 1, 0, 1, 1], bool), np.ones(5, bool))
    assert (certain > threshold).tolist() == [True, False, False, False, False]


def test_fit_cascade_takes_each_photo_from_the_first_network_that_is_sure(early, main, whole):
    (spec,) = (one.spec for one in whole.early)
    found, alone = whole.held_out["cross_validation"], main.held_out["cross_validation"]
    own = calibrated(early.held_out["cross_validation"], spec.temperatures)
    sure = own.max(axis=1) > spec.threshold
    assert 0.3 < sure.mean() < 0.95
    assert spec.share == pytest.approx(sure.mean())
    np.testing.assert_array_equal(found.by_main, ~sure)
    np.testing.assert_array_equal(found.leaf_logits[~sure], alone.leaf_logits[~sure])
    np.testing.assert_array_equal(found.scores[sure], early.held_out["cross_validation"].scores[sure])
    joint = calibrated(found, found.temperatures(TAXONOMY))
    np.testing.assert_allclose(joint[sure], own[sure], atol=1e-5)


def test_the_whole_loses_no_more_than_it_may(main, whole):
    found, alone = whole.held_out["cross_validation"], main.held_out["cross_validation"]
    right, main_right = (
        (calibrated(part, part.temperatures(TAXONOMY)).argmax(axis=1) == part.labels.leaf).mean()
        for part in (found, alone)
    )
    assert right >= main_right - MAX_LOST


def test_the_temperatures_of_the_main_network_are_those_of_the_photos_that_reach_it(main, whole):
    found = whole.held_out["cross_validation"]
    reached = main.held_out["cross_validation"].where(found.by_main)
    assert found.temperatures(TAXONOMY) == reached.temperatures(TAXONOMY)


def test_the_promise_is_kept_by_the_whole(whole):
    """Calibrated on half of the photos, the whole errs on at most 5% of the other half."""
    found = whole.held_out["cross_validation"]
    first = np.arange(len(found)) < len(found) // 2
    rule = calibrate_trained(
        replace(whole, held_out={"cross_validation": found.where(first)}), combiner="conditional", alpha=0.05
    )
    rest = found.where(~first)
    decisions = rule.predict(rest).decisions
    truth = {"breed": rest.labels.leaf, "species": rest.labels.species}
    wrong = [
        decision.level != "unknown" and decision.node(TAXONOMY) != truth[decision.level][row]
        for row, decision in enumerate(decisions)
    ]
    named = np.mean([decision.level == "breed" for decision in decisions])
    assert np.mean(wrong) < 0.06
    assert named > 0.5


def test_the_networks_may_have_seen_the_photos_in_another_order(early, main, whole):
    shuffled = early.held_out["cross_validation"].where(np.random.default_rng(3).permutation(4000))
    again = fit_cascade(
        [replace(early, held_out={"cross_validation": shuffled})], main, combiner="conditional"
    ).held_out["cross_validation"]
    np.testing.assert_array_equal(again.leaf_logits, whole.held_out["cross_validation"].leaf_logits)


@pytest.mark.parametrize("group", ["pretrained", "unlisted"])
def test_photos_of_breeds_that_were_held_out_go_the_same_way(early, main, group):
    """Their breed is out of the question for both networks, and so it is for the whole."""
    rows = np.arange(0, 4000, 7)

    def without_own_breed(one):
        part = one.held_out["cross_validation"].where(rows)
        part.leaf_logits[np.arange(len(rows)), part.labels.leaf] = -1e6
        return replace(one, **{group: part})

    found = getattr(fit_cascade([without_own_breed(early)], without_own_breed(main), combiner="conditional"), group)
    assert 0 < found.by_main.mean() < 1
    joint = calibrated(found, Temperatures())
    several = TAXONOMY.leaf_species[found.labels.leaf] < 2  # of a species with other breeds
    assert joint[np.arange(len(rows)), found.labels.leaf][several].max() < 1e-6


def test_networks_that_know_other_breeds_from_pretraining_are_refused(early, main):
    tree = Taxonomy(tree={**TAXONOMY.tree, "horse": ()})
    other = replace(early, network=HierarchicalNetwork(nn.Identity(), 4, tree))
    with pytest.raises(ConfigError, match="early: none knows other breeds from pretraining than none"):
        fit_cascade([other], main, combiner="conditional")


def test_two_early_networks_are_asked_in_their_order(early, main):
    better = trained(outputs(4000, noise=1.6, scale=1.0, seed=5))
    whole = fit_cascade([early, better], main, combiner="conditional")
    first, second = (one.spec for one in whole.early)
    assert first.temperatures.species > 2 * second.temperatures.species
    assert 0 < second.share < 1 - first.share
    assert whole.held_out["cross_validation"].by_main.mean() == pytest.approx(1 - first.share - second.share)


def test_without_early_networks_nothing_changes(main):
    assert fit_cascade([], main, combiner="conditional") is main


def test_fit_cascade_needs_photos_that_were_held_out(early, main):
    with pytest.raises(ConfigError, match="early: too few photos to hold any out"):
        fit_cascade([early], replace(main, held_out={}), combiner="conditional")
