"""Statistics as a bundle keeps them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.features import blobs

from hierpets.bundle.manifest import BackboneSpec, Manifest
from hierpets.errors import BundleError
from hierpets.model.statistics.classes import ClassStatistics
from hierpets.model.statistics.storage import pack_statistics, read_statistics, unpack_statistics
from hierpets.plugin import Preprocess
from hierpets.taxonomy import Leaf, Taxonomy
from hierpets.training.frozen.lda import fit_lda

LEAVES = (Leaf("cat", "birman"), Leaf("cat", "siamese"), Leaf("dog", "pug"), Leaf("rabbit", None))


@pytest.fixture
def known() -> ClassStatistics:
    features, classes = blobs([40, 30, 20, 10], dimensions=24, spread=0.4)
    features[:, 3] = 0.0  # a feature that never varies
    profiles = np.random.default_rng(2).dirichlet(np.ones(5), size=100)
    return ClassStatistics.of(100 * features, classes, np.ones(100), LEAVES, profiles)


def bundle_of(known: ClassStatistics, folder: Path) -> Manifest:
    content, spec = pack_statistics(known, shrinkage=0.3, prior="data")
    (folder / "statistics.safetensors").write_bytes(content)
    return Manifest(
        taxonomy=Taxonomy.from_pairs(LEAVES),
        preprocess=Preprocess(),
        backbone=BackboneSpec(name="none", feature_dim=24),
        statistics=spec,
    )


def test_what_is_packed_gives_the_same_answers(known, tmp_path):
    manifest = bundle_of(known, tmp_path)
    found = read_statistics(tmp_path, *manifest.networks)
    assert found.labels == known.labels
    assert found.counts.tolist() == known.counts.tolist()
    assert (manifest.statistics.shrinkage, manifest.statistics.prior) == (0.3, "data")
    np.testing.assert_allclose(found.means, known.means, rtol=1e-6)
    np.testing.assert_allclose(found.profiles_of(LEAVES), known.profiles_of(LEAVES), atol=1e-3)
    asked = 100 * np.random.default_rng(0).normal(size=(2000, 24))
    answers = [fit_lda(s, LEAVES, shrinkage=0.3)(asked).argmax(axis=1) for s in (known, found)]
    assert (answers[0] == answers[1]).mean() >= 0.998


def test_packing_is_exact_where_nothing_is_left_to_round(known):
    once = unpack_statistics(*pack_statistics(known, shrinkage=0.3, prior="uniform"))
    again = unpack_statistics(*pack_statistics(once, shrinkage=0.3, prior="uniform"))
    np.testing.assert_allclose(again.scatter, once.scatter, rtol=2e-3, atol=1e-6)


def test_fewer_photos_than_features_have_an_inverse_when_read_back_with_no_shrinkage():
    generator = np.random.default_rng(0)
    features = generator.normal(size=(40, 300)) + 3 * generator.normal(size=(40, 1))
    few = ClassStatistics.of(features, np.arange(40) % 4, np.ones(40), LEAVES)
    found = unpack_statistics(*pack_statistics(few, shrinkage=0.0, prior="uniform"))
    assert np.linalg.eigvalsh(found.scatter)[0] < 0  # what half precision made of zero
    for shrinkage in (0.0, 0.001):
        assert np.isfinite(fit_lda(found, LEAVES, shrinkage=shrinkage).weight).all()


def test_half_of_the_scatter_is_stored_in_half_precision(known):
    content, _ = pack_statistics(known, shrinkage=0.3, prior="uniform")
    rest, _ = pack_statistics(replace(known, scatter=known.scatter[:1, :1]), shrinkage=0.3, prior="uniform")
    assert len(content) - len(rest) < 24 * 23 / 2 * 2 + 24 * 8 + 64


def test_statistics_that_are_missing_or_of_another_bundle_are_refused(known, tmp_path):
    manifest = bundle_of(known, tmp_path)
    with pytest.raises(BundleError, match="keeps no statistics"):
        read_statistics(tmp_path, *manifest.model_copy(update={"statistics": None}).networks)
    other = manifest.statistics.model_copy(update={"sha256": "0" * 64})
    with pytest.raises(BundleError, match="not the statistics that the manifest"):
        read_statistics(tmp_path, *manifest.model_copy(update={"statistics": other}).networks)
    (tmp_path / "statistics.safetensors").unlink()
    with pytest.raises(BundleError, match=r"no statistics\.safetensors, which exports lack"):
        read_statistics(tmp_path, *manifest.networks)
