import numpy as np
import pytest
from helpers.features import blobs

from hierpets.config import HeadSpec
from hierpets.model.statistics.classes import ClassStatistics
from hierpets.taxonomy import Leaf
from hierpets.training.frozen.lda import fit_lda
from hierpets.training.frozen.linear_probe import fit_head, fit_logistic


@pytest.mark.parametrize("kind", ["logistic", "blend"])
@pytest.mark.parametrize("classes", [2, 4])
def test_fit_head_tells_separated_classes_apart(kind, classes):
    features, labels = blobs([40] * classes)
    head = fit_head(features, labels, np.ones(len(labels)), classes=classes, spec=HeadSpec(kind=kind))
    assert head.weight.shape == (classes, 12)
    assert head.weight.dtype == np.float32
    assert (head(features).argmax(axis=1) == labels).mean() > 0.95


def test_fit_head_blends_both_heads_at_one_scale():
    features, labels = blobs([40] * 4)
    weights = np.ones(160)
    names = [Leaf(name, None) for name in "abcd"]
    parts = (
        fit_lda(ClassStatistics.of(features, labels, weights, names), names, shrinkage=0.3),
        fit_logistic(features, labels, weights, classes=4),
    )
    blend = fit_head(features, labels, weights, classes=4, spec=HeadSpec(kind="blend", shrinkage=0.3))

    def unit(logits: np.ndarray) -> np.ndarray:
        centered = logits - logits.mean(axis=1, keepdims=True)
        return centered / centered.std()

    got = blend(features) - blend(features).mean(axis=1, keepdims=True)
    np.testing.assert_allclose(got, sum(unit(part(features)) for part in parts), atol=1e-4)
