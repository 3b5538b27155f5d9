import gc
import io
import itertools
import json
import shutil
import weakref
from concurrent.futures import ThreadPoolExecutor
from functools import partialmethod

import cv2
import numpy as np
import pytest
from PIL import Image

from hierpets.bundle.layout import GRAPH, MANIFEST, released_bundle
from hierpets.data.photos import NamedPhoto
from hierpets.errors import ConfigError
from hierpets.inference.batch import BatchPredictor
from hierpets.inference.engines.openvino import OpenVinoEngine
from hierpets.inference.loading import load
from hierpets.inference.predictor import Predictor
from hierpets.registry.loading import load_registry

PHOTOS = [f"demo:{leaf}/{n}" for n in range(6) for leaf in ("cat/siamese", "dog/pug", "rabbit/-")]


@pytest.fixture(scope="module")
def loaded(tiny_run):
    """A function: the predictor of the tiny bundle with so many workers."""
    registry = load_registry(tiny_run.parent / "registry.yaml")
    return lambda **options: load(tiny_run / "bundle", registry=registry, **options)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_stream_depends_on_neither_workers_nor_company(loaded, workers):
    (expected,) = ([a.joint for a in loaded().stream(PHOTOS)],)
    answers = list(loaded(workers=workers).stream(PHOTOS))
    assert [a.path for a in answers] == PHOTOS
    for joint, answer in zip(expected, answers, strict=True):
        np.testing.assert_allclose(answer.joint, joint, atol=1e-6)


@pytest.mark.parametrize(
    ("photos", "workers", "batches"), [(18, 2, [9, 9]), (3, 2, [2, 1]), (1, 3, [1]), (18, 1, [1] * 18)]
)
def test_every_worker_gets_some_of_the_photos_of_a_list(loaded, monkeypatch, photos, workers, batches):
    sizes = []
    run = BatchPredictor.__call__
    monkeypatch.setattr(
        BatchPredictor, "__call__", lambda self, request, batch: sizes.append(len(batch)) or run(self, request, batch)
    )
    assert len(loaded(workers=workers).predict(PHOTOS[:photos])) == photos
    assert sorted(sizes, reverse=True) == batches


@pytest.fixture
def some_are_many(monkeypatch):
    monkeypatch.setattr("hierpets.inference.predictor.FEW", 4)
    monkeypatch.setattr("hierpets.inference.loading.cores", lambda: 2)


def test_many_photos_are_dealt_to_a_worker_per_core_with_the_same_answers(loaded, some_are_many, monkeypatch):
    def told(predictions):
        return [json.dumps(prediction.to_json()) for prediction in predictions]

    opened = []
    monkeypatch.setattr(
        "hierpets.inference.engines.openvino.OpenVinoEngine.__init__",
        partialmethod(_noting, OpenVinoEngine.__init__, opened),
    )
    predictor = loaded()
    expected = told(loaded(workers=1).predict(PHOTOS))
    assert told(predictor.predict(PHOTOS[:4])) == expected[:4]
    assert opened == [1, 1]
    assert told(predictor.predict(PHOTOS)) == expected
    assert told(predictor.stream(iter(PHOTOS))) == expected
    assert opened == [1, 1, 2], "loaded once, when many came"
    assert told(predictor.stream(PHOTOS, live=True)) == expected


def test_many_photos_are_predicted_where_the_bundle_is_gone_or_another(tiny_run, some_are_many, tmp_path, caplog):
    registry = load_registry(tiny_run.parent / "registry.yaml")
    expected = [answer.joint for answer in load(tiny_run / "bundle", registry=registry).predict(PHOTOS)]
    for change in (shutil.rmtree, _with_another_version):
        bundle = tmp_path / change.__name__
        shutil.copytree(tiny_run / "bundle", bundle)
        predictor = load(bundle, registry=registry)
        change(bundle)
        answers = predictor.predict(PHOTOS)
        for answer, joint in zip(answers, expected, strict=True):
            assert answer.model == predictor.model
            np.testing.assert_array_equal(answer.joint, joint)
    assert "many photos will take longer" in caplog.text


def _noting(self, init, opened, *arguments, workers=1, **words):
    opened.append(workers)
    init(self, *arguments, workers=workers, **words)


def _with_another_version(bundle):
    manifest = json.loads((bundle / MANIFEST).read_text())
    (bundle / MANIFEST).write_text(json.dumps(manifest | {"version": "another"}))


def test_stream_gives_the_same_digits_each_time(loaded):
    predictor = loaded(workers=2)
    told = [[json.dumps(a.to_json()) for a in predictor.stream(photos)] for photos in (PHOTOS, PHOTOS, PHOTOS[5:])]
    assert told[0] == told[1]
    assert told[0][5:] == told[2]


@pytest.mark.parametrize("engine", ["openvino", "torch"])
def test_stream_reads_endless_photos_ahead_within_bounds(loaded, engine):
    predictor = loaded(engine=engine, workers=2)
    taken = itertools.count()
    answers = predictor.stream(PHOTOS[next(taken) % 3] for _ in itertools.repeat(0))
    assert next(answers).error is None
    assert next(taken) <= 5 * predictor.engine.workers * predictor.engine.batch
    answers.close()


def test_stream_keeps_the_places_of_unreadable_photos(loaded):
    photos = [NamedPhoto(f"{n}", b"broken" if n % 3 == 0 else np.full((40, 40, 3), n, np.uint8)) for n in range(30)]
    for size in (1, 4, 7):
        answers = list(loaded(workers=2).stream(photos, batch_size=size))
        assert [a.path for a in answers] == [p.name for p in photos]
        assert [a.error is not None for a in answers] == [n % 3 == 0 for n in range(30)]


def test_stream_predicts_all_photos_before_one_that_is_none(loaded):
    answers = loaded(workers=2).stream([*PHOTOS[:10], 3])
    assert [next(answers).path for _ in range(10)] == PHOTOS[:10]
    with pytest.raises(ConfigError, match=r"photos\[10\]"):
        next(answers)


def test_live_stream_predicts_each_photo_before_it_asks_for_the_next(loaded):
    answered = []

    def photos():
        for n in range(3):
            assert len(answered) == n
            yield PHOTOS[n]

    for answer in loaded(workers=2).stream(photos(), live=True):
        answered.append(answer.path)
    assert answered == PHOTOS[:3]


def test_stream_of_nothing_is_nothing(loaded):
    assert list(loaded().stream([])) == []


def test_openvino_engine_gives_each_thread_its_own_output(tiny_run):
    rng = np.random.default_rng(0)
    given = [rng.integers(0, 256, size=(1 + n % 4, 32, 32, 3), dtype=np.uint8) for n in range(60)]
    engine, alone = (OpenVinoEngine(tiny_run / "bundle" / GRAPH, workers=workers) for workers in (2, 1))
    with ThreadPoolExecutor(4) as threads:
        for ours, images in zip(threads.map(engine, given), given, strict=True):
            for a, b in zip(ours, alone(images), strict=True):
                np.testing.assert_allclose(a, b, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("precision", "turns"), [pytest.param("f32", 5, marks=pytest.mark.slow), ("int8", 2)])
def test_openvino_engine_compiles_to_the_same_network_every_time(precision, turns, tmp_path, monkeypatch):
    """Weights of eight bits in a float graph were now and then unpacked wrong where streams were compiled together."""
    graph = released_bundle() / GRAPH
    images = np.random.default_rng(0).integers(0, 256, size=(1, 288, 288, 3), dtype=np.uint8)
    expected = OpenVinoEngine(graph, precision)(images)
    for turn in range(turns):
        monkeypatch.setenv("HIERPETS_CACHE", str(tmp_path / str(turn)))
        engine = OpenVinoEngine(graph, precision, workers=2)
        with ThreadPoolExecutor(2) as threads:
            for ours in threads.map(engine, [images] * 4):
                for a, b in zip(ours, expected, strict=True):
                    np.testing.assert_allclose(a, b, atol=1e-3, rtol=1e-4)


@pytest.fixture
def poisoned(monkeypatch):
    """One photo whose decoding raises what nobody expects."""
    from hierpets.inference.engines import cascade

    read = cascade.read_photo

    def read_or_fail(photo, **options):
        if photo == PHOTOS[1]:
            raise OverflowError("Python int too large to convert to C long")
        return read(photo, **options)

    monkeypatch.setattr(cascade, "read_photo", read_or_fail)
    return PHOTOS[1]


def test_stream_gives_an_unexpected_error_to_its_photo_alone(loaded, poisoned, caplog):
    expected = [a.joint for a in loaded().stream(p for p in PHOTOS[:8] if p != poisoned)]
    answers = list(loaded(workers=2).stream(PHOTOS[:8], batch_size=8))
    (failed,) = [a for a in answers if a.error]
    assert failed.path == poisoned
    assert failed.to_json()["error"]["type"] == "InternalError"
    assert "unexpected OverflowError" in str(failed.error)
    assert "Traceback" in caplog.text
    for answer, joint in zip([a for a in answers if not a.error], expected, strict=True):
        np.testing.assert_allclose(answer.joint, joint, atol=1e-6)


def test_stream_finds_the_photo_that_an_engine_fails_on(loaded):
    predictor = loaded()
    engine = predictor.engine
    bad = np.full((40, 40, 3), 255, np.uint8)

    class Fragile:
        name, device, precision, workers, batch = engine.name, engine.device, engine.precision, 1, 8

        def __call__(self, images):
            if (np.ptp(images, axis=(2, 3)) < 1e-6).all(axis=1).any():  # a photo of one color
                raise RuntimeError("the kernel is broken")
            return engine(images)

    predictor = Predictor(predictor.manifest, Fragile(), model=predictor.model)
    photos = [
        *(NamedPhoto(p, p) for p in PHOTOS[:3]),
        NamedPhoto("white", np.ascontiguousarray(bad)),
        NamedPhoto("last", PHOTOS[3]),
    ]
    answers = list(predictor.stream(photos, batch_size=8))
    assert [a.path for a in answers if a.error] == ["white"]
    assert [a.path for a in answers] == [p.name for p in photos]


def test_stream_gives_a_failing_decision_to_its_photo_alone(loaded, monkeypatch):
    from hierpets.inference import request as module

    predictor = loaded()
    decide, bad = module.decide, predictor.predict(PHOTOS[2]).joint

    def fail_on_one(joint, *args, **kwargs):
        if (joint == bad).all(axis=1).any():
            raise ZeroDivisionError
        return decide(joint, *args, **kwargs)

    monkeypatch.setattr(module, "decide", fail_on_one)
    answers = list(predictor.stream(PHOTOS[:5], batch_size=5))
    assert [a.error is not None for a in answers] == [False, False, True, False, False]


def test_stream_warns_of_the_damaged_photo_alone(loaded, tmp_path, caplog):
    whole = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))[1].tobytes()
    first, damaged, last = loaded().stream([whole, whole[:-2], whole], batch_size=3)
    assert (first.warning, last.warning) == (None, None)
    assert damaged.warning == "damaged JPEG: Premature end of JPEG file"
    assert damaged.error is None
    assert not caplog.records


def test_stream_lets_go_of_a_photo_that_cannot_be_read(loaded):
    file = io.BytesIO()
    Image.effect_noise((300, 300), 50).save(file, "PNG")
    broken = Image.open(io.BytesIO(file.getvalue()[:20_000]))
    alive = weakref.ref(broken)
    gc.disable()  # which would let go of it in the end, long after memory has filled up
    try:
        (answer,) = loaded().stream([NamedPhoto("broken", broken)])
        del broken
        assert answer.error is not None
        assert answer.error.__cause__ is not None
        assert alive() is None
    finally:
        gc.enable()
