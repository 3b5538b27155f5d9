import io
import itertools
import json
import os
import pickle
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.pictures import encode
from PIL import Image, ImageSequence

from hierpets.data.photos import NamedPhoto, read_photo
from hierpets.errors import ConfigError, DeviceError, ImageError, PluginError
from hierpets.hierarchy.probabilities import species_probabilities
from hierpets.inference.loading import load
from hierpets.inference.options import PredictOptions
from hierpets.inference.prediction import Prediction
from hierpets.inference.predictor import Predictor
from hierpets.recommend.choose import Recommender
from hierpets.registry.loading import load_registry

PHOTOS = ["demo:cat/siamese/1", "demo:dog/dalmatian/2", "demo:dog/pug/3", "demo:rabbit/-/4"]


@pytest.fixture(scope="module")
def predictor(tiny_run, registry):
    return load(tiny_run / "bundle", registry=registry)


@pytest.fixture(scope="module")
def jpeg(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("photos") / "cat.jpg"
    Image.fromarray(read_photo(PHOTOS[0])).save(path, quality=95)
    return path


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("ask", [lambda predictor: predictor(PHOTOS[0]), lambda predictor: [*predictor.stream(PHOTOS)]])
def test_predictor_says_that_a_forked_process_needs_its_own(predictor, ask):
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(5)  # else it might wait forever
        try:
            ask(predictor)
        except DeviceError as error:
            os.write(writing, str(error).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as said:
        assert said.read().startswith("this predictor was loaded before the process was forked")
    os.waitpid(child, 0)
    assert predictor(PHOTOS[0]).error is None, "the process that loaded it goes on"


def test_predict_of_one_path_is_one_prediction(predictor, jpeg):
    prediction = predictor.predict(str(jpeg))
    assert isinstance(prediction, Prediction)
    assert prediction.path == str(jpeg)
    assert prediction.error is None
    assert predictor(str(jpeg)).to_json() == prediction.to_json()


@pytest.mark.parametrize(
    "kind",
    ["str", "path", "listed", "bytes", "bytearray", "view", "array", "gray", "image", "opened", "opened by bytes"],
)
def test_predict_takes_every_kind_of_photo_and_its_record_is_json(predictor, jpeg, kind):
    photo = {
        "str": str(jpeg),
        "path": jpeg,
        "listed": next(os.scandir(os.fsencode(jpeg.parent))),  # whose path is bytes
        "bytes": jpeg.read_bytes(),
        "bytearray": bytearray(jpeg.read_bytes()),
        "view": memoryview(jpeg.read_bytes()),
        "array": read_photo(jpeg),
        "gray": read_photo(jpeg)[..., 0].copy(),
        "image": Image.fromarray(read_photo(jpeg)),
        "opened": Image.open(jpeg),
        "opened by bytes": Image.open(os.fsencode(jpeg)),
    }[kind]
    alone, (listed,) = predictor.predict(photo), predictor.predict([photo])
    assert alone.error is None
    record = json.loads(json.dumps(alone.to_json()))
    assert record == json.loads(json.dumps(listed.to_json()))
    names = {"array": "<array>", "gray": "<array>", "image": "<image>"}
    in_memory = ("bytes", "bytearray", "view")
    assert record["path"] == ("<bytes>" if kind in in_memory else names.get(kind, str(jpeg)))
    named = predictor.predict(NamedPhoto("upload", photo))
    assert named.path == "upload"
    np.testing.assert_array_equal(named.joint, alone.joint)
    if kind in ("str", "path", "listed", *in_memory):
        np.testing.assert_array_equal(alone.joint, predictor.predict(jpeg).joint)
    elif kind in ("image", "opened", "opened by bytes"):  # decoded whole, as the array is
        np.testing.assert_array_equal(alone.joint, predictor.predict(read_photo(jpeg)).joint)


def test_predict_of_a_list_keeps_the_order_and_gives_a_bad_photo_its_error(predictor, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff not a picture")
    paths = [PHOTOS[0], tmp_path / "broken.jpg", PHOTOS[1], str(tmp_path / "missing.jpg"), PHOTOS[2]]
    answers = predictor.predict(paths)
    assert [a.path for a in answers] == [str(path) for path in paths]
    assert [a.error is None for a in answers] == [True, False, True, False, True]
    assert all(isinstance(a.error, ImageError) for a in (answers[1], answers[3]))
    assert [a.species is None for a in answers] == [False, True, False, True, False]


def frames_in_one_array(pictures):
    buffer = np.empty_like(pictures[0])
    for picture in pictures:
        buffer[:] = picture
        yield buffer


def frames_in_one_image(pictures):
    canvas = Image.new("RGB", pictures[0].shape[1::-1])
    for picture in pictures:
        canvas.paste(Image.fromarray(picture))
        yield canvas


def pages(pictures):
    first, *others = map(Image.fromarray, pictures)
    return ImageSequence.Iterator(Image.open(io.BytesIO(encode(first, "TIFF", save_all=True, append_images=others))))


@pytest.mark.parametrize("several", [frames_in_one_array, frames_in_one_image, pages])
def test_each_photo_is_answered_though_the_next_takes_its_place(predictor, several):
    pictures = [read_photo(photo) for photo in PHOTOS]
    expected = [one.joint for one in predictor(pictures)]
    for ask in (predictor.predict, predictor.stream):
        np.testing.assert_array_equal([one.joint for one in ask(several(pictures))], expected)


def test_a_damaged_page_is_one_error(predictor):
    opened = Image.open(io.BytesIO(encode(Image.fromarray(read_photo(PHOTOS[0])), "PNG")[:200]))
    (prediction,) = predictor(iter([opened]))
    assert "the image cannot be read" in str(prediction.error)


def test_predict_says_what_to_do_with_an_address_of_the_web(predictor):
    assert "a URL is not read; download the photo first" in str(predictor("https://example.org/cat.jpg").error)


def test_predict_of_an_empty_list_is_an_empty_list(predictor):
    assert predictor.predict([]) == []


def test_predict_does_not_take_the_lines_of_a_file_for_photos(predictor, jpeg):
    for file in (io.BytesIO(b"a\nb"), open(jpeg, "rb")):  # noqa: PTH123, SIM115
        with file:
            for ask in (predictor.predict, predictor.stream):
                with pytest.raises(ConfigError, match=r"expected a photo.*got \w+; read it first: file.read\(\)"):
                    ask(file)


def test_predict_says_what_to_do_with_a_tensor(predictor):
    for tensor in (torch.zeros(8, 8, 3, dtype=torch.uint8), [torch.zeros(3, 8, 8)]):
        with pytest.raises(ConfigError, match=r"expected a photo.*got Tensor; make an array of the tensor: numpy\."):
            predictor(tensor)


def test_predict_of_an_image_without_pixels_is_one_error(predictor):
    prediction = predictor.predict(Image.new("RGB", (0, 5)))
    assert "0 x 5 pixels: there is nothing in it" in str(prediction.error)


def test_predict_says_what_boxes_are(predictor):
    with pytest.raises(ConfigError, match=r"boxes: expected what hierpets.read_boxes gives, got 'boxes.json'"):
        predictor.predict(PHOTOS[0], boxes="boxes.json")


@pytest.mark.parametrize(
    "photo", [3, None, [3], [["a.jpg"]], np.array("a.jpg"), NamedPhoto("a", NamedPhoto("b", "c.jpg"))]
)
def test_predict_says_what_a_photo_is(predictor, photo):
    with pytest.raises(ConfigError, match="expected a photo: a path, bytes, a uint8 array"):
        predictor.predict(photo)


def test_predict_of_an_array_of_the_wrong_shape_is_one_error(predictor):
    prediction = predictor.predict(np.zeros((4, 32, 32, 3), np.uint8))
    assert isinstance(prediction, Prediction)
    assert "expected a uint8 array [H, W, 3]" in str(prediction.error)
    assert "several photos are given as a list" in str(prediction.error)


@pytest.mark.parametrize("dtype", [str, object])
def test_predict_takes_an_array_of_paths_for_several_photos(predictor, dtype):
    paths = np.array([str(photo) for photo in PHOTOS], dtype)
    assert [answer.path for answer in predictor(paths)] == paths.tolist()
    (answer,) = predictor(np.array(["not-utf8-\udcff.jpg"], dtype))
    assert json.loads(answer.json_text()) == answer.to_json()


def test_predict_takes_a_column_of_an_arrow_table(predictor, jpeg):
    pa = pytest.importorskip("pyarrow")
    paths = [str(photo) for photo in PHOTOS]
    for column in (pa.array(paths), pa.chunked_array([paths[:1], paths[1:]])):
        assert [answer.path for answer in predictor(column)] == paths
    (answer,) = predictor.stream(pa.array([jpeg.read_bytes()]))
    assert answer.error is None


def test_predict_does_not_take_the_names_of_columns_for_photos(predictor):
    pa = pytest.importorskip("pyarrow")
    for table in ({"path": PHOTOS}, pa.table({"path": [str(photo) for photo in PHOTOS]})):
        for ask in (predictor.predict, predictor.stream):
            with pytest.raises(
                ConfigError, match=r"^expected photos, got \w+; pass the column of them: table\['path'\]"
            ):
                ask(table)


def test_predict_says_which_of_several_is_no_photo(predictor):
    with pytest.raises(ConfigError, match=r"^photos\[1\]: expected a photo: .*; got float$"):
        predictor([PHOTOS[0], float("nan")])


def test_stream_says_what_live_may_be(predictor):
    with pytest.raises(ConfigError, match="live: expected true, false or a function, got 'yes'"):
        predictor.stream(PHOTOS, live="yes")


def test_predictor_says_what_to_do_in_another_process(predictor):
    with pytest.raises(TypeError, match=r"cannot be pickled or copied; call hierpets.load in each process"):
        pickle.dumps(predictor)


def test_predict_takes_options_as_words(predictor):
    dogs = predictor.predict(PHOTOS[0], only=["dog"], top_k=2)
    assert dogs.species == "dog"
    assert dogs.decision.source == "restricted"
    assert len(dogs.decision.top) == 2
    assert dogs.to_json() == predictor.predict(PHOTOS[0], PredictOptions(only=["dog"], top_k=2)).to_json()
    assert predictor.predict(PHOTOS[0], max_level="species").level in ("species", "unknown")
    strict = predictor.predict(PHOTOS[0], alpha=0.001)
    assert strict.thresholds.alpha == 0.001
    with pytest.raises(ConfigError, match="did you mean 'alpha'"):
        predictor.predict(PHOTOS[0], alhpa=0.1)
    with pytest.raises(ConfigError, match="not a species or a breed"):
        predictor.predict(PHOTOS[0], only=["dgo"])


@pytest.mark.parametrize("photo", PHOTOS[:4])
def test_a_breed_that_may_be_asked_for_beside_a_species_keeps_the_doubt_that_it_is_listed(predictor, photo):
    """What says that a dog is of no listed breed speaks for the cat, not for the one dog that it may be."""
    tree = predictor.manifest.taxonomy
    cats, breed = tree.slices[tree.species_index("cat")], next(leaf for leaf in tree.leaves if leaf.species == "dog")
    plain, dogs = predictor.predict(photo), predictor.predict(photo, only=["dog"])
    dog = plain.joint[tree.leaf_index(*breed)] * dogs.decision.listed
    asked = predictor.predict(photo, only=["cat", str(breed)])
    expected = dog / (dog + plain.joint[cats].sum())
    assert asked.joint[tree.leaf_index(*breed)] == pytest.approx(expected, rel=1e-6)
    assert asked.joint.sum() == pytest.approx(1)


def test_predict_explains_shampoo_rules_when_asked(predictor):
    plain, explained = predictor.predict(PHOTOS[0]), predictor.predict(PHOTOS[0], explain=True)
    assert plain.recommendation.explain is None
    assert explained.recommendation.explain[0].rule == "expected_value"


def test_predict_does_not_depend_on_the_batch(predictor):
    together = predictor.stream(PHOTOS, batch_size=4)
    for photo, answer in zip(PHOTOS, together, strict=True):
        np.testing.assert_allclose(predictor.predict(photo).joint, answer.joint, atol=1e-5)


def test_predict_sums_to_one_and_sorts_the_top(predictor):
    for answer in predictor.predict(PHOTOS, top_k=4):
        taxonomy = predictor.manifest.taxonomy
        assert answer.joint.sum() == pytest.approx(1.0)
        assert species_probabilities(answer.joint[None], taxonomy).sum() == pytest.approx(1.0)
        probabilities = [p for _, p in answer.decision.top]
        assert len(probabilities) == 4
        assert probabilities == sorted(probabilities, reverse=True)


def test_predict_keeps_a_photo_whose_shampoo_rule_fails(predictor):
    class Failing:
        name = where = "failing"

        def call(self, case):
            raise PluginError("failing: no")

    broken = Predictor(
        predictor.manifest,
        predictor.engine,
        Recommender(Recommender.load(load_registry()).catalog, [Failing()]),
        model=predictor.model,
    )
    answers = broken.predict(PHOTOS)
    assert all(answer.error is None and answer.level for answer in answers)
    assert all(answer.recommendation.product is None for answer in answers)
    assert all("failing: no" in answer.recommendation.error for answer in answers)


def test_rules_are_asked_one_at_a_time_whatever_predictors_share_them(predictor):
    class Slow:
        name = where = "slow"
        inside, most = 0, 0

        def call(self, case):
            self.inside += 1
            self.most = max(self.most, self.inside)
            time.sleep(0.01)
            self.inside -= 1
            return []

    rule = Slow()
    recommender = Recommender(Recommender.load(load_registry()).catalog, [rule])
    two = [Predictor(predictor.manifest, predictor.engine, recommender, model=predictor.model) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda one: one.predict(PHOTOS), two))
    assert rule.most == 1


def test_stream_takes_endless_photos_within_bounds(predictor):
    taken = itertools.count()
    answers = predictor.stream(PHOTOS[next(taken) % 3] for _ in itertools.repeat(0))
    assert next(answers).error is None
    assert next(taken) <= 5 * predictor.engine.workers * predictor.engine.batch
    answers.close()


def test_stream_refuses_one_photo_and_wrong_words_at_the_call(predictor):
    for photo in ("photo.jpg", NamedPhoto.of("photo.jpg")):
        for ask in (predictor.stream, partial(predictor.predict_batch, options=PredictOptions())):
            with pytest.raises(ConfigError, match=r"expected several photos, .* got one; predict takes one"):
                ask(photo)
    with pytest.raises(ConfigError, match="unknown key"):
        predictor.stream(PHOTOS, nonsense=1)
    for size in (0, "8", float("nan")):
        with pytest.raises(ConfigError, match=f"batch_size: expected a whole number of at least 1, got {size!r}"):
            predictor.stream(PHOTOS, batch_size=size)
    with pytest.raises(ConfigError, match="limits: expected Limits, got 3"):
        predictor.stream(PHOTOS, limits=3)


def test_predict_refuses_a_named_photo_that_is_none(predictor):
    with pytest.raises(ConfigError, match=r"expected a photo: .*; got NoneType"):
        predictor.predict(NamedPhoto("upload 1", None))
    with pytest.raises(ConfigError, match="the name of a photo: expected text, got 1"):
        predictor.predict([NamedPhoto(1, PHOTOS[0])])


def test_predict_batch_refuses_what_is_no_photo_and_no_options(predictor):
    with pytest.raises(ConfigError, match="expected a photo"):
        predictor.predict_batch([None], PredictOptions())
    with pytest.raises(ConfigError, match=r"options: expected PredictOptions, got \{\}"):
        predictor.predict_batch([NamedPhoto.of(PHOTOS[0])], {})


def test_stream_keeps_no_photo(predictor):
    pixels = read_photo(PHOTOS[0])
    assert [p.photo for p in predictor.stream([pixels, pixels])] == [None, None]
    assert predictor.predict(pixels).photo is pixels


def test_stream_takes_names_for_photos_in_memory(predictor):
    (answer,) = predictor.stream([NamedPhoto("upload 1", read_photo(PHOTOS[0]))])
    assert answer.path == "upload 1"


def test_load_engines_agree(predictor, tiny_run, registry):
    exact, torch_predictor = (
        load(tiny_run / "bundle", engine=engine, precision="f32", registry=registry) for engine in ("openvino", "torch")
    )
    for a, b in zip(exact.predict(PHOTOS), torch_predictor.predict(PHOTOS), strict=True):
        np.testing.assert_allclose(a.joint, b.joint, atol=5e-3)


def test_load_refuses_a_device_that_is_not_there(tiny_run, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(DeviceError, match="--device cuda"):
        load(tiny_run / "bundle", device="cuda")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"device": "gpu"}, "device: expected one of auto, cpu, cuda, got 'gpu'"),
        ({"engine": "opnvino"}, "engine: expected one of .*did you mean 'openvino'"),
        ({"precision": "fp32"}, "precision: expected one of auto, f32"),
        ({"workers": 0}, "workers: expected a whole number of at least 1, got 0"),
        ({"workers": "2"}, "workers: expected a whole number of at least 1, got '2'"),
        ({"threads": 1.5}, "threads: expected a whole number of at least 1, got 1.5"),
        ({"compile": "no"}, "compile: expected true or false, got 'no'"),
        ({"registry": 3}, "registry: expected a path, got 3"),
        ({"registry": ""}, "registry: expected a path, got ''"),
        ({"engine": None}, "engine: expected one of auto, openvino, torch, got None"),
    ],
)
def test_load_refuses_words_that_mean_nothing(tiny_run, words, message):
    with pytest.raises(ConfigError, match=message):
        load(tiny_run / "bundle", **words)
    with pytest.raises(TypeError):
        load(tiny_run / "bundle", streams=2)


def test_load_refuses_a_bundle_that_is_no_path():
    for given in (3, ""):
        with pytest.raises(ConfigError, match=f"bundle: expected a path, got {given!r}"):
            load(given)


@pytest.mark.parametrize("words", [{"alpha": 3}, {"alpha": float("nan")}, {"max_set": 9}, {"max_set": 0}])
def test_thresholds_refuses_what_predict_refuses(predictor, words):
    for ask in (predictor.thresholds, partial(predictor.predict, PHOTOS[0])):
        with pytest.raises(ConfigError, match=f"{next(iter(words))}: expected"):
            ask(**words)


def test_thresholds_cannot_be_changed_from_outside(predictor):
    with pytest.raises(TypeError, match="does not support item assignment"):
        predictor.thresholds()["cat"] = predictor.thresholds()["dog"]


def test_predictor_repr_is_one_short_line(predictor):
    assert "\n" not in repr(predictor)
    assert predictor.model.digest in repr(predictor)
    assert len(repr(predictor)) < 120
