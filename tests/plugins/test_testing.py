"""``hierpets.plugin.testing``: what is right passes, and what is wrong is reported in one line."""

from __future__ import annotations

import itertools
import json
import re
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from hierpets.plugin import Advice, Backbone, Case, DataError, Labels, Preprocess, SourcePhoto
from hierpets.plugin.samples import SHELF, sample_cases
from hierpets.plugin.testing import check_backbone, check_reader, check_sampler, check_shampoo_rule, check_tracker
from hierpets.recommend.loading import load_catalog
from hierpets.registry.loading import bundled_registry, load_registry

REGISTRY = load_registry(bundled_registry())


@pytest.mark.parametrize("plugin", REGISTRY.of_kind("sampler"), ids=lambda plugin: plugin.name)
def test_check_sampler_passes_the_built_in_ones(plugin):
    check_sampler(plugin.load())


@pytest.mark.parametrize("plugin", REGISTRY.of_kind("shampoo_rule"), ids=lambda plugin: plugin.name)
def test_check_shampoo_rule_passes_the_built_in_ones(plugin):
    check_shampoo_rule(plugin.load())


@pytest.mark.parametrize(
    ("name", "options"),
    [
        pytest.param("efficientnet_lite0", {"size": 96}, marks=pytest.mark.slow),
        ("timm", {"model": "test_resnet", "pretrained": False, "input_size": 96}),
    ],
)
def test_check_backbone_passes_the_built_in_ones(name, options):
    check_backbone(REGISTRY.get("backbone", name).load(), **options)


def breeds_only(labels: Labels) -> np.ndarray:
    return 1.0 / np.bincount(labels.leaf)[labels.leaf]


def in_place(labels: Labels) -> np.ndarray:
    labels.leaf[labels.leaf < 0] = 0
    return np.ones(len(labels))


def ungrouped(labels: Labels) -> np.ndarray:
    return np.ones(len(labels)) / (2 if labels.groups else 1)


def no_argument() -> list[float]:
    return []


def drawn(labels: Labels) -> np.ndarray:
    return np.random.default_rng().uniform(1, 2, len(labels))


def several_breeds(labels: Labels, share: float = 0.5) -> np.ndarray:
    _, breed, counts = np.unique(labels.leaf, return_inverse=True, return_counts=True)
    return np.sqrt(len(counts) - 1) * counts[breed] ** -share


@pytest.mark.parametrize(
    ("function", "options", "words"),
    [
        (breeds_only, {}, "breeds_only (FILE:LINE), for labels of which some breeds are unknown: ValueError: "),
        (
            in_place,
            {},
            "in_place (FILE:LINE), for labels of many breeds: ValueError: assignment destination is read-only",
        ),
        (ungrouped, {}, "for labels of which some are of one individual: ValueError: The truth value of an array"),
        (drawn, {}, "drawn (FILE:LINE), for labels of many breeds: expected the same weights each time"),
        (several_breeds, {}, "for labels whose breeds are all unknown: expected finite positive weights, got 0.0"),
        (several_breeds, {"shar": 1}, "many breeds: option shar: unknown option (did you mean 'share'?); known: share"),
        (several_breeds, {"share": "x"}, "option share: expected a number, got 'x'"),
        (no_argument, {}, "cannot be called as no_argument(labels, **options)"),
    ],
)
def test_check_sampler_tells_what_is_wrong_in_one_line(function, options, words):
    with pytest.raises(AssertionError) as caught:
        check_sampler(function, **options)
    assert "\n" not in str(caught.value)
    assert words in re.sub(r"\(\S+test_testing\.py:\d+\)", "(FILE:LINE)", str(caught.value))


def test_check_sampler_tries_labels_of_ones_own():
    def cats(labels: Labels) -> np.ndarray:
        return np.ones(len(labels)) if "cat" in labels.species_names else np.zeros(len(labels))

    check_sampler(cats)
    with pytest.raises(AssertionError, match="for labels 0: expected finite positive weights"):
        check_sampler(cats, Labels(np.zeros(2, int), np.zeros(2, int), ("dog",), ("pug",)))


def likely_breed(case: Case):
    (breed,) = [breed for (_, breed), p in case.breeds.items() if p > 0.6]
    yield Advice("gentle_everyday", f"It is a {breed}.", score=0.1)


def first_offer(case: Case):
    yield Advice(next(iter(case.offers)), "It comes first.", score=0.1)


def no_reason(case: Case):
    yield Advice("gentle_everyday", "", score=case.species["dog"])


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (likely_breed, "likely_breed (FILE:LINE), for a dog of two likely breeds: ValueError: "),
        (first_offer, "for a shelf without products: RuntimeError: generator raised StopIteration"),
        (
            no_reason,
            "for a dog of a certain breed: expected Advice.reason of 'gentle_everyday' to be a sentence, got ''",
        ),
        (lambda case: None, "for a dog of a certain breed: expected an iterable of Advice, such as a list, got None"),
        (lambda case: [Advice("*", "Buy.", 1e9)], "expected Advice.score of '*' to be a number within 1,000,000 of 0"),
        (lambda case: sys.exit(3), "for a dog of a certain breed: SystemExit: 3"),
        (lambda case: [Advice("*", "Luck.", np.random.default_rng().uniform())], "expected the same advice each time"),
    ],
)
def test_check_shampoo_rule_tells_what_is_wrong_in_one_line(function, words):
    with pytest.raises(AssertionError) as caught:
        check_shampoo_rule(function)
    assert "\n" not in str(caught.value)
    assert words in re.sub(r"\(\S+test_testing\.py:\d+\)", "(FILE:LINE)", str(caught.value))


def test_check_shampoo_rule_takes_scores_of_numpy():
    check_shampoo_rule(lambda case: [Advice("*", "It is mild.", np.float32(0.5))])


def test_check_shampoo_rule_tries_cases_of_ones_own():
    def no_horses(case: Case):
        if "horse" in case.species:
            raise KeyError("horse")
        return []

    check_shampoo_rule(no_horses)
    with pytest.raises(AssertionError, match="for case 0: KeyError: 'horse'"):
        check_shampoo_rule(no_horses, Case({"horse": 1.0}, {("horse", None): 1.0}, "species", {}))


def nameless(source):
    yield SourcePhoto(source)


def elsewhere(source):
    yield SourcePhoto(f"{source}/nowhere.jpg", "cat")


def greedy(source):
    yield SourcePhoto(__file__, "cat")


def number(source):
    yield SourcePhoto(source, "3")


def split(source):
    yield SourcePhoto(source, "cat", split="holdout")


def folder(source):
    yield SourcePhoto(str(Path(source).parent), "cat")


def address(source):
    with tarfile.open(Path(source).with_name("a.tar"), "w"):
        pass
    yield SourcePhoto(str(Path(source).with_name("a.tar")) + ":nowhere.jpg", "cat")


def text(source):
    lines = Path(source).read_text(encoding="utf-8") if Path(source).is_file() else ""
    return [SourcePhoto(source, "cat")] if "own" in lines else []


def json_of_pets(source):
    if Path(source).suffix == ".json":
        json.loads(Path(source).read_text(encoding="utf-8"))["pets"]
    return [SourcePhoto(source, "cat")] if Path(source).suffix == ".kennel" else []


def any_photo(source):
    photos = [source] if Path(source).suffix == ".kennel" else Path(source).rglob("*.jpg")
    return [SourcePhoto(str(photo), "cat") for photo in photos]


def choosy(source):
    if Path(source).suffix not in (".kennel", ".txt"):
        return
    if "own" not in Path(source).read_text(encoding="utf-8"):
        raise DataError(f"{source}: expected a kennel")
    yield SourcePhoto(source, "cat")


def fickle(source):
    yield SourcePhoto(__file__, f"cat {np.random.default_rng().uniform()}")


def touchy(source):
    if not source.endswith(".kennel"):
        raise OSError("what is this?")
    yield SourcePhoto(source, "cat")


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (nameless, ": no class; expected a species (and a breed), or a label "),
        (elsewhere, "for its own source: expected a file, or the address of a photo in one, got "),
        (greedy, "for an empty folder: expected no photo: it is not its source"),
        (fickle, "for its own source: expected the same photos each time"),
        (touchy, "for an empty folder: OSError: what is this?"),
        (lambda source: [], "for its own source: expected at least one photo"),
        (number, ": class 3 is a number, not a name"),
        (split, ": unknown split 'holdout'"),
        (folder, "expected a file, or the address of a photo in one, got "),
        (address, "expected a file, or the address of a photo in one, got "),
        (text, "for a binary file: UnicodeDecodeError: "),
        (json_of_pets, "for a JSON file of an empty list: TypeError: "),
        (any_photo, "for a folder dog/pug of photos: expected no photo: it is not its source"),
        (choosy, "for a text file: DataError: "),
    ],
)
def test_check_reader_tells_what_is_wrong_in_one_line(function, words, tmp_path):
    source = tmp_path / "pets.kennel"
    source.write_text("own")
    with pytest.raises(AssertionError) as caught:
        check_reader(function, source)
    assert "\n" not in str(caught.value)
    assert words in str(caught.value)


def test_check_reader_passes_one_that_refuses_a_file_of_its_own_kind(tmp_path):
    source = tmp_path / "pets.txt"
    source.write_text("own")
    check_reader(choosy, source)


def quiet(run):
    return lambda event: None


def touching(run):
    return lambda event: event.update(seen=True)


def forgetful(run):
    return lambda event: event["epoch"]


def test_check_tracker_passes_one_that_listens():
    check_tracker(quiet)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (touching, "in a training that is fine-tuned, at the event 'data': expected the event as it was"),
        (forgetful, "at the event 'data': KeyError: 'epoch'"),
        (lambda run: None, "expected a function of one event, got None"),
    ],
)
def test_check_tracker_tells_what_is_wrong_in_one_line(function, words):
    with pytest.raises(AssertionError) as caught:
        check_tracker(function)
    assert "\n" not in str(caught.value)
    assert words in str(caught.value)


def test_sample_products_are_those_of_the_built_in_catalog():
    products = load_catalog().products
    for name, offer in SHELF.items():
        product = products[name]
        assert (offer.name, offer.price, offer.on_request) == (product.name, product.price, product.on_request)
        assert (offer.species, offer.coats, offer.skin, offer.contains) == (
            product.suits.species,
            product.suits.coats,
            product.suits.skin,
            product.contains,
        )


def test_sample_ingredients_are_those_of_the_built_in_catalog():
    names = load_catalog().ingredient_names
    for case in sample_cases().values():
        assert case.ingredients.items() <= names.items()


def test_sample_cases_are_distributions():
    for case in sample_cases().values():
        assert sum(case.species.values()) == pytest.approx(1)
        assert sum(case.breeds.values()) == pytest.approx(1)
        assert all(0 <= offer.suits <= 1 for offer in case.offers.values())
    assert any(offer.suits == 1 for case in sample_cases().values() for offer in case.offers.values())


SMALL = Preprocess(size=16)
SIDES = itertools.count(16)


def net(*layers: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), *layers, nn.Flatten(), nn.LazyLinear(5))


class BatchStatistics(nn.Module):
    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features - features.mean(dim=0)


class AlwaysDropout(nn.Module):
    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return nn.functional.dropout(features, training=True)


class Brightened(nn.Module):
    def forward(self, x):
        return torch.cat([photo + 1 if photo.mean() < -0.5 else photo for photo in x.split(1)])


class NotConvertible(nn.Module):
    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(features.numpy() * 1.0) + torch.special.bessel_j0(features)


class Contrast(nn.Module):
    """Divides by the contrast of the photo, which a black one has not."""

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        return photos / photos.std(dim=(1, 2, 3), keepdim=True)


class Log(nn.Module):
    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        return (1 + photos).log()


def backbone(module: nn.Module, feature_dim: int = 5) -> Backbone:
    return Backbone(module, feature_dim, SMALL)


def widths(pretrained: bool = True) -> Backbone:
    return backbone(nn.Sequential(nn.Conv2d(3, 4 if pretrained else 8, 16), nn.Flatten()), 4 if pretrained else 8)


class Packed(nn.Module):
    """Weights of eight bits, for which OpenVINO would round the photos as well, on a CPU that gains from it."""

    def __init__(self) -> None:
        super().__init__()
        weights = np.random.default_rng(0).integers(-127, 128, (64, 3 * 16 * 16))
        self.register_buffer("weights", torch.from_numpy(weights.astype(np.int8)))

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(photos.flatten(1), self.weights.float() * 0.01)


def test_check_backbone_passes_packed_weights():
    check_backbone(lambda: backbone(Packed(), 64))


def sizes(pretrained: bool = True) -> Backbone:
    return Backbone(net(), 5, Preprocess(size=16, crop=1.0 if pretrained else 0.9))


def drawn_outside(pretrained: bool = True) -> Backbone:
    module = net()
    module.register_buffer("drawn", torch.randn(5), persistent=False)
    module.register_forward_hook(lambda module, given, features: features + module.drawn)
    if not pretrained:
        module.drawn += 1
    return backbone(module)


def test_check_backbone_passes_a_small_network():
    check_backbone(lambda: backbone(net(nn.ReLU(), nn.BatchNorm2d(4), nn.Dropout())))


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: backbone(net(), 7), "when it is built: expected the network to map 2 photos of 16 x 16 to "),
        (
            lambda: backbone(nn.Sequential(Log(), net())),
            "expected finite features, got nan for a photo of noise (5 such)",
        ),
        (lambda: backbone(nn.Sequential(Contrast(), net())), "expected finite features, got nan for a black photo"),
        (lambda: backbone(net(AlwaysDropout())), "expected the same features for the same photos: something is drawn"),
        (lambda: backbone(net(BatchStatistics())), "features of a photo that do not depend on the others in its batch"),
        (
            lambda: Backbone(
                nn.Sequential(net(), nn.Linear(5, 5).requires_grad_(False), nn.Threshold(99, 1)), 5, SMALL
            ),
            "expected different features for different photos",
        ),
        (widths, "with pretrained=False: expected the same weights in the same shapes, but they differ at 0.bias"),
        (sizes, "with pretrained=False: expected Preprocess(size=16, crop=1.0"),
        (
            drawn_outside,
            "with pretrained=False: expected the same features with the same weights: some of them are not ",
        ),
        (
            lambda: Backbone(net(), 5, Preprocess(size=next(SIDES))),
            "when it is built again: expected the same weights in the same shapes",
        ),
        (lambda: sys.exit(3), "when it is built: SystemExit: 3"),
        (lambda: backbone(net(NotConvertible())), "when it is converted for OpenVINO: "),
        (
            lambda: backbone(nn.Sequential(Brightened(), net())),
            "when it is converted for OpenVINO: expected the features that torch computes",
        ),
    ],
)
def test_check_backbone_tells_what_is_wrong(build, words):
    with pytest.raises(AssertionError) as caught:
        check_backbone(build)
    assert "\n" not in str(caught.value)
    assert words in str(caught.value)
