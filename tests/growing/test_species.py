"""What the pretrained head says of the species, where leaves are added and taken out."""

import csv

import numpy as np
import pytest

import hierpets
from hierpets.data.labeled.index import read_index
from hierpets.growing.bundle import open_bundle
from hierpets.growing.forget import forget
from hierpets.growing.learning import add_photos
from hierpets.growing.network import OpenNetwork
from hierpets.model.pretrained_head import pretrained_profiles
from hierpets.taxonomy import Leaf
from hierpets.training.frozen.species import species_margin


@pytest.fixture
def network(bundle) -> OpenNetwork:
    return open_bundle(bundle).main


def grown_by(network: OpenNetwork, label: Leaf, features: np.ndarray) -> OpenNetwork:
    """The same with photos of a label, of these features [N, D]."""
    profiles = pretrained_profiles(network.scorer.pretrained_head, features).astype(np.float64)
    total, _ = add_photos(network.statistics, features, np.zeros(len(features), int), [label], profiles)
    return network.refitted(total, network.manifest.pretrained)


def shown(network: OpenNetwork) -> dict[str, list[int]]:
    """The numbers of the classes that speak for each species."""
    rows = network.scorer.shows_each.numpy()
    return {
        name: np.flatnonzero(row).tolist() for name, row in zip(network.manifest.taxonomy.species, rows, strict=True)
    }


def said(network: OpenNetwork) -> float:
    """The weight of the species head, in units of its margin."""
    head, known = network.heads.get_heads().species, network.statistics
    return float(network.mixture.species_weights[0]) * species_margin(head, known, known.taxonomy.species)


def looking_like(network: OpenNetwork, index: int) -> np.ndarray:
    """Features float32 [8, D] that the pretrained head takes for one of its classes."""
    weight = network.scorer.pretrained_head.weight[index].detach().numpy()
    noise = np.random.default_rng(0).normal(size=(8, len(weight)))
    return np.asarray(network.statistics.means.mean(axis=0) + 20 * weight + 0.1 * noise, np.float32)


def test_a_bundle_of_breeds_hears_both_heads_on_the_species(network):
    assert network.manifest.ood.species_evidence
    assert (network.mixture.species_weights > 0).all()
    assert shown(network)["cat"] == [*range(281, 286)], "of ImageNet"
    assert shown(network)["dog"] == [*range(151, 269)], "of ImageNet"


@pytest.mark.parametrize(("label", "index"), [(Leaf("rabbit", None), 331), (Leaf("dog", "collie"), 231)])
def test_growing_keeps_what_each_head_has_to_say(network, label, index):
    after = grown_by(network, label, looking_like(network, index))
    assert said(after) == pytest.approx(said(network), rel=1e-3)
    assert after.mixture.species_weights[1] == network.mixture.species_weights[1]
    before, now = shown(network), shown(after)
    assert {name: now[name] for name in before} == before
    assert index in now[label.species]


def test_a_class_classes_by_species_one_species_alone(network):
    """Photos of ferrets that look like a collie take no class from the dogs."""
    after = grown_by(network, Leaf("ferret", None), looking_like(network, 231))
    assert 231 in shown(after)["dog"]
    assert not {*shown(after)["ferret"]} & {*range(151, 269), *range(281, 286)}


def test_a_forgotten_species_takes_its_classes_along(grown, tmp_path):
    before = open_bundle(grown.bundle).main
    after = open_bundle(forget(grown.bundle, "rabbit", out=tmp_path / "out").bundle).main
    assert shown(after) == {name: classes for name, classes in shown(before).items() if name != "rabbit"}
    assert said(after) == pytest.approx(said(before), rel=0.02)  # statistics are kept in half precision


def test_one_species_alone_needs_no_evidence(grown, tmp_path):
    result = forget(grown.bundle, "rabbit", "dog", out=tmp_path / "out")
    main = open_bundle(result.bundle).main
    assert not main.manifest.ood.species_evidence
    assert not main.mixture.species_evidence
    assert result.predictor(recommend=False).predict("demo:cat/siamese/300").species == "cat"


@pytest.mark.data
def test_dogs_of_other_breeds_are_no_cats(data_dir, tmp_path):
    """Of two breeds each, the species head alone takes a third of them for cats."""
    records = read_index(data_dir / "pets").records
    breeds = {("cat", "bengal"), ("cat", "persian"), ("dog", "pomeranian"), ("dog", "samoyed")}
    known = {breed: [r.path for r in records if (r.species, r.breed) == breed][:20] for breed in breeds}
    table = tmp_path / "pets.csv"
    with table.open("w", newline="") as file:
        rows = [(path, *breed) for breed, paths in sorted(known.items()) for path in paths]
        csv.writer(file).writerows([("path", "species", "breed"), *rows])
    result = hierpets.train(table, recipe="heads", backbone="efficientnet_lite0", out=tmp_path / "run", quantize=False)
    others = [r for r in records if (r.species, r.breed) not in breeds]
    for species in ("cat", "dog"):
        asked = [r.path for r in others if r.species == species][::10]
        answers = result.predictor(recommend=False).predict(asked)
        wrong = [one for one in answers if one.level != "unknown" and one.species != species]
        assert len(asked) > 60 and len(wrong) <= 0.05 * len(asked)
