"""Features come from the cache where they can, and are checked."""

import logging
import shutil
import sqlite3
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.fakes import tiny_registry

from hierpets.errors import PluginError
from hierpets.model.backbone import build_backbone
from hierpets.training.features.extractor import FeatureExtractor, flip, plain

PHOTOS = ["demo:cat/siamese/1", "demo:dog/pug/1", "demo:cat/siamese/1"]


@pytest.fixture
def backbone(tmp_path, monkeypatch):
    monkeypatch.setenv("HIERPETS_CACHE", str(tmp_path / "cache"))
    return build_backbone(tiny_registry(tmp_path), "tiny", {})[0]


def computed(backbone) -> tuple[np.ndarray, int]:
    """Features, and how many photos were not in the cache."""
    done = []
    features = FeatureExtractor(backbone).features(PHOTOS, progress=lambda _task, n, _total: done.append(n))
    return features, len(PHOTOS) - done[0]


def test_feature_extractor_computes_a_photo_once(backbone):
    first, fresh = computed(backbone)
    assert fresh == 2  # the third photo is the first
    again, cached = computed(backbone)
    assert cached == 0
    np.testing.assert_array_equal(first, again)


def test_each_photo_may_have_a_view_of_its_own(backbone):
    extractor, views = FeatureExtractor(backbone), (plain, flip, flip)
    done = []
    mixed = extractor.features_of_views(PHOTOS, views, task="views", progress=lambda *told: done.append(told))
    alone = [extractor.features([photo], (view,))[0] for photo, view in zip(PHOTOS, views, strict=True)]
    np.testing.assert_allclose(mixed, alone, rtol=1e-5, atol=1e-6)
    assert not np.allclose(mixed[0], mixed[2]), "the third photo is the first"
    assert done[-1] == ("views", 3, 3)


@pytest.mark.parametrize("change", [{"interpolation": "bicubic"}, {"decode_margin": 2.0}])
def test_feature_extractor_computes_anew_where_pixels_change(backbone, change):
    computed(backbone)
    other = replace(backbone, preprocess=backbone.preprocess.model_copy(update=change))
    assert computed(other)[1] == 2


@pytest.mark.parametrize("damage", ["not a database", "no folder", "damaged pages", "too short", "not finite", "text"])
def test_feature_extractor_goes_on_without_a_cache_and_warns(backbone, tmp_path, damage, caplog):
    expected, _ = computed(backbone)
    _damage(tmp_path / "cache" / "features.sqlite", damage)
    with caplog.at_level(logging.WARNING):
        features, fresh = computed(backbone)
    assert fresh == 2
    np.testing.assert_array_equal(features, expected)
    assert caplog.text.count("cache not used") == 1


def _damage(file, damage):
    content = file.read_bytes()
    vectors = {"too short": b"1234", "not finite": np.full(128, np.nan, np.float32).tobytes(), "text": "1" * 512}
    if damage in vectors:
        with sqlite3.connect(file) as database:
            database.execute("UPDATE feature SET vector = ?", (vectors[damage],))
    elif damage == "no folder":
        shutil.rmtree(file.parent)
        file.parent.write_text("a file where the folder should be")
    else:
        file.write_bytes(content[:4096] * (damage == "damaged pages") + b"x" * (len(content) - 4096))


@pytest.mark.parametrize(("width", "message"), [(7, r"shape \(128,\), expected \(7,\)"), (128, "NaN or infinite")])
def test_feature_extractor_refuses_what_a_plugin_did_not_promise(backbone, width, message):
    broken = replace(backbone, feature_dim=width)
    if width == 128:
        broken.module.append(torch.nn.BatchNorm1d(width).eval())
        broken.module[-1].bias.data.fill_(float("nan"))
    with pytest.raises(PluginError, match=rf"^backbone 'tiny' \(.*\.py\): the backbone returns .*{message}"):
        FeatureExtractor(broken).features(PHOTOS)
