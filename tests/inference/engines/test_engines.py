"""Which engine, on which device, in which precision; and that what computes in less says so."""

import locale
import logging
import os
import platform
import re
import shutil
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
import torch

from hierpets.bundle.layout import GRAPH, released_bundle
from hierpets.bundle.manifest import read_manifest
from hierpets.data.photos import read_photo
from hierpets.errors import BundleError, DeviceError
from hierpets.inference.engines import base
from hierpets.inference.engines.base import COMPUTES, PRECISIONS, choose_device, choose_engine, choose_precision
from hierpets.inference.engines.openvino import (
    CAPABILITY,
    OpenVinoEngine,
    capabilities,
    compile_model,
    has_vnni,
    require_precision,
)
from hierpets.inference.loading import load
from hierpets.model.graph.convert import convert_module, save_graph
from hierpets.model.graph.runtime import openvino as ov
from hierpets.model.reader import read_networks


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, size=(6, 32, 32, 3), dtype=np.uint8)


def released_size():
    return read_manifest(released_bundle()).preprocess.size


def engine(tiny_run, registry, **chosen):
    return load(tiny_run / "bundle", registry=registry, recommend=False, **chosen).engine


@pytest.mark.parametrize(
    ("engine", "device", "has", "expected"),
    [
        ("openvino", "cpu", {}, "f32"),
        ("openvino", "cpu", {"has_bf16": True}, "bf16"),
        ("openvino", "cpu", {"has_bf16": True, "quantized": True}, "int8"),
        ("openvino", "cpu", {"quantized": True}, "int8"),
        ("torch", "cpu", {"has_bf16": True, "quantized": True}, "f32"),
        ("torch", "cuda", {"quantized": True}, "f16"),
    ],
)
def test_choose_precision_auto_is_the_fastest_and_torch_on_a_cpu_the_reference(engine, device, has, expected):
    assert choose_precision("auto", engine, device, **has) == expected


@pytest.mark.parametrize("combination", COMPUTES)
@pytest.mark.parametrize("precision", PRECISIONS[1:])
def test_choose_precision_is_what_was_asked_for_or_refused_with_the_choices(combination, precision):
    choices = COMPUTES[combination]
    if precision in choices:
        assert choose_precision(precision, *combination) == precision
    else:
        with pytest.raises(DeviceError, match=f"choose {', '.join(choices)}$"):
            choose_precision(precision, *combination)


def test_choose_engine_gives_one_that_has_precisions():
    for device in ("cpu", "cuda"):
        assert (choose_engine("auto", device), device) in COMPUTES
        assert (choose_engine("torch", device), device) in COMPUTES


@pytest.fixture
def failing_gpu(monkeypatch):
    """A GPU that torch finds, and has no kernels for."""

    def fail(*shape, device):
        raise RuntimeError("CUDA error: no kernel image is available\nCompile with TORCH_USE_CUDA_DSA")

    monkeypatch.setattr(base, "_driver_present", lambda: True)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.ones", fail)


@pytest.mark.usefixtures("failing_gpu")
def test_choose_device_auto_warns_of_a_gpu_that_fails_and_takes_the_cpu(caplog):
    assert choose_device("auto") == "cpu"
    assert caplog.messages == [
        "computing on the CPU, for the GPU cannot be used: CUDA error: no kernel image is available; --device cpu asks "
        "for that"
    ]


@pytest.mark.usefixtures("failing_gpu")
def test_choose_device_refuses_a_gpu_that_fails():
    with pytest.raises(DeviceError, match=r"^--device cuda: this GPU .*: CUDA error: .* available; use --device cpu$"):
        choose_device("cuda")


@pytest.mark.parametrize(("rank", "expected"), [(None, "cuda"), ("1", "cuda:1")])
def test_choose_device_tries_the_gpu_that_is_for_this_process(monkeypatch, rank, expected):
    tried, ones = [], torch.ones
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    if rank is not None:
        monkeypatch.setenv("LOCAL_RANK", rank)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.ones", lambda *shape, device: (tried.append(device), ones(*shape))[1])
    assert choose_device("cuda") == "cuda"
    assert tried == [expected]


@pytest.mark.parametrize("engine_name", ["openvino", "torch"])
def test_engines_in_bf16_are_near_f32_and_not_f32(tiny_run, registry, images, engine_name):
    if engine_name == "openvino" and "BF16" not in capabilities():
        pytest.skip("hardware: this CPU has no bf16")
    exact = engine(tiny_run, registry, engine=engine_name, precision="f32")(images)
    half = engine(tiny_run, registry, engine=engine_name, precision="bf16")
    assert half.precision == "bf16"
    for name, ours, theirs in zip(exact._fields, exact, half(images), strict=True):
        assert theirs.dtype == np.float32
        assert 0 < np.abs(ours - theirs).max() <= 0.1 * np.abs(ours).max(), name


def test_torch_engine_keeps_heads_in_f32_above_a_backbone_in_bf16(tiny_run, registry, images):
    half = engine(tiny_run, registry, engine="torch", precision="bf16")
    output = half(images)
    network = read_networks(tiny_run / "bundle", read_manifest(tiny_run / "bundle"), registry)[-1]
    expected = network.forward_head(torch.from_numpy(output.features))
    np.testing.assert_allclose(output.leaf, expected.leaf.detach().numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("precision", "has", "choices"),
    [("bf16", ["FP32"], "f32"), ("f16", ["FP32", "BF16"], "f32, bf16"), ("bf16", ["FP32", "FP16"], "f32, f16")],
)
def test_require_precision_refuses_what_the_cpu_does_not_have(precision, has, choices):
    with pytest.raises(DeviceError, match=f"--precision {precision}: this CPU does not support it; choose {choices}$"):
        require_precision(precision, has)


def test_compile_model_compiles_what_the_cpu_says_it_has(tiny_run):
    names = {"bf16": "bfloat16", "f16": "float16", "f32": "float32"}
    for precision in ("f32", *(p for p, needed in CAPABILITY.items() if needed in capabilities())):
        compiled = compile_model(tiny_run / "bundle" / GRAPH, precision)
        assert names[precision] in str(compiled.get_property("INFERENCE_PRECISION_HINT"))


def test_compile_model_leaves_the_locale_alone_however_many_compile_at_once(tiny_run, tmp_path):
    before = locale.setlocale(locale.LC_CTYPE)
    with ThreadPoolExecutor(4) as threads:
        for _ in threads.map(lambda _: compile_model(tiny_run / "bundle" / GRAPH, cache=tmp_path), range(40)):
            pass
    assert locale.setlocale(locale.LC_CTYPE) == before


def test_openvino_engine_refuses_int8_of_a_float_graph(tiny_run, registry):
    with pytest.raises(BundleError, match="--precision int8: the graph of this bundle is not quantized"):
        engine(tiny_run, registry, engine="openvino", precision="int8")


def test_openvino_engine_answers_photos_together_as_one_by_one():
    photos = np.random.default_rng(0).integers(0, 256, size=(10, *[released_size()] * 2, 3), dtype=np.uint8)
    alone, several = (load(recommend=False, precision="int8", workers=workers).engine for workers in (1, 2))
    assert (alone.at_once, several.at_once) == (1, 8 if platform.machine() in ("x86_64", "AMD64") else 1)
    expected = [alone(photo[None]) for photo in photos]
    for first in range(len(photos)):  # the same photo in another place, among others, and in what is left over
        for found, *wanted in zip(several(photos[first:]), *expected[first:], strict=True):
            np.testing.assert_array_equal(found, np.concatenate(wanted))


def test_openvino_engine_takes_less_memory_for_photos_that_come_one_by_one():
    engine = load(recommend=False, precision="int8", workers=2, together=False).engine
    assert (engine.at_once, engine.workers) == (1, 2)


def test_openvino_engine_answers_one_by_one_where_a_graph_would_round_several_otherwise(tmp_path):
    bundle = shutil.copytree(released_bundle(), tmp_path / "earlier")
    graph = bundle / GRAPH
    text = graph.read_text(encoding="utf-8")
    assert "<hierpets>" in text
    graph.write_text(re.sub(r"<hierpets>.*?</hierpets>", "", text, flags=re.DOTALL), encoding="utf-8")
    assert load(bundle, recommend=False, precision="int8", workers=2).engine.at_once == 1


def test_a_graph_that_takes_no_pixels_is_to_be_written_anew(tiny_run, registry, tmp_path):
    bundle = shutil.copytree(tiny_run / "bundle", tmp_path / "planes")
    network, spec = read_networks(bundle, read_manifest(bundle), registry)[-1], read_manifest(bundle).preprocess
    graph = convert_module(network, spec.size)
    graph.reshape([1, 3, spec.size, spec.size])
    save_graph(graph, bundle / GRAPH)
    with pytest.raises(BundleError, match=r"the graph has the shapes \[1,3,32,32\].*; write it anew: hierpets export"):
        load(bundle, registry=registry, recommend=False)


def test_openvino_engine_answers_alike_where_filters_would_overflow(monkeypatch):
    photo = np.random.default_rng(0).integers(0, 256, size=(1, *[released_size()] * 2, 3), dtype=np.uint8)
    pug = cv2.resize(read_photo("demo:dog/pug/1"), (released_size(),) * 2)[None]
    exact, exact_pug = map(load(recommend=False, precision="f32").engine, (photo, pug))
    for able in sorted({has_vnni(), False}):  # without it, what is not divided does overflow
        monkeypatch.setattr("hierpets.inference.engines.openvino.has_vnni", lambda able=able: able)
        rounded = load(recommend=False, precision="int8").engine
        found = rounded(photo)
        if able:
            np.testing.assert_allclose(found.features, exact.features, atol=0.3)
        assert np.linalg.norm(found.features - exact.features) < 0.15 * np.linalg.norm(exact.features)
        assert found.species.argmax() == exact.species.argmax()  # of noise no breed is probable
        assert rounded(pug).leaf.argmax() == exact_pug.leaf.argmax()


def test_openvino_engine_keeps_a_bounded_cache(tiny_run, registry, tmp_path, monkeypatch):
    monkeypatch.setenv("HIERPETS_CACHE", str(tmp_path))
    monkeypatch.setattr("hierpets.inference.engines.openvino.CACHE_BYTES", 0)
    for threads in (1, 2, 3):
        engine(tiny_run, registry, engine="openvino", threads=threads)
    assert 1 <= len(list((tmp_path / "openvino").rglob("*.blob"))) <= 2  # the newest, and what was compiled after it


def test_openvino_engine_runs_no_network_that_was_replaced_or_damaged_since_it_was_compiled(tmp_path, monkeypatch):
    """Files of builds that are reproducible have one size and one time, whatever weights they hold."""
    monkeypatch.setenv("HIERPETS_CACHE", str(tmp_path / "cache"))

    def write(folder, bias):
        pixels = ov.opset13.parameter([-1, 4, 4, 3], np.uint8)
        mean = ov.opset13.reduce_mean(ov.opset13.convert(pixels, "f32"), np.array([1, 2]))
        outputs = [ov.opset13.add(mean, np.full((1, 3), bias + n, np.float32)) for n in range(4)]
        (tmp_path / folder).mkdir()
        ov.save_model(ov.Model(outputs, [pixels]), tmp_path / folder / "model.xml", compress_to_fp16=False)
        for file in (tmp_path / folder).iterdir():
            os.utime(file, (10**9, 10**9))

    def species():
        return float(OpenVinoEngine(tmp_path / "served" / "model.xml")(np.zeros((1, 4, 4, 3), np.uint8)).species[0, 0])

    write("served", 1.0)
    assert [species(), species()] == [2.0, 2.0]
    write("other", 5.0)
    weights = tmp_path / "served" / "model.bin"
    shutil.copy2(tmp_path / "other" / "model.bin", weights)
    assert species() == 6.0
    weights.write_bytes(weights.read_bytes()[:4])
    with pytest.raises(BundleError, match="OpenVINO cannot run this graph"):
        species()


def test_openvino_engine_works_without_a_cache(tiny_run, registry, tmp_path, monkeypatch, caplog, images):
    expected = engine(tiny_run, registry, engine="openvino")(images[:1])
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HIERPETS_CACHE", str(tmp_path / "file"))
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            got = engine(tiny_run, registry, engine="openvino", workers=2)(images[:1])
            np.testing.assert_allclose(got[0], expected[0], atol=1e-6)
    assert caplog.text.count("cache not used: ") == 1
