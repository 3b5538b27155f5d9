"""The released bundle knows breeds from pretraining, which photos may teach it or which it may forget."""

import numpy as np
import pytest
from helpers.demo_photos import draw_photos
from helpers.systems import needs_links

from hierpets.bundle.layout import released_bundle
from hierpets.bundle.manifest import read_manifest
from hierpets.growing.forget import forget
from hierpets.growing.grow import grow
from hierpets.inference.loading import load
from hierpets.taxonomy import Leaf

MALTESE, WHIPPET = Leaf("dog", "maltese"), Leaf("dog", "whippet")


def origins(bundle):
    manifest = read_manifest(bundle)
    return dict(zip(manifest.taxonomy.leaves, manifest.origins, strict=True))


@pytest.mark.data
@needs_links
def test_photos_of_a_pretrained_breed_make_it_a_grown_one(tmp_path, data_dir):
    photos = sorted((data_dir / "unseen-breeds" / "dog" / "maltese").iterdir())
    learned, others = tmp_path / "new" / "dog" / "maltese", photos[10:]
    learned.mkdir(parents=True)
    for photo in photos[:10]:
        (learned / photo.name).symlink_to(photo)
    result = grow(None, tmp_path / "new", out=tmp_path / "grown")
    before, after = origins(released_bundle()), origins(result.bundle)
    assert before[MALTESE] == "pretrained"
    assert after == before | {MALTESE: "grown"}
    assert (result.new, result.too_few) == ((), ())
    # The tuned heads take a Maltese for a Havanese: ten photos teach them.
    named = [prediction.breed for prediction in result.predictor(recommend=False).predict(others)]
    assert named.count("maltese") >= 0.6 * len(others)


def test_a_pretrained_breed_keeps_the_threshold_of_its_species_however_few_and_often_photos_come(tmp_path):
    for first, model in ((8, None), (9, tmp_path / "grown8")):
        drawn = draw_photos(tmp_path / f"new{first}", {"dog/beagle": 1}, first=first) / "dog" / "beagle"
        drawn.rename(drawn.with_name("whippet"))
        result = grow(model, tmp_path / f"new{first}", out=tmp_path / f"grown{first}")
        assert (result.too_few, result.warnings) == ((), ())
        assert read_manifest(result.bundle).policy.leaf_probability(WHIPPET) == 0
        assert origins(result.bundle)[WHIPPET] == "grown"


def test_a_pretrained_breed_can_be_forgotten(tmp_path):
    result = forget(None, str(WHIPPET), out=tmp_path / "less")
    before, after = origins(released_bundle()), origins(result.bundle)
    assert after == {leaf: origin for leaf, origin in before.items() if leaf != WHIPPET}
    assert result.forgotten == (WHIPPET,)


def test_a_species_goes_with_the_last_breed_that_photos_taught(tmp_path):
    trained = [str(leaf) for leaf, origin in origins(released_bundle()).items() if origin == "trained"]
    cats = [name for name in trained if name.startswith("cat/")]
    before, result = origins(released_bundle()), forget(None, *cats, out=tmp_path / "dogs")
    after = origins(result.bundle)
    assert {leaf.species for leaf in after} == {"dog"}
    assert "pretrained" in after.values()
    assert {*result.forgotten} == {*before} - {*after} > {leaf for leaf in before if str(leaf) in cats}
    assert result.warnings == ("cat is gone: nothing that photos taught is left of it",)


def test_a_pretrained_breed_whose_photos_are_forgotten_is_known_from_pretraining_again(tmp_path):
    drawn = draw_photos(tmp_path / "new", {"dog/beagle": 3}, first=8) / "dog" / "beagle"
    drawn.rename(drawn.with_name("whippet"))
    grown = grow(None, tmp_path / "new", out=tmp_path / "grown", trust_labels=True).bundle
    result = forget(grown, str(WHIPPET), out=tmp_path / "again")
    assert origins(result.bundle) == origins(released_bundle())
    assert (result.forgotten, result.pretrained) == ((), (WHIPPET,))
    assert str(result) == "known from pretraining alone again: dog/whippet"
    photos = [f"demo:dog/pug/{n}" for n in range(300, 304)]
    released, own = (load(model, recommend=False).predict(photos) for model in (None, result.bundle))
    np.testing.assert_allclose([p.joint for p in own], [p.joint for p in released], atol=0.05)
    assert grow(result.bundle, tmp_path / "new", out=tmp_path / "more", trust_labels=True).photos == {WHIPPET: 3}
    assert forget(result.bundle, str(WHIPPET), out=tmp_path / "gone").forgotten == (WHIPPET,)


def test_a_bundle_that_was_changed_is_not_the_version_that_it_came_from(tmp_path):
    result = forget(None, str(WHIPPET), out=tmp_path / "less")
    assert read_manifest(released_bundle()).version
    assert read_manifest(result.bundle).version is None
