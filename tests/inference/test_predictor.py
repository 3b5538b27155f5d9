import numpy as np
import pytest

from hierpets.errors import DeviceError, ImageError
from hierpets.evaluation.run import predict_index, read_labeled
from hierpets.hierarchy.probabilities import species_probabilities
from hierpets.inference.loading import load
from hierpets.registry.loading import load_registry

PHOTOS = ["demo:cat/siamese/1", "demo:dog/dalmatian/2", "demo:dog/pug/3", "demo:rabbit/-/4"]


@pytest.fixture(scope="module")
def predictor(tiny_run):
    return load(tiny_run / "bundle", registry=load_registry(tiny_run.parent / "registry.yaml"))


def test_order_is_kept_and_a_bad_photo_gets_its_error(predictor, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff not a picture")
    paths = [PHOTOS[0], str(tmp_path / "broken.jpg"), PHOTOS[1], str(tmp_path / "missing.jpg"), PHOTOS[2]]
    answers = list(predictor.predict(paths, batch_size=2))
    assert [a.path for a in answers] == paths
    assert [a.error is None for a in answers] == [True, False, True, False, True]
    assert all(isinstance(a.error, ImageError) for a in (answers[1], answers[3]))


def test_an_answer_does_not_depend_on_its_batch(predictor):
    together = list(predictor.predict(PHOTOS, batch_size=4))
    for photo, answer in zip(PHOTOS, together, strict=True):
        (alone,) = [predictor.predict(photo)]
        np.testing.assert_allclose(alone.joint, answer.joint, atol=1e-5)


def test_both_engines_agree(predictor, tiny_run):
    registry = load_registry(tiny_run.parent / "registry.yaml")
    exact, torch_predictor = (
        load(tiny_run / "bundle", engine=engine, precision="f32", registry=registry) for engine in ("openvino", "torch")
    )
    for a, b in zip(exact.predict(PHOTOS), torch_predictor.predict(PHOTOS), strict=True):
        np.testing.assert_allclose(a.joint, b.joint, atol=5e-3)


def test_a_distribution_sums_to_one_and_the_top_is_sorted(predictor):
    for answer in predictor.predict(PHOTOS, top_k=4):
        taxonomy = predictor.manifest.taxonomy
        assert answer.joint.sum() == pytest.approx(1.0)
        assert species_probabilities(answer.joint[None], taxonomy).sum() == pytest.approx(1.0)
        probabilities = [p for _, p in answer.decision.top]
        assert len(probabilities) == 4
        assert probabilities == sorted(probabilities, reverse=True)


def test_a_device_that_is_not_there_is_an_error(tiny_run, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(DeviceError, match="--device cuda"):
        load(tiny_run / "bundle", device="cuda")


def test_a_labeled_set_is_answered_beside_its_labels(predictor):
    index = read_labeled("demo", predictor.manifest, split="val")
    done = []
    predictions, unreadable = predict_index(predictor, index, progress=lambda n, total: done.append((n, total)))
    assert not unreadable
    assert list(predictions.paths) == index.paths
    assert done[-1] == (len(index), len(index))
    right = predictions.top_leaf == predictions.leaf_true
    assert right.mean() > 2 / len(predictor.manifest.taxonomy.leaves)  # far better than chance, tiny as it is
