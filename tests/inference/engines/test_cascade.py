"""Networks asked in turn: which answers, with what, and that neither company nor engine changes it."""

import json
import shutil

import numpy as np
import pytest
import torch
from helpers.cascades import PHOTOS
from safetensors.torch import load_file, save_file
from scipy.special import softmax

from hierpets.data.transforms import normalize, read_square
from hierpets.errors import BundleError
from hierpets.hierarchy.calibration import Temperatures
from hierpets.hierarchy.early import ask_in_turn
from hierpets.inference.engines.cascade import Cascade, seen_by
from hierpets.inference.engines.torch import TorchEngine
from hierpets.inference.loading import load
from hierpets.inference.predictor import Predictor


@pytest.fixture
def copied(cascade, tmp_path):
    return shutil.copytree(cascade.folder, tmp_path / "bundle")


@pytest.fixture(scope="module")
def loaded(cascade):
    """Loads it, in the arithmetic of the reference: what others round is for their own tests."""

    def load_cascade(folder=cascade.folder, **options):
        return load(folder, registry=cascade.registry, recommend=False, precision="f32", **options)

    return load_cascade


class Counting:
    """An engine that counts the photos it is asked about."""

    name, device, precision, workers, batch = "counting", "cpu", "f32", 1, 4

    def __init__(self, network, spec):
        self.engine, self.photos = TorchEngine(network, spec.preprocess), 0

    def __call__(self, pixels):
        self.photos += len(pixels)
        return self.engine(pixels)


def torch_engines(cascade):
    specs = cascade.manifest.networks
    return [TorchEngine(network, spec.preprocess) for network, spec in zip(cascade.networks, specs, strict=True)]


def joint_of(cascade, stage, photo):
    """The probabilities of one network, by its own temperatures, computed here."""
    network, tree = cascade.networks[stage], cascade.manifest.taxonomy
    spec = (*cascade.manifest.early, cascade.manifest)[stage]
    with torch.inference_mode():
        planes = normalize(spec.preprocess, read_square(photo, spec.preprocess))
        output = network(torch.from_numpy(planes)[None])
    species = softmax(output.species.numpy()[0] / spec.temperatures.species)
    parts = [
        species[s] * softmax(output.leaf.numpy()[0, columns] / spec.temperatures.breeds.get(name, 1.0))
        for s, (name, columns) in enumerate(zip(tree.species, tree.slices, strict=True))
    ]
    return np.concatenate(parts)


def test_a_photo_is_answered_by_the_first_network_that_is_sure(cascade, loaded):
    answers = loaded().predict(PHOTOS)
    assert sum(answer.stage == 0 for answer in answers) == len(PHOTOS) // 2
    for photo, answer in zip(PHOTOS, answers, strict=True):
        early = joint_of(cascade, 0, photo)
        sure = early.max() > cascade.manifest.early[0].threshold
        assert answer.stage == (0 if sure else 1)
        np.testing.assert_allclose(answer.joint, early if sure else joint_of(cascade, 1, photo), atol=1e-4)


def test_outputs_of_all_networks_are_put_together_as_they_are_served(cascade):
    asked = Cascade(cascade.manifest, torch_engines(cascade))
    photos = [asked.squares(asked.decode(photo)) for photo in PHOTOS]
    served, stages, *_ = asked(photos, lambda row: asked.decode(PHOTOS[row]))
    early, main = (engine(seen_by(stage, photos)).outputs for stage, engine in enumerate(asked.engines))
    m = cascade.manifest
    found, stage = ask_in_turn([early], main, m.calibration, asked=m.early, learned=m.learned)
    assert stage.tolist() == stages.tolist()
    assert {*stages.tolist()} == {0, 1}
    for own, expected in zip(found, served[1:], strict=True):
        np.testing.assert_allclose(own, expected, rtol=1e-4, atol=1e-5)


def test_the_main_network_is_asked_only_about_photos_that_the_early_one_is_not_sure_of(cascade, loaded):
    early, main = map(Counting, cascade.networks, cascade.manifest.networks)
    predictor = Predictor(cascade.manifest, main, early=[early], model=loaded().model)
    answers = predictor.predict(PHOTOS)
    assert early.photos == len(PHOTOS)
    assert main.photos == sum(answer.stage == 1 for answer in answers) == len(PHOTOS) // 2


@pytest.mark.parametrize("options", [{}, {"workers": 3}, {"engine": "torch"}])
def test_an_answer_depends_on_neither_batch_nor_worker_nor_engine(loaded, options):
    expected = [loaded().predict(photo) for photo in PHOTOS]
    predictor = loaded(**options)
    for size in (1, 3, len(PHOTOS)):
        for alone, answer in zip(expected, predictor.stream(PHOTOS, batch_size=size), strict=True):
            assert (answer.path, answer.stage) == (alone.path, alone.stage)
            np.testing.assert_allclose(answer.joint, alone.joint, atol=1e-4)


def test_the_record_says_which_network_answered(loaded):
    answers = loaded().predict([*PHOTOS, b"no photo"])
    assert {answer.to_json()["stage"] for answer in answers[:-1]} == {0, 1}
    assert answers[-1].to_json()["stage"] is None


def test_a_gate_of_one_leaves_every_photo_to_the_main_network(cascade, loaded, copied):
    content = json.loads((copied / "bundle.json").read_text())
    content["early"][0]["threshold"] = 1.0
    (copied / "bundle.json").write_text(json.dumps(content))
    for photo, answer in zip(PHOTOS, loaded(copied).predict(PHOTOS), strict=True):
        assert answer.stage == 1
        np.testing.assert_allclose(answer.joint, joint_of(cascade, 1, photo), atol=1e-4)


def test_load_names_the_file_of_an_early_network_that_is_missing(loaded, copied):
    (copied / "openvino" / "early0.xml").unlink()
    with pytest.raises(BundleError, match=r"expected 2 OpenVINO graphs, as bundle\.json says, found 1"):
        loaded(copied)
    (copied / "early0.safetensors").unlink()
    with pytest.raises(BundleError, match=r"no early0\.safetensors"):
        loaded(copied, engine="torch")


def test_load_refuses_an_early_graph_of_another_input(cascade, loaded, copied):
    content = json.loads((copied / "bundle.json").read_text())
    content["early"][0]["preprocess"]["size"] = 40
    (copied / "bundle.json").write_text(json.dumps(content))
    with pytest.raises(BundleError, match=r"early0.xml: expected photos of 40 pixels"):
        loaded(copied)


def test_an_early_network_that_gives_nan_is_named_as_damage_and_not_passed_over(cascade, loaded):
    class Broken(Counting):
        def __call__(self, pixels):
            output = super().__call__(pixels)
            return output._replace(leaf=np.full_like(output.leaf, np.nan))

    early = Broken(cascade.networks[0], cascade.manifest.early[0])
    main = Counting(cascade.networks[1], cascade.manifest)
    predictor = Predictor(cascade.manifest, main, early=[early], model=loaded().model)
    answer = predictor.predict(PHOTOS[0])
    assert "NaN or infinity" in str(answer.error)
    assert main.photos == 0


def test_a_photo_is_decoded_for_the_network_that_needs_the_most(cascade, loaded):
    import cv2

    shade = np.random.default_rng(0).integers(0, 256, (12, 18), dtype=np.uint8)
    large = cv2.resize(np.repeat(shade[..., None], 3, axis=2), (1800, 1200), interpolation=cv2.INTER_CUBIC)
    photo = cv2.imencode(".jpg", large)[1].tobytes()
    asked = loaded().cascade
    side = min(asked.decode(photo).shape[:2])
    assert side >= max(spec.preprocess.decoded_side for spec in cascade.manifest.networks)
    assert side < 1200  # a JPEG is decoded no larger than need be
    assert [square.shape for square in asked.squares(asked.decode(photo))] == [(24, 24, 3), (32, 32, 3)]


def test_temperatures_of_both_networks_are_used(cascade):
    assert cascade.manifest.early[0].temperatures != cascade.manifest.temperatures != Temperatures()


def test_weights_of_an_early_network_that_do_not_fit_are_refused(loaded, copied):
    path = copied / "early0.safetensors"
    state = load_file(path)
    del state["species_head.bias"]
    save_file(state, path)
    with pytest.raises(BundleError, match=r"early0\.safetensors: does not fit backbone 'tiny'"):
        loaded(copied, engine="torch")
