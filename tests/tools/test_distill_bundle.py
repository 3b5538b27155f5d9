"""``tools/distill_bundle.py`` with the released network and a few drawn photos, in seconds."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.demo_photos import draw_photos

from hierpets.bundle.layout import released_bundle
from hierpets.bundle.manifest import read_manifest
from hierpets.bundle.seen import SeenPhotos
from hierpets.data.listing import find_photos
from hierpets.data.photos import read_photo
from hierpets.inference.loading import load
from hierpets.model.backbone import build_backbone
from hierpets.model.reader import read_networks
from hierpets.plugin import Preprocess
from hierpets.registry.loading import load_registry
from tools import distill_bundle
from tools.distilling.folding import fold, unfold_into
from tools.distilling.training import Distillation, Likeness, distill
from tools.distilling.views import view_pairs

PREPROCESS = Preprocess(size=64, crop=1.0)
FAST = Distillation(steps=30, batch=4, size=64, rate=3e-4, warmup=3, ema_decay=0.8)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    labels = ("cat/siamese", "cat/tuxedo", "cat/ginger", "dog/pug", "dog/husky", "dog/beagle")
    return draw_photos(tmp_path_factory.mktemp("pets"), dict.fromkeys(labels, 9))


@pytest.fixture(scope="module")
def network():
    (network,) = read_networks(released_bundle(), read_manifest(released_bundle()), load_registry())
    return network


def test_views_are_whole_for_the_teacher_and_often_corrupted_for_the_pupil(photos):
    pixels = [read_photo(path) for path in find_photos(photos)]
    generator = np.random.default_rng(0)
    whole, corrupted = view_pairs(pixels, PREPROCESS, batch=80, generator=generator)
    assert whole.shape == corrupted.shape == (80, 3, 64, 64)
    same = (whole == corrupted).flatten(1).all(dim=1)
    assert 0.2 < same.float().mean() < 0.5
    assert (whole - corrupted).abs().mean() < 0.6, "a corrupted view still shows what the whole one does"
    again = view_pairs(pixels, PREPROCESS, batch=80, generator=np.random.default_rng(0))
    torch.testing.assert_close(again, (whole, corrupted), rtol=0, atol=0)


def test_a_folded_network_and_one_that_it_is_unfolded_into_compute_the_same(network):
    images = torch.randn(2, 3, 64, 64)
    folded = fold(network.backbone)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
    with torch.no_grad():
        torch.testing.assert_close(folded(images), network.backbone(images), rtol=1e-4, atol=1e-4)
        for parameter in folded.parameters():
            parameter.mul_(1 + 0.05 * torch.randn_like(parameter))
        other = deepcopy(network.backbone)
        unfold_into(other, folded)
        torch.testing.assert_close(other(images), folded(images), rtol=1e-3, atol=1e-3)


def test_distilling_brings_corrupted_views_nearer_and_changes_early_stages_alone(network, photos):
    pixels = [read_photo(path) for path in find_photos(photos)]
    network = deepcopy(network)  # of what it has learned from corrupted views already there is little left to learn
    network.backbone = build_backbone(load_registry(), "efficientnet_lite2", {})[0].module.eval()
    pupil = deepcopy(network)
    distill(pupil, pixels, PREPROCESS, FAST)
    whole, corrupted = view_pairs(pixels, PREPROCESS, batch=60, generator=np.random.default_rng(99))
    with torch.no_grad():
        wanted = network.backbone(whole)
        loss = Likeness(network, wanted.std(dim=0).clamp(min=0.01))
        before, after = (float(loss(one.backbone(corrupted), wanted)) for one in (network, pupil))
    assert after < 0.95 * before
    late = ("backbone.blocks.5.", "backbone.blocks.6.", "backbone.conv_head.", "leaf_head.", "species_head.")
    old, new = network.state_dict(), pupil.state_dict()
    for name in (name for name in new if name.startswith(late)):
        torch.testing.assert_close(new[name], old[name], rtol=1e-3, atol=1e-3)
    assert not torch.equal(new["backbone.conv_stem.weight"], old["backbone.conv_stem.weight"])


def test_the_tool_writes_a_bundle_with_the_old_heads_and_thresholds(photos, tmp_path, monkeypatch):
    bundle = released_bundle()

    def sketched(network, photos, preprocess, settings, **more):
        assert settings.steps == 2
        return distill(network, photos, preprocess, replace(settings, size=64, batch=4), **more)

    monkeypatch.setattr(distill_bundle, "distill", sketched)
    arguments = ["--data", photos, "--bundle", bundle, "--out", tmp_path / "out", "--steps", 2, "--version", "7"]
    assert distill_bundle.main([str(argument) for argument in arguments]) == 0
    before, after = (read_manifest(folder) for folder in (bundle, tmp_path / "out"))
    assert after.version == "7"
    assert (after.policy, after.temperatures) == (before.policy, before.temperatures)
    assert SeenPhotos.read(tmp_path / "out") == SeenPhotos.read(bundle)
    assert load(tmp_path / "out", recommend=False)(find_photos(photos)[0]).error is None


def test_the_tool_replaces_nothing_and_says_what_is_no_bundle(photos, tmp_path, capsys):
    bundle = released_bundle()
    (tmp_path / "there").mkdir()
    assert distill_bundle.main(["--data", str(photos), "--bundle", str(bundle), "--out", str(tmp_path / "there")]) == 1
    assert "already exists" in capsys.readouterr().err
    assert distill_bundle.main(["--data", str(photos), "--bundle", str(photos), "--out", str(tmp_path / "out")]) == 1
    assert "error: " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
