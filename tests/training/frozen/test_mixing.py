"""A pretrained head that knows breeds of which there are no photos."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from hierpets.config import HeadSpec
from hierpets.data.records import PhotoIndex, PhotoRecord
from hierpets.hierarchy.policy import ENOUGH_OTHERS
from hierpets.hierarchy.probabilities import joint_probabilities
from hierpets.model.mixture import BreedGate
from hierpets.model.network import HierarchicalNetwork
from hierpets.plugin import Labels, PretrainedBreed, PretrainedHead
from hierpets.taxonomy import Leaf, Taxonomy
from hierpets.training.calibration import calibrate
from hierpets.training.features.feature_set import FeatureSet
from hierpets.training.frozen.fit import FrozenResult, fit_frozen, judge_heads
from hierpets.training.frozen.fitter import HeadFitter
from hierpets.training.frozen.gate import GatePhotos, fit_gate, gate_sources
from hierpets.training.frozen.mixing import Mixing, fit_mixing
from hierpets.training.frozen.statistics import collect_statistics
from hierpets.training.outputs import HeldOutOutputs

D, PER_BREED = 24, 40
KNOWN = tuple(f"known_{i}" for i in range(8))  # to photos and to the pretrained head
ALONE = tuple(f"alone_{i}" for i in range(4))  # to photos alone
NEVER_SEEN = tuple(f"never_{i}" for i in range(4))  # to the pretrained head alone
TREE = Taxonomy(tree={"cat": (), "dog": tuple(sorted(KNOWN + ALONE))})
CENTERS = np.random.default_rng(0).normal(scale=1.3, size=(18, D))
PLACE = {name: i for i, name in enumerate((*KNOWN, *ALONE, *NEVER_SEEN, "nobody", "cat"))}


def features(name: str, count: int, seed: int = 1) -> np.ndarray:
    return (CENTERS[PLACE[name]] + np.random.default_rng(seed + PLACE[name]).normal(size=(count, D))).astype(np.float32)


def pretrained_head() -> PretrainedHead:
    """Nearest centers as a linear classifier: of the breeds that it knows, the cat, and of one thing that is no pet."""
    names = (*KNOWN, *NEVER_SEEN, "cat")
    head = torch.nn.Linear(D, len(names) + 1)
    with torch.no_grad():
        centers = torch.from_numpy(
            np.concatenate([CENTERS[[PLACE[n] for n in names]], -CENTERS.mean(axis=0)[None]])
        ).float()
        head.weight.copy_(0.5 * centers)
        head.bias.copy_(-0.25 * (centers**2).sum(dim=1))
    breeds = {i: (PretrainedBreed("dog", name),) for i, name in enumerate(names[:-1])}
    return PretrainedHead(head, {"dog": range(len(names) - 1), "cat": (len(names) - 1,)}, breeds)


HEAD = pretrained_head()


def training_photos() -> tuple[FeatureSet, PhotoIndex]:
    labels = [Leaf("dog", breed) for breed in TREE.tree["dog"]] + [Leaf("cat", None)]
    x = np.concatenate([features(leaf.breed or "cat", PER_BREED) for leaf in labels])
    records = tuple(PhotoRecord(f"{leaf}/{i}", leaf.species, leaf.breed) for leaf in labels for i in range(PER_BREED))
    index = PhotoIndex(TREE, records)
    return FeatureSet(x, x, index.labels(), np.ones(len(x)), TREE), index


def cross_validated(photos: FeatureSet, index: PhotoIndex) -> tuple[FrozenResult, PhotoIndex]:
    """Each photo held out in turn."""
    return fit_frozen(photos, HeadFitter(HeadSpec()), HEAD, folds=4, seed=0), index


def judged_by_others(photos: FeatureSet, index: PhotoIndex) -> tuple[FrozenResult, PhotoIndex]:
    """Half of the photos held out, as those are that a backbone was not tuned on."""
    learned = np.arange(len(photos)) % 2 == 0
    half = photos.where(learned)
    heads = HeadFitter(HeadSpec()).fit(collect_statistics(half, None)[0], half)
    found = judge_heads(photos, heads, HEAD, learned=learned, folds=4, seed=0)
    return found, replace(index, records=tuple(np.array(index.records)[~learned]))


@pytest.fixture(
    scope="module",
    params=itertools.product([True, False], [cross_validated, judged_by_others]),
    ids=lambda one: f"{'extended' if one[0] else 'plain'}, {one[1].__name__}",
)
def fitted(request) -> tuple[Mixing, HierarchicalNetwork, PhotoIndex, PhotoIndex, bool]:
    (photos, index), (extended, held_out) = training_photos(), request.param
    found, judged = held_out(photos, index)
    mixing = fit_mixing(found, photos.labels, TREE, HEAD, pretrained_breeds=extended)
    network = HierarchicalNetwork(torch.nn.Identity(), D, mixing.breeds.taxonomy, len(mixing.breeds.trained))
    network.set_heads(found.fit.heads)
    network.ood_scorer, network.mixture = found.fit.ood_scorer, mixing.mixture
    return mixing, network.eval(), index, judged, extended


def answers(mixing: Mixing, network: HierarchicalNetwork, name: str) -> tuple[list[str], np.ndarray]:
    """The most probable leaf of new photos, and the probability that their breed is listed."""
    tree = mixing.breeds.taxonomy
    with torch.inference_mode():
        output = network(torch.from_numpy(features(name, 60, seed=100)))
    joint = joint_probabilities(output.species.numpy(), output.leaf.numpy(), tree)
    return [tree.leaves[i].breed or "cat" for i in joint.argmax(axis=1)], output.scores[:, 2].numpy()


def test_breeds_of_pretraining_are_named_without_a_photo_and_others_are_not_listed(fitted):
    mixing, network, _, _, extended = fitted
    pretrained = {
        leaf.breed
        for leaf, o in zip(mixing.breeds.taxonomy.leaves, mixing.breeds.origins, strict=True)
        if o == "pretrained"
    }
    assert pretrained == (set(NEVER_SEEN) if extended else set())
    right = {name: np.mean([found == name for found in answers(mixing, network, name)[0]]) for name in (*KNOWN, *ALONE)}
    assert np.mean([right[name] for name in KNOWN]) > 0.9
    assert np.mean([right[name] for name in ALONE]) > 0.85
    listed = {name: answers(mixing, network, name)[1].mean() for name in PLACE if name != "cat"}
    seen = np.mean([listed[name] for name in (*KNOWN, *ALONE)])
    assert seen > 0.75
    assert listed["nobody"] < seen - 0.3
    if extended:
        assert np.mean([f == name for name in NEVER_SEEN for f in answers(mixing, network, name)[0]]) > 0.7
        assert np.mean([listed[name] for name in NEVER_SEEN]) > listed["nobody"] + 0.2
    else:
        assert np.mean([listed[name] for name in NEVER_SEEN]) < seen - 0.3


def test_held_out_photos_know_their_breed_only_from_pretraining(fitted):
    mixing, _, index, judged, extended = fitted
    trained, pretrained, unlisted = (mixing.of_training(index, own) for own in mixing.by_population)
    names = mixing.breeds.taxonomy.leaves
    assert sorted(trained.paths) == sorted(judged.paths)
    assert {*unlisted.paths} <= {*judged.paths}
    assert {names[leaf].breed for leaf in unlisted.labels.leaf} == {*KNOWN, *ALONE}

    def right(part: HeldOutOutputs) -> float:
        dogs = part.labels.species == 1  # the first leaf is the cat
        return float((part.leaf_logits[dogs, 1:].argmax(axis=1) + 1 == part.labels.leaf[dogs]).mean())

    assert right(trained) > 0.85
    assert right(unlisted) == 0
    if extended:
        assert {names[leaf].breed for leaf in pretrained.labels.leaf} == set(KNOWN)
        assert right(pretrained) > 0.7
    else:
        assert pretrained is None


def test_the_promise_holds_for_trained_and_for_pretrained_breeds(fitted):
    mixing, _, index, _, extended = fitted
    trained, pretrained, unlisted = (mixing.of_training(index, own) for own in mixing.by_population)
    tree = mixing.breeds.taxonomy
    calibrated = calibrate(trained, pretrained, unlisted, taxonomy=tree, combiner="conditional", alpha=0.1)
    for part in (trained, pretrained) if extended else (trained,):
        wrong = 0
        for decision, leaf in zip(calibrated.predict(part).decisions, part.labels.leaf.tolist(), strict=True):
            held = [tree.leaf_index(*found) for found, _ in decision.breeds]
            wrong += (decision.level == "breed" and decision.node(tree) != leaf) or (bool(held) and leaf not in held)
        assert wrong / len(part) <= 0.1


def gate_of(trained: GatePhotos, unlisted: GatePhotos, *, species: int) -> BreedGate:
    """Without pretrained breeds."""
    photos = (trained, trained.where(np.zeros(len(trained.species), bool)), unlisted)
    return fit_gate(photos, gate_sources(photos, species=species, extended=()))


@pytest.mark.parametrize("sizes", [(400, 400), (400, 40), (40, 400)])
def test_a_gate_that_sees_nothing_says_what_is_taken_to_be_asked(sizes):
    generator = np.random.default_rng(0)
    trained, unlisted = (GatePhotos(generator.normal(size=(n, 1, 7)), np.zeros(n, int)) for n in sizes)
    gate = gate_of(trained, unlisted, species=1)
    signals = torch.from_numpy((trained.of(0) - gate.center) / gate.scale).float()
    found = (signals @ torch.from_numpy(gate.weight[0]).T + torch.from_numpy(gate.bias[0])).softmax(dim=1)
    np.testing.assert_allclose(found.mean(dim=0), [0.8, 0.0, 0.2], atol=0.06)


def test_a_species_of_few_breeds_takes_the_gate_of_all_by_what_its_signals_say():
    """Of a second species nothing was held out, and its single breed leads nothing; of a third there are no photos."""
    generator = np.random.default_rng(0)

    def photos(counts, shift):
        signals = generator.normal(size=(sum(counts), 3, 7)) + shift
        signals[:, 1:, 0] = 0.0
        return GatePhotos(signals, np.repeat([0, 1], counts))

    trained, unlisted = photos((200, 30), 0.0), photos((200, 0), -2.0)
    gate = gate_of(trained, unlisted, species=3)
    np.testing.assert_allclose(gate.weight[1, :, 0], 0, atol=1e-6)

    def listed(signals):
        logits = (signals - gate.center) / gate.scale @ gate.weight[1].T + gate.bias[1]
        return np.exp(logits[:, :2]).sum(axis=1) / np.exp(logits).sum(axis=1)

    assert np.median(listed(trained.of(1))) > 0.9
    assert np.median(listed(unlisted.of(0) * (np.arange(7) > 0))) < 0.1
    closed = BreedGate.closed(3)
    np.testing.assert_array_equal(gate.weight[2], closed.weight[2])
    np.testing.assert_array_equal(gate.bias[2], closed.bias[2])


def test_a_gate_of_fewer_photos_is_fitted_as_that_of_all_is():
    """As where a fold is left out: else thresholds would be fitted to a gate that is not the model's."""
    generator = np.random.default_rng(0)
    trained, unlisted = (
        GatePhotos(generator.normal(size=(n, 1, 7)) + s, np.zeros(n, int))
        for n, s in ((60, 0.0), (ENOUGH_OTHERS, -2.0))
    )
    photos = (trained, trained.where(np.zeros(60, bool)), unlisted)
    sources = gate_sources(photos, species=1, extended=())
    assert sources != (None,)
    some = [part.where(np.arange(len(part.species)) % 5 > 0) for part in photos]
    assert gate_sources(some, species=1, extended=()) == (None,), "they are too few by themselves"

    def listed(gate, signals):
        logits = (signals - gate.center) / gate.scale @ gate.weight[0].T + gate.bias[0]
        return np.exp(logits[:, :2]).sum(axis=1) / np.exp(logits).sum(axis=1)

    for gate in (fit_gate(photos, sources), fit_gate(some, sources)):
        assert np.median(listed(gate, trained.of(0))) > 0.9
        assert np.median(listed(gate, unlisted.of(0))) < 0.1


def test_a_gate_leaves_out_what_says_nothing_of_breeds_that_were_held_out():
    """Of two breeds one is held out, and the other leads nothing."""
    generator = np.random.default_rng(0)
    trained, unlisted = (GatePhotos(generator.normal(size=(60, 1, 7)) + s, np.zeros(60, int)) for s in (0.0, -2.0))
    unlisted.signals[..., 0] = 0.0
    gate = gate_of(trained, unlisted, species=1)
    np.testing.assert_allclose(gate.weight[0, :, 0], 0, atol=1e-6)
    assert (gate.weight[0, 2, 1:] < -0.1).all()  # the larger, the more likely trained


def test_labels_of_photos_without_a_breed_are_left_alone():
    photos, _ = training_photos()
    hidden = photos.labels.leaf.copy()
    hidden[::7] = -1
    labels = Labels(
        photos.labels.species,
        np.where(photos.labels.species == 1, hidden, photos.labels.leaf),
        TREE.species,
        photos.labels.leaf_names,
    )
    found = fit_frozen(
        FeatureSet(photos.features, photos.features, labels, photos.weights, TREE),
        HeadFitter(HeadSpec()),
        HEAD,
        folds=4,
        seed=0,
    )
    mixing = fit_mixing(found, labels, TREE, HEAD, pretrained_breeds=True)
    assert set(NEVER_SEEN) <= {leaf.breed for leaf in mixing.breeds.taxonomy.leaves}
    assert (mixing.breeds.relabel(labels).leaf >= 0).sum() == (labels.leaf >= 0).sum()


def test_photos_of_no_stated_breed_do_not_teach_the_gate_that_theirs_is_listed():
    photos, _ = training_photos()
    others = [features(name, PER_BREED) for name in ("nobody", NEVER_SEEN[0])]
    x = np.concatenate([photos.features, *others])
    added = len(x) - len(photos)
    labels = Labels(
        np.concatenate([photos.labels.species, np.full(added, 1)]),
        np.concatenate([photos.labels.leaf, np.full(added, -1)]),
        TREE.species,
        photos.labels.leaf_names,
    )

    def listed(x: np.ndarray, labels: Labels) -> float:
        """The mean probability that photos of a breed on no list show one that is listed."""
        found = fit_frozen(
            FeatureSet(x, x, labels, np.ones(len(x)), TREE), HeadFitter(HeadSpec()), HEAD, folds=4, seed=0
        )
        mixing = fit_mixing(found, labels, TREE, HEAD, pretrained_breeds=False)
        network = HierarchicalNetwork(torch.nn.Identity(), D, mixing.breeds.taxonomy, len(mixing.breeds.trained))
        network.set_heads(found.fit.heads)
        network.ood_scorer, network.mixture = found.fit.ood_scorer, mixing.mixture
        return float(answers(mixing, network.eval(), "nobody")[1].mean())

    assert listed(x, labels) < listed(photos.features, photos.labels) + 0.05
