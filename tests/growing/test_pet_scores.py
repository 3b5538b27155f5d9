"""What is a pet after a species was grown: to what is taken for a trained species, nothing has changed."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import hierpets
from hierpets.bundle.manifest import OODSpec, read_manifest
from hierpets.growing.bundle import open_bundle
from hierpets.growing.forget import forget
from hierpets.growing.grow import grow
from hierpets.growing.learning import add_photos
from hierpets.growing.network import OpenNetwork
from hierpets.hierarchy.outputs import Outputs
from hierpets.hierarchy.probabilities import COMBINERS, most_probable_species
from hierpets.model.ood import OODScorer
from hierpets.model.pretrained_head import pretrained_profiles
from hierpets.taxonomy import Leaf

RABBIT = Leaf("rabbit", None)
PHOTOS = 600


@pytest.fixture(params=COMBINERS)
def network(request, bundle) -> OpenNetwork:
    """The network of a bundle of cats and dogs, its heads fitted for each combiner."""
    found = open_bundle(bundle).main
    changed = found.manifest.model_copy(update={"combiner": request.param})
    found = replace(found, manifest=changed)
    return found.refitted(found.statistics, found.manifest.pretrained)


def between(network: OpenNetwork, rabbit: np.ndarray) -> np.ndarray:
    """Features float32 [N, D] of photos like a few classes at once, one of them a rabbit, and more or less like any."""
    draw, known = np.random.default_rng(3), network.statistics
    shares = draw.dirichlet(np.full(len(known.labels) + 1, 0.4), size=PHOTOS)
    noise = draw.normal(size=(PHOTOS, len(rabbit))) * rabbit.std() * draw.uniform(0, 1.5, (PHOTOS, 1))
    return np.asarray(shares @ np.vstack([known.means, rabbit]) + noise, np.float32)


def grown_by(network: OpenNetwork, rabbits: np.ndarray) -> OpenNetwork:
    """The same with rabbits, of these features [N, D]."""
    profiles = pretrained_profiles(network.scorer.pretrained_head, rabbits).astype(np.float64)
    total, _ = add_photos(network.statistics, rabbits, np.zeros(len(rabbits), int), [RABBIT], profiles)
    return network.refitted(total, network.manifest.pretrained)


def asked(network: OpenNetwork, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pet scores of photos [N], and the species that they are taken for."""
    with torch.inference_mode():
        found = network.heads.forward_head(torch.from_numpy(features))
    outputs = Outputs(*(column.numpy() for column in found[1:]))
    joint = network.manifest.calibration.joint(outputs)
    species = network.manifest.taxonomy.species
    return outputs.scores[:, 0], np.array(species)[most_probable_species(joint, network.manifest.taxonomy)]


@pytest.fixture
def rabbits(network) -> np.ndarray:
    """Photos of rabbits that look somewhat like cats."""
    draw, cat = np.random.default_rng(1), network.statistics.means[0]
    way = draw.normal(size=len(cat)) * network.statistics.means.std(axis=0)
    return np.asarray(cat + way + 0.1 * draw.normal(size=(4, len(cat))) * cat.std(), np.float32)


def test_growing_a_species_makes_nothing_a_pet_of_a_trained_one(network, rabbits):
    features, after = between(network, rabbits.mean(axis=0)), grown_by(network, rabbits)
    raised = after.raised(np.full(3, 5.0))
    (before, _), (now, taken_for) = asked(network, features), asked(raised, features)
    is_rabbit = taken_for == "rabbit"
    assert 0.05 < is_rabbit.mean() < 0.95
    np.testing.assert_allclose(now[~is_rabbit], before[~is_rabbit], rtol=1e-4, atol=1e-3)
    assert (now[is_rabbit] > before[is_rabbit] + 4.9).all(), "by the evidence of rabbits, and as it was raised"


def scores_as_a_rabbit(scorer: OODScorer, shown: list[int]) -> list[float]:
    """The pet scores of photos that are taken for a rabbit, each of which shows a class of the pretrained head."""
    certain = torch.full((len(shown), scorer.spec.pretrained_classes), 1e-6)
    certain[range(len(shown)), shown] = 1.0
    leaves = torch.zeros(len(shown), scorer.spec.classes)
    rabbit = torch.tensor([0.0, 0.0, 1.0]).expand(len(shown), 3)
    return scorer.pet_score(scorer.weigh(leaves, leaves, leaves, certain).pet, rabbit).tolist()


def test_what_shows_a_trained_species_is_no_pet_of_a_grown_one(grown):
    """A dog of a breed that nothing taught may be nearer to the rabbits than to the dogs that are known."""
    scorer = open_bundle(grown.bundle).main.scorer
    trained = scorer.trained_classes.tolist()
    own = min({*scorer.species_classes.tolist()} - {*trained})
    rabbit, dog, car = scores_as_a_rabbit(scorer, [own, trained[0], 817])
    assert rabbit > dog + 5 and dog == pytest.approx(car, abs=1e-3)


def test_a_grown_species_without_a_class_of_its_own_shows_those_of_all(grown):
    scorer = open_bundle(grown.bundle).main.scorer
    scorer.shows_species.copy_(scorer.shows_trained)
    dog, car = scores_as_a_rabbit(scorer, [scorer.trained_classes.tolist()[0], 817])
    assert dog > car + 5


def test_a_species_that_is_grown_and_forgotten_leaves_nothing_behind(network, rabbits):
    after = grown_by(network, rabbits).raised(np.full(3, 5.0))
    assert after.raised_by == {"rabbit": 5.0}
    again = after.refitted(after.statistics.without(RABBIT), after.manifest.pretrained)
    assert again.scorer.spec == network.scorer.spec
    assert again.raised_by == {}
    features = between(network, rabbits.mean(axis=0))
    np.testing.assert_allclose(asked(again, features)[0], asked(network, features)[0], rtol=1e-4, atol=1e-3)


def test_a_second_species_leaves_what_the_first_was_raised_by(network, rabbits):
    after = grown_by(network, rabbits).raised(np.full(3, 5.0))
    profiles = pretrained_profiles(network.scorer.pretrained_head, rabbits + 1).astype(np.float64)
    total, _ = add_photos(after.statistics, rabbits + 1, np.zeros(4, int), [Leaf("axolotl", None)], profiles)
    both = after.refitted(total, after.manifest.pretrained)
    assert both.raised_by == {"axolotl": 0.0, "rabbit": 5.0}
    assert both.scorer.trained_classes.tolist() == network.scorer.species_classes.tolist()


def test_a_species_whose_trained_breeds_are_all_forgotten_is_a_grown_one(grown, bundle, tmp_path):
    result = forget(grown.bundle, "dog/pug", "dog/dalmatian", out=tmp_path / "out")
    after, before = open_bundle(result.bundle), open_bundle(bundle)
    assert after.manifest.grown_species == {"dog", "rabbit"}
    assert {*after.main.scorer.trained_classes.tolist()} == {*range(281, 286)}, "those of cats, of ImageNet"
    assert {*before.main.scorer.species_classes.tolist()} <= {*after.main.scorer.species_classes.tolist()}
    assert result.predictor(recommend=False).predict("demo:cat/siamese/300").error is None


def test_where_no_trained_species_is_left_every_photo_is_judged_by_all(grown, tmp_path):
    result = forget(grown.bundle, "dog", "cat/siamese", "cat/tuxedo", out=tmp_path / "out")
    assert read_manifest(result.bundle).grown_species == {"cat", "rabbit"}
    answers = result.predictor(recommend=False).predict([f"demo:rabbit/-/{n}" for n in range(300, 310)])
    assert np.isfinite([answer.pet_score for answer in answers]).all()


def test_a_bundle_of_trained_species_says_nothing_of_grown_ones(bundle, grown):
    spec, after = read_manifest(bundle).ood, read_manifest(grown.bundle).ood
    assert (spec.grown_species, spec.trained_classes) == ((), 0)
    assert (after.grown_species, after.trained_classes) == ((2,), spec.species_classes)
    assert not {"raised", "trained_classes", "shows_trained"} & open_bundle(bundle).main.scorer.state_dict().keys()


def test_a_grown_species_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"grown_species: expected numbers below 2, got \(2,\)"):
        OODSpec(classes=3, species=2, grown_species=(2,))


@pytest.mark.data
def test_one_photo_of_a_horse_makes_dogs_of_no_others(data_dir, tmp_path):
    first, *others = sorted((data_dir / "horses").glob("*/*/*.jpg"))[::6]
    (tmp_path / "new" / "horse").mkdir(parents=True)
    (tmp_path / "new" / "horse" / first.name).symlink_to(first)
    result = grow(None, tmp_path / "new", out=tmp_path / "grown")
    for was, now in zip(hierpets.load().predict(others), result.predictor().predict(others), strict=True):
        assert was.level != "unknown" or now.level == "unknown" or now.species == "horse"
