import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.fakes import TAXONOMY
from helpers.plugins import load_plugin
from helpers.switches import is_exact
from helpers.tuning import squares, tiny_network, tune

from hierpets.data.records import PhotoIndex
from hierpets.errors import ConfigError, DeviceError, ImageError, PluginError
from hierpets.hierarchy.calibration import Temperatures
from hierpets.hierarchy.probabilities import COMBINERS
from hierpets.model.network import HierarchicalNetwork
from hierpets.model.rounding import round_weights
from hierpets.taxonomy import Taxonomy
from hierpets.training.finetuning import loop
from hierpets.training.finetuning.finetune import apply_temperatures
from hierpets.training.finetuning.learner import Learner
from hierpets.training.finetuning.loop import FinetuneResult
from hierpets.training.run.folder import LOG_FILE


def same(a: FinetuneResult, b: FinetuneResult) -> bool:
    ours, theirs = a.network.state_dict(), b.network.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.fixture
def photos(tmp_path):
    """Training and validation photos."""
    return squares(tmp_path, per_leaf=8), squares(tmp_path, per_leaf=4, seed=1)


def test_finetune_names_the_plugin_whose_network_fails(tmp_path):
    code = """
        import torch

        from hierpets.plugin import Backbone, Preprocess


        class Net(torch.nn.Linear):
            def forward(self, images):
                if self.training:
                    raise ValueError("made for\\nprediction alone")
                return super().forward(images.mean((2, 3)))


        def f():
            return Backbone(Net(3, 16), 16, Preprocess(size=32))
    """
    backbone = load_plugin(tmp_path, code, kind="backbone").call()
    network = HierarchicalNetwork(backbone.module, backbone.feature_dim, TAXONOMY)
    said = r"^backbone 'mine' \(.*p\.py:10\): ValueError: made for prediction alone$"
    with pytest.raises(PluginError, match=said) as raised:
        tune(tmp_path, network=network, guard=backbone.guard)
    assert isinstance(raised.value.__cause__, ValueError)


@pytest.mark.parametrize("place", [(HierarchicalNetwork, "forward"), (torch.Tensor, "backward"), (Learner, "_upload")])
def test_finetune_says_in_one_line_that_the_gpu_has_not_the_memory(tmp_path, monkeypatch, place):
    code = """
        import torch

        from hierpets.plugin import Backbone, Preprocess


        def f():
            return Backbone(torch.nn.Sequential(torch.nn.AvgPool2d(32), torch.nn.Flatten()), 3, Preprocess(size=32))
    """
    backbone = load_plugin(tmp_path, code, kind="backbone").call()

    def full(*_, **__):
        raise torch.OutOfMemoryError(
            "CUDA out of memory. Tried to allocate 98.00 MiB. GPU 0 has a total capacity of 14"
        )

    monkeypatch.setattr(*place, full)
    said = r"^CUDA out of memory. Tried to allocate 98.00 MiB: .* lower finetune.batch_size$"
    with pytest.raises(DeviceError, match=said):
        tune(tmp_path, network=HierarchicalNetwork(backbone.module, 3, TAXONOMY), guard=backbone.guard)


def test_finetune_trains_and_scores_in_exact_float32_and_tells_outside_of_it(tmp_path):
    network, before, seen, told = tiny_network(), is_exact(), set(), []
    network.register_forward_hook(lambda module, *_: seen.add((module.training, is_exact())))
    tune(tmp_path, network=network, settings={"epochs": 1}, listener=lambda _: told.append(is_exact()))
    assert seen == {(True, True), (False, True)}
    assert told
    assert set(told) == {before}


@pytest.mark.parametrize("combiner", [COMBINERS[0], *(pytest.param(c, marks=pytest.mark.slow) for c in COMBINERS[1:])])
def test_finetune_learns_colors_at_both_levels(tmp_path, photos, combiner):
    result = tune(tmp_path, train=photos[0], val=photos[1], combiner=combiner, settings={"epochs": 12})
    assert result.start.breed < 0.5
    assert result.best.breed > 0.8
    assert result.best.species > result.start.species
    assert result.best.nll < 0.6 * result.start.nll


@pytest.mark.parametrize(
    ("setting", "weights"),
    [
        ({"balance": "loss_weight"}, np.arange(1.0, 51.0)),
        pytest.param({"trainable_fraction": 0.3}, None, marks=pytest.mark.slow),
        pytest.param({"layer_decay": 1.0}, None, marks=pytest.mark.slow),
        pytest.param({"precision": "bf16"}, None, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_finetune_setting_changes_the_network_and_still_lowers_the_loss(tmp_path, photos, setting, weights):
    plain, other = (
        tune(tmp_path, train=photos[0], val=photos[1], weights=weights, settings={"epochs": 4} | extra)
        for extra in ({}, setting)
    )
    assert not same(plain, other)
    assert other.history[-1]["nll"] < other.history[0]["nll"]


@pytest.mark.parametrize("weights", [np.ones(50), np.arange(1.0, 51.0)], ids=["shuffled", "weighted"])
@pytest.mark.slow
def test_finetune_is_decided_by_the_seed_whatever_the_workers(tmp_path, photos, weights):
    results = [
        tune(tmp_path, train=photos[0], val=photos[1], weights=weights, settings={"workers": n}) for n in (0, 1, 2)
    ]
    assert same(results[0], results[1])
    assert same(results[0], results[2])
    assert not same(results[0], tune(tmp_path, train=photos[0], val=photos[1], weights=weights, seed=1))


def test_finetune_does_not_destroy_a_good_start(tmp_path, photos):
    network = tune(tmp_path, train=photos[0], val=photos[1], settings={"epochs": 12}).network
    start = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    wild = {"epochs": 4, "learning_rate": 0.5, "head_learning_rate": 0.5, "patience": 2}
    result = tune(tmp_path, train=photos[0], val=photos[1], network=network, settings=wild)
    assert result.history[-1]["breed"] < result.start.breed
    assert result.best.breed >= result.start.breed
    assert len(result.history) <= 4
    if not result.won:
        assert all(torch.equal(start[name], tensor) for name, tensor in result.network.state_dict().items())


def test_finetune_scales_overconfident_heads_and_returns_a_start_as_it_came(tmp_path, photos):
    sure = tiny_network()
    start = apply_temperatures(
        sure.get_heads(), Temperatures(species=0.05, breeds={"cat": 0.05, "dog": 0.02}), sure.taxonomy
    )
    sure.set_heads(start)
    still = {"epochs": 1, "learning_rate": 1e-12, "head_learning_rate": 1e-12, "weight_decay": 0, "interpolation": []}
    undone = Temperatures(species=20.0, breeds={"cat": 20.0, "dog": 50.0})
    plain = tune(tmp_path, train=photos[0], val=photos[1], settings=still)
    result = tune(tmp_path, train=photos[0], val=photos[1], settings=still, network=sure, temperatures=undone)
    assert result.start.nll == pytest.approx(plain.start.nll, rel=1e-4)
    if not result.won:
        np.testing.assert_array_equal(result.network.get_heads().leaf.weight, start.leaf.weight)
    else:
        softened = apply_temperatures(start, undone, sure.taxonomy)
        np.testing.assert_allclose(result.network.get_heads().leaf.weight, softened.leaf.weight, atol=1e-5)


@pytest.mark.parametrize("weights", [None, np.arange(1.0, 51.0) ** 3], ids=["alike", "of the last species"])
def test_finetune_returns_what_was_scored_with_the_prior_of_the_settings(tmp_path, photos, weights):
    result = tune(tmp_path, train=photos[0], val=photos[1], weights=weights, settings={"epochs": 3})
    assert result.won
    plain = tune(tmp_path, train=photos[0], val=photos[1], settings={"epochs": 1})
    assert result.start.nll == pytest.approx(plain.start.nll, rel=1e-6)
    again = tune(tmp_path, train=photos[0], val=photos[1], network=result.network, settings={"epochs": 1})
    assert again.start.breed == result.best.breed
    assert again.start.nll == pytest.approx(result.best.nll, rel=1e-5)
    assert not result.network.training
    before = [parameter.clone() for parameter in result.network.backbone.parameters()]
    round_weights(result.network.backbone)
    for old, new in zip(before, result.network.backbone.parameters(), strict=True):
        torch.testing.assert_close(new, old, rtol=1e-6, atol=0)


def test_finetune_keeps_the_start_where_the_best_wins_a_single_photo(tmp_path, photos):
    start, one = tiny_network(), replace(photos[1], records=photos[1].records[:1])
    result = tune(tmp_path, train=photos[0], val=one, network=start, settings={"epochs": 12})
    assert (result.start.breed, result.best.breed, result.won) == (0, 1, False)
    assert all(torch.equal(ours, result.network.state_dict()[name]) for name, ours in start.state_dict().items())


def test_finetune_judges_each_epoch_by_the_weights_that_would_be_served(tmp_path, photos, monkeypatch):
    def halve(module):  # instead of rounding, which changes little
        for parameter in module.parameters():
            parameter.data.copy_(parameter.data / 2)

    monkeypatch.setattr(loop, "round_weights", halve)
    settings = {"epochs": 1, "interpolation": [], "learning_rate": 1e-3, "head_learning_rate": 3e-3}
    result = tune(tmp_path, train=photos[0], val=photos[1], settings=settings)
    assert result.alpha == 1
    assert result.best.as_dict() == {level: result.history[1][level] for level in ("breed", "species", "nll")}


def test_finetune_keeps_batch_statistics(tmp_path, photos):
    before = tiny_network().backbone[1].running_mean
    result = tune(tmp_path, train=photos[0], val=photos[1])
    assert result.won
    torch.testing.assert_close(result.network.backbone[1].running_mean, before, rtol=0, atol=0)


def test_finetune_stops_when_it_no_longer_helps(tmp_path, photos):
    still = {"epochs": 9, "patience": 2, "learning_rate": 1e-12, "head_learning_rate": 1e-12, "weight_decay": 0}
    result = tune(tmp_path, train=photos[0], val=photos[1], settings=still)
    assert 3 <= len(result.history) < 10
    events = [*map(json.loads, (tmp_path / "run" / LOG_FILE).read_text().splitlines())]
    (told,) = [event for event in events if event["event"] == "stalled"]
    assert told["epoch"] == len(result.history) - 1


def last_average(folder):
    """The moving average after the last epoch, whatever the validation photos say of it."""
    network = tiny_network()
    saved = torch.load(folder / "run" / "checkpoint.pt")["learner"]["average"]
    network.load_state_dict(
        {name.removeprefix("module."): tensor for name, tensor in saved.items() if name != "n_averaged"}
    )
    return network.eval()


def test_finetune_learns_species_alone(tmp_path, photos):
    train, val = (part.without_breeds() for part in photos)
    torch.manual_seed(0)
    network = type(tiny_network())(tiny_network().backbone, 16, train.taxonomy)
    result = tune(tmp_path, train=train, val=val, network=network, settings={"epochs": 10})
    assert result.best.breed is None
    assert result.best.accuracy == result.best.species > 0.6


def test_finetune_without_breed_labels_moves_no_breed_head(tmp_path):
    taxonomy = Taxonomy(tree={"cat": ("birman", "siamese"), "dog": ("beagle", "pug", "boxer"), "rabbit": ()})
    blind = PhotoIndex(taxonomy, tuple(replace(r, breed=None) for r in squares(tmp_path).records))
    tune(tmp_path, train=blind, settings={"weight_decay": 0})
    start, end = tiny_network(), last_average(tmp_path)
    torch.testing.assert_close(end.leaf_head.weight, start.leaf_head.weight, rtol=0, atol=0)
    assert not torch.equal(end.species_head.weight, start.species_head.weight)


@pytest.mark.slow
def test_finetune_favors_the_class_that_a_sampler_favors(tmp_path, photos):
    leaf = photos[0].labels().leaf
    shares = []
    for favorite in (0, 3):
        weights = np.where(leaf == favorite, 50.0, 1.0)
        for balance in ("sample", "loss_weight"):
            tune(tmp_path, train=photos[0], val=photos[1], weights=weights, settings={"epochs": 4, "balance": balance})
            with torch.no_grad():
                output = last_average(tmp_path)(torch.zeros(1, 3, 32, 32))
            shares.append(torch.softmax(output.species, dim=1)[0, 0].item())
    assert min(shares[:2]) > max(shares[2:])


def test_finetune_says_where_a_loss_is_not_finite(tmp_path, photos):
    network = tiny_network()
    with torch.no_grad():
        network.species_head.bias[0] = float("nan")
    with pytest.raises(ConfigError, match=r"diverged in epoch 1, step 1: .* nan .*lower finetune.learning_rate"):
        tune(tmp_path, train=photos[0], val=photos[1], network=network)


@pytest.mark.parametrize("part", ["train", "val"])
def test_finetune_names_a_photo_that_cannot_be_read(tmp_path, photos, part):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    train, val = photos
    record = replace(train.records[0], path=str(bad))
    train, val = (
        PhotoIndex(index.taxonomy, (*index.records, record)) if name == part else index
        for name, index in (("train", train), ("val", val))
    )
    with pytest.raises(ImageError, match=r"bad\.png"):
        tune(tmp_path, train=train, val=val, settings={"batch_size": 51})


def test_finetune_logs_every_epoch(tmp_path, photos):
    events, steps = [], []
    tune(
        tmp_path,
        train=photos[0],
        val=photos[1],
        listener=events.append,
        progress=lambda _, done, total: steps.append((done, total)),
    )
    epochs = [event for event in events if event["event"] == "epoch"]
    assert [event["epoch"] for event in epochs] == [0, 1, 2]
    assert {"loss", "breed", "species", "nll"} <= epochs[-1].keys()
    assert steps[-1] == (12, 12)
