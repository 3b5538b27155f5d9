"""The view of a second look: a small animal, cut out as it is when the model is used."""

import numpy as np
import pytest
from helpers.fakes import tiny_registry

from hierpets.data.photos import read_photo
from hierpets.data.transforms import apply
from hierpets.errors import ImageError
from hierpets.inference.detector.network import ANIMALS, Detections, Detector
from hierpets.model.backbone import build_backbone
from hierpets.progress import no_progress
from hierpets.regions.boxes import Box
from hierpets.training.features.closer import CloserView
from hierpets.training.features.extractor import FeatureExtractor, NothingToSee

PHOTOS = ["demo:cat/siamese/1", "demo:dog/pug/1"]
SMALL = Box(left=0.2, top=0.3, width=0.5, height=0.4)


@pytest.fixture
def seen(tmp_path, monkeypatch):
    """A detector that sees a dog in the first of the photos, and how often it was asked."""
    monkeypatch.setenv("HIERPETS_CACHE", str(tmp_path / "cache"))
    siamese, asked = read_photo(PHOTOS[0]).mean(), []

    def see(self, pixels):
        asked.append(pixels.shape)
        left, top, right, bottom = SMALL.edges
        logits = np.full((1, len(ANIMALS)), -5.0)
        if abs(pixels.mean() - siamese) < 1:
            logits[0, ANIMALS.index("dog")] = 3.0
        return Detections(np.array([[top, left, bottom, right]]), logits)

    monkeypatch.setattr(Detector, "__call__", see)
    return asked


def test_there_is_none_where_the_detector_knows_no_species():
    assert CloserView.of(["rabbit", "ferret"]) is None
    assert CloserView.of(["rabbit", "cat"]) == CloserView(("cat",))


def test_a_photo_without_a_small_animal_has_nothing_to_see(seen):
    photo = read_photo(PHOTOS[0])
    np.testing.assert_array_equal(CloserView(("cat", "dog"))(photo), SMALL.squared(*photo.shape[:2]).cut(photo))
    with pytest.raises(NothingToSee):
        CloserView(("cat",))(photo)
    with pytest.raises(NothingToSee):
        CloserView(("cat", "dog"))(read_photo(PHOTOS[1]))


def test_features_are_those_of_the_part_and_zero_where_there_is_none_and_computed_once(seen, tmp_path):
    backbone, _ = build_backbone(tiny_registry(tmp_path), "tiny", {})
    view, extractor = CloserView.of(("cat", "dog")), FeatureExtractor(backbone)
    found = view.features(extractor, PHOTOS, progress=no_progress)
    photo = read_photo(PHOTOS[0], shorter_side=2 * backbone.preprocess.decoded_side)
    cut = SMALL.squared(*photo.shape[:2]).cut(photo)
    expected = extractor._features_of(apply(backbone.preprocess, cut)[None])
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-5, atol=1e-6)
    assert not found[1].any()
    assert len(seen) == 2
    np.testing.assert_array_equal(view.features(extractor, PHOTOS, progress=no_progress), found)
    assert len(seen) == 2, "both are in the cache"


def test_a_photo_that_cannot_be_read_is_an_error_still(seen, tmp_path):
    backbone, _ = build_backbone(tiny_registry(tmp_path), "tiny", {})
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    with pytest.raises(ImageError, match=r"broken\.jpg"):
        CloserView(("cat",)).features(FeatureExtractor(backbone), [str(tmp_path / "broken.jpg")], progress=no_progress)
