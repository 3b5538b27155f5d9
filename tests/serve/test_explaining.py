import platform

import numpy as np
import pytest

from hierpets.data.demo import render
from hierpets.data.photos import read_photo
from hierpets.registry.loading import load_registry
from hierpets.serve.explaining import lazy_explainer
from hierpets.serve.limits.memory import limit_malloc_arenas


def test_a_bundle_explains_a_photo_as_a_picture_of_the_same_shape(tiny_run):
    explain = lazy_explainer(tiny_run / "bundle", load_registry(tiny_run.parent / "registry.yaml"))
    photo = render("demo:cat/siamese/1")[:200]
    shown = read_photo(explain(photo))
    assert shown.shape == photo.shape
    assert np.abs(shown.astype(int) - photo).max() > 30  # something is laid over it


def test_without_the_plugin_of_its_backbone_a_bundle_offers_no_explanation(tiny_run):
    assert lazy_explainer(tiny_run / "bundle", load_registry()) is None


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_malloc_is_tamed_unless_somebody_has_chosen(monkeypatch):
    monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
    assert limit_malloc_arenas()
    monkeypatch.setenv("MALLOC_ARENA_MAX", "4")
    assert not limit_malloc_arenas()
