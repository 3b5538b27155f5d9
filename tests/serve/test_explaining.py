import numpy as np

from hierpets.data.demo import render
from hierpets.data.photos import read_photo
from hierpets.registry.loading import load_registry
from hierpets.serve.explaining import lazy_explainer


def test_lazy_explainer_gives_a_picture_of_the_same_shape(tiny_run):
    explain = lazy_explainer(tiny_run / "bundle", load_registry(tiny_run.parent / "registry.yaml"))
    photo = render("demo:cat/siamese/1")[:200]
    shown = read_photo(explain(photo))
    assert shown.shape == photo.shape
    assert np.abs(shown.astype(int) - photo).max() > 30  # something is laid over it


def test_lazy_explainer_is_none_without_the_plugin_of_the_backbone(tiny_run):
    assert lazy_explainer(tiny_run / "bundle", load_registry()) is None
