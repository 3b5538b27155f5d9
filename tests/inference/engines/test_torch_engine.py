"""The torch engine: batches in flight, compiled networks, and CUDA where there is one."""

import functools
import inspect
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers.fakes import PLUGIN, tiny_registry
from helpers.switches import is_exact

from hierpets.bundle.manifest import read_manifest
from hierpets.cli import main
from hierpets.errors import ConfigError, DeviceError
from hierpets.inference.engines.base import warm_up
from hierpets.inference.engines.torch import DTYPES, TorchEngine
from hierpets.inference.loading import load
from hierpets.model.reader import read_networks
from hierpets.plugin import Preprocess

gpu = pytest.mark.gpu

PREPROCESS = Preprocess(size=32, crop=1.0)  # that of the tiny backbone


@pytest.fixture(scope="module")
def bundle(tiny_run):
    return tiny_run / "bundle"


@pytest.fixture(scope="module")
def network(bundle, registry):
    return read_networks(bundle, read_manifest(bundle), registry)[-1]


def batches(*sizes: int) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.integers(0, 256, size=(n, 32, 32, 3), dtype=np.uint8) for n in sizes]


def agree(ours, theirs, atol=1e-5):
    for name, a, b in zip(ours._fields, ours, theirs, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, atol=atol, rtol=1e-4, err_msg=name)


def test_threads_that_share_an_engine_get_their_own_answers(network):
    engine = TorchEngine(network, PREPROCESS)
    given = batches(*[1 + i % 5 for i in range(40)])
    with ThreadPoolExecutor(4) as threads:
        for ours, images in zip(threads.map(engine, given), given, strict=True):
            agree(ours, engine(images))


@pytest.mark.parametrize("precision", ["bf16", "f16"])
def test_features_in_half_precision_are_those_of_autocast_to_the_bit(network, precision):
    weights, (images,) = deepcopy(network.state_dict()), batches(3)
    inputs = []
    handle = network.backbone.register_forward_pre_hook(lambda _, given: inputs.extend(given))
    TorchEngine(network, PREPROCESS)(images)
    handle.remove()
    with torch.inference_mode(), torch.autocast("cpu", dtype=DTYPES[precision]):
        expected = network.backbone(*inputs).float().numpy()
    np.testing.assert_array_equal(TorchEngine(network, PREPROCESS, precision=precision)(images).features, expected)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, weights[name]), name


def test_one_thread_runs_the_network_whichever_threads_ask(network):
    # cuDNN's plans belong to the thread that made them: on a GPU, every other thread would wait seconds for its own.
    ran_in = []
    handle = network.register_forward_hook(lambda *_: ran_in.append(threading.get_ident()))
    engine = TorchEngine(network, PREPROCESS)
    for images in batches(1, 2):
        with ThreadPoolExecutor(1) as caller:
            caller.submit(engine, images).result()
    handle.remove()
    assert len(ran_in) == 2
    assert len(set(ran_in)) == 1


def test_compiled_batches_are_filled_up_and_the_answer_is_cut_to_its_rows(network, monkeypatch):
    seen = []

    def compile_nothing(module, *, dynamic):
        assert not dynamic
        return lambda images: (seen.append(len(images)), module(images))[1]

    monkeypatch.setattr(torch, "compile", compile_nothing)
    engine, plain = TorchEngine(network, PREPROCESS, compile=True), TorchEngine(network, PREPROCESS)
    for images in batches(1, 2, 3, 5, 8, 13):
        agree(engine(images), plain(images))
    assert seen == [1, 2, 4, 8, 8, 16]


@pytest.mark.skipif(
    "isolate_recompiles" not in inspect.signature(torch.compile).parameters, reason="torch: this one compiles for eight"
)
def test_every_network_is_compiled_for_every_size_of_a_batch(network, monkeypatch):
    compiled, sizes = torch.compile, []

    def backend(graph, inputs):
        sizes.append(next(len(tensor) for tensor in inputs if tensor.dtype == torch.uint8))
        return graph

    monkeypatch.setattr(torch, "compile", functools.wraps(compiled)(functools.partial(compiled, backend=backend)))
    networks = [deepcopy(network) for _ in range(2)]
    networks[1].backbone.append(torch.nn.ReLU())  # it cannot take what was compiled for the other
    engines = [TorchEngine(network, PREPROCESS, compile=True) for network in networks]
    expected = [1 << power for power in range(6)]
    for engine in engines:
        for images in batches(*expected):
            engine(images)
    assert sizes == expected * 2


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_a_compiled_network_agrees(bundle, registry, precision):
    compiled, plain = (
        load(bundle, registry=registry, engine="torch", precision=precision, compile=compile, recommend=False).engine
        for compile in (True, False)
    )
    for images in batches(4, 3):
        agree(compiled(images), plain(images), atol=1e-3 if precision == "f32" else 0.2)


def test_compile_is_refused_where_openvino_runs(bundle, registry):
    with pytest.raises(ConfigError, match=r"compile is for the engine torch; the engine openvino always compiles"):
        load(bundle, registry=registry, device="cpu", compile=True)


def test_warming_up_runs_batches_of_the_size_that_is_timed():
    seen = []
    warm_up(lambda images: seen.append((images.shape, images.dtype)), 48, batch_size=5, times=2)
    assert seen == [((5, 48, 48, 3), np.uint8)] * 2


class FakeCuda:
    """CUDA's streams and events, and tensors that stay where they are; ``told`` is what was asked of it, in order.

    Each thread has a device of its own, the first until it sets another; ``used`` are those that anything was done on.
    """

    def __init__(self, monkeypatch):
        self.told = told = []
        self.used = used = set()
        of_thread = threading.local()

        def device():
            return getattr(of_thread, "device", 0)

        class Stream:
            def wait_stream(self, other):
                told.append("compute waits for copy" if (self, other) == (current, made[0]) else "?")

        class Event:
            def record(self):
                used.add(device())
                told.append("event recorded")

            def synchronize(self):
                told.append("event awaited")

        current, made = Stream(), []
        empty = torch.empty

        @contextmanager
        def within(stream):
            told.append("copy stream" if stream is made[0] else "?")
            yield
            told.append("end")

        def moved(tensor, device, *, non_blocking):
            told.append(f"to {device}{' and on' if non_blocking else ''}")
            return tensor

        def current_stream():
            used.add(device())
            return current

        def host(*shape, dtype, pin_memory):
            assert pin_memory
            return empty(*shape, dtype=dtype)

        monkeypatch.setattr(torch.cuda, "Stream", lambda: made.append(Stream()) or made[-1])
        monkeypatch.setattr(torch.cuda, "Event", Event)
        monkeypatch.setattr(torch.cuda, "stream", within)
        monkeypatch.setattr(torch.cuda, "current_device", device)
        monkeypatch.setattr(torch.cuda, "set_device", lambda device: setattr(of_thread, "device", device))
        monkeypatch.setattr(torch.cuda, "current_stream", current_stream)
        monkeypatch.setattr(torch, "empty", host)
        monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: told.append("pinned") or tensor)
        monkeypatch.setattr(torch.Tensor, "to", moved)
        monkeypatch.setattr(
            torch.Tensor,
            "record_stream",
            lambda tensor, stream: told.append("memory kept for compute" if stream is current else "?"),
        )
        monkeypatch.setattr(torch.nn.Module, "to", lambda module, to, **how: used.add(device()) or module)


def test_batches_on_a_gpu_are_filled_up_and_the_answer_is_cut_to_its_rows(network, monkeypatch):
    plain, seen = TorchEngine(network, PREPROCESS), []
    expected = [plain(images) for images in batches(1, 2, 3, 5)]
    handle = network.register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    with monkeypatch.context() as patch:
        FakeCuda(patch)
        engine = TorchEngine(network, PREPROCESS, "cuda")
        for images, theirs in zip(batches(1, 2, 3, 5), expected, strict=True):
            agree(engine(images), theirs)
    handle.remove()
    assert seen == [1, 2, 4, 8]


def test_a_batch_is_copied_on_one_stream_computed_on_another_and_awaited_at_the_end(network, monkeypatch):
    (images,) = batches(3)
    expected = TorchEngine(network, PREPROCESS)(images)
    with monkeypatch.context() as patch:
        cuda = FakeCuda(patch)
        output = TorchEngine(network, PREPROCESS, "cuda")(images)
    assert cuda.told == [
        "pinned",
        "copy stream",
        "to cuda and on",
        "end",
        "compute waits for copy",
        "memory kept for compute",
        "event recorded",
        "event awaited",
    ]
    agree(output, expected)


def test_bf16_is_refused_on_a_gpu_that_only_emulates_it(network, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.current_device", lambda: 0)
    monkeypatch.setattr("torch.cuda.get_device_properties", lambda _: SimpleNamespace(major=7, minor=5))
    monkeypatch.setattr("torch.cuda._check_bf16_tensor_supported", lambda _: True)
    with pytest.raises(DeviceError, match="this GPU does not support it; choose f32, f16"):
        TorchEngine(network, PREPROCESS, "cuda", "bf16")


def test_batches_are_computed_on_the_gpu_that_was_current_when_the_engine_was_made(network, monkeypatch):
    with monkeypatch.context() as patch, ThreadPoolExecutor(1) as caller:
        cuda = FakeCuda(patch)
        torch.cuda.set_device(1)
        engine = TorchEngine(network, PREPROCESS, "cuda")
        caller.submit(engine, *batches(3)).result()
    assert cuda.used == {1}


def test_engines_that_run_at_once_compute_in_exact_float32(network, monkeypatch):
    (images,), before, seen = batches(1), is_exact(), []
    inside, left = threading.Event(), threading.Event()
    networks = [deepcopy(network) for _ in range(2)]
    with monkeypatch.context() as patch, ThreadPoolExecutor(1) as caller:
        FakeCuda(patch)
        first, second = (TorchEngine(network, PREPROCESS, "cuda") for network in networks)
        # The second begins while the first computes, and ends after it.
        networks[0].register_forward_hook(lambda *_: (caller.submit(second, images), inside.wait(9), None)[-1])
        networks[1].register_forward_hook(lambda *_: (inside.set(), left.wait(9), seen.append(is_exact()), None)[-1])
        first(images)
        left.set()
    assert seen == [True]
    assert is_exact() == before


class TestCuda:
    pytestmark = gpu

    @pytest.mark.parametrize(("precision", "atol"), [("f32", 1e-3), ("f16", 0.05), ("bf16", 0.3)])
    def test_cuda_agrees_with_the_cpu(self, bundle, registry, network, precision, atol):
        if precision == "bf16" and not torch.cuda.is_bf16_supported(including_emulation=False):
            pytest.skip("hardware: this GPU has no bf16")
        engine = load(bundle, registry=registry, device="cuda", precision=precision, recommend=False).engine
        for images in batches(1, 7):
            agree(engine(images), TorchEngine(network, PREPROCESS)(images), atol=atol)

    def test_auto_takes_cuda_and_f16(self, bundle, registry):
        engine = load(bundle, registry=registry, recommend=False).engine
        assert (engine.name, engine.device, engine.precision) == ("torch", "cuda", "f16")

    def test_batches_in_flight_do_not_mix(self, bundle, registry):
        engine = load(bundle, registry=registry, device="cuda", precision="f32", recommend=False).engine
        given = batches(*[1 + i % 9 for i in range(200)])
        with ThreadPoolExecutor(4) as threads:
            for ours, images in zip(threads.map(engine, given), given, strict=True):
                agree(ours, engine(images), atol=1e-4)

    def test_the_network_is_channels_last(self, bundle, registry):
        engine = load(bundle, registry=registry, device="cuda", precision="f32", recommend=False).engine
        filters = [p for p in engine._network.parameters() if p.ndim == 4 and p.shape[1] > 1]
        assert filters
        assert all(p.is_contiguous(memory_format=torch.channels_last) for p in filters)

    def test_a_compiled_network_agrees(self, bundle, registry, network):
        engine = load(bundle, registry=registry, device="cuda", precision="f16", compile=True, recommend=False).engine
        for images in batches(4, 3, 1):
            agree(engine(images), TorchEngine(network, PREPROCESS)(images), atol=0.05)


@pytest.fixture
def fragile_registry(tmp_path):
    """A function: a registry whose backbone raises an error on features of which a condition holds."""

    def make(condition: str, error: str = "RuntimeError('the kernel is broken')") -> Path:
        tiny_registry(tmp_path)
        layer = f"""
class Fragile(torch.nn.Module):
    def forward(self, features):
        if {condition}:
            raise {error}
        return features
"""
        plugin = PLUGIN.replace("torch.nn.Flatten(),", "torch.nn.Flatten(), Fragile(),") + layer
        (tmp_path / "plugins" / "tiny.py").write_text(plugin)
        return tmp_path / "registry.yaml"

    return make


@pytest.fixture
def told(bundle, capsys):
    """A function: what a command that fails says on standard error; nothing on standard output."""

    def run(command, registry, *more):
        with pytest.raises(SystemExit) as ended:
            main([command, *more, "--model", str(bundle), "--registry", str(registry)])
        said = capsys.readouterr()
        assert (ended.value.code, said.out) == (1, "")
        return said.err

    return run


FIVE = [f"demo:cat/siamese/{n}" for n in range(5)]


@pytest.mark.parametrize("more", [[], ["--out", "pets.jsonl"]])
def test_gpu_without_memory_is_told_in_one_line_that_blames_no_plugin(
    told, fragile_registry, caplog, tmp_path, monkeypatch, more
):
    monkeypatch.chdir(tmp_path)
    registry = fragile_registry(
        "len(features) != 2", "torch.OutOfMemoryError('CUDA out of memory. Tried 9 GiB. GPU 0')"
    )
    error = told("predict", registry, "--engine", "torch", *FIVE, *more)
    assert caplog.text == ""
    assert re.fullmatch(r"error: CUDA out of memory. Tried 9 GiB: use --device cpu, .*\n", error)


@pytest.mark.parametrize("place", [(torch.nn.Module, "to"), (torch.Tensor, "to")])
def test_gpu_without_memory_for_the_network_or_a_batch_is_a_device_error(network, monkeypatch, place):
    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with monkeypatch.context() as patch, pytest.raises(DeviceError, match=r"^CUDA out of memory: use --device cpu"):
        FakeCuda(patch)
        patch.setattr(*place, full)
        TorchEngine(network, PREPROCESS, "cuda")(*batches(1))


@pytest.mark.parametrize("more", [[], ["--regions"], ["--out", "pets.jsonl"]])
def test_backbone_that_fails_while_it_predicts_is_named_in_one_line(
    told, fragile_registry, caplog, tmp_path, monkeypatch, more
):
    monkeypatch.chdir(tmp_path)
    registry = fragile_registry("len(features) != 2")  # as many as its contract is checked with
    error = told("predict", registry, "--engine", "torch", *FIVE, *more)
    assert caplog.text == ""
    assert re.fullmatch(r"error: backbone 'tiny' \(\S+tiny\.py:\d+\): RuntimeError: the kernel is broken\n", error)


def test_backbone_that_fails_while_it_is_explained_is_named_in_one_line(told, fragile_registry, tmp_path):
    registry = fragile_registry("features.requires_grad")
    error = told("explain", registry, "demo:cat/siamese/1", "--out", str(tmp_path / "explanation.png"))
    assert re.fullmatch(r"error: backbone 'tiny' \(\S+tiny\.py:\d+\): RuntimeError: the kernel is broken\n", error)
    assert not (tmp_path / "explanation.png").exists()


def test_backbone_that_fails_on_many_photos_at_once_gets_them_one_by_one(bundle, registry, fragile_registry):
    photos = [f"demo:cat/siamese/{n}" for n in range(4)]
    fragile = load(bundle, registry=fragile_registry("len(features) > 2"), engine="torch")
    expected = load(bundle, registry=registry, engine="torch").predict(photos)
    for prediction, same in zip(fragile.predict(photos), expected, strict=True):
        np.testing.assert_allclose(prediction.joint, same.joint, atol=1e-6)
