"""The names of a pretrained head's classes come from the backbone's plugin."""

import numpy as np
import pytest
from helpers.fakes import tiny_registry

from hierpets.bundle.manifest import BackboneSpec
from hierpets.errors import PluginError
from hierpets.growing.named_head import find_shown, name_classes
from hierpets.model.statistics.classes import ClassStatistics
from hierpets.registry.loading import load_registry
from hierpets.taxonomy import Leaf

TINY = BackboneSpec(name="tiny", options={"width": 4}, feature_dim=64)


def test_a_backbone_that_the_registry_lacks_is_named(tmp_path):
    assert name_classes(TINY, tiny_registry(tmp_path)) is None
    with pytest.raises(PluginError, match=r"'tiny'.*name the registry that the bundle was trained with"):
        name_classes(TINY, load_registry())


def test_a_species_is_shown_by_the_classes_that_its_photos_look_like():
    labels = [Leaf("horse", "arabian"), Leaf("horse", "friesian"), Leaf("rabbit", None)]
    profiles = np.array([[0.9, 0.1, 0, 0], [0.7, 0, 0.3, 0], [0.03, 0.47, 0.01, 0.49]])
    known = ClassStatistics.of(np.eye(3), np.arange(3), np.ones(3), labels, profiles)
    assert find_shown(None, known, {"horse"}) == {0, 1, 2}
    assert find_shown(None, known, {"rabbit"}) == {1, 3}
    assert find_shown(None, known, ()) == set()
