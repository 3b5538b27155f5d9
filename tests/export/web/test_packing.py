import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

from hierpets.export.web.packing import pack_onnx
from hierpets.model.rounding import round_weights


def write_model(path):
    """Three matrices one after the other: rounded, not rounded, and too small to be worth it. Returns them."""
    layer = torch.nn.Linear(96, 64, bias=False)
    round_weights(layer)
    draw = np.random.default_rng(0)
    matrices = [
        layer.weight.detach().numpy(),
        draw.normal(size=(64, 80)).astype(np.float32),
        np.ones((80, 2), np.float32),
    ]
    names = ["rounded", "fine", "small"]
    nodes = [
        helper.make_node("Gemm", ["images", "rounded"], ["a"], transB=1),
        helper.make_node("MatMul", ["a", "fine"], ["b"]),
        helper.make_node("MatMul", ["b", "small"], ["out"]),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, n]) for name, n in (("images", 96), ("out", 2))]
    weights = [numpy_helper.from_array(matrix, name) for matrix, name in zip(matrices, names, strict=True)]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)


def run(path, images):
    return onnxruntime.InferenceSession(str(path)).run(None, {"images": images})[0]


def test_pack_onnx_keeps_the_numbers_and_a_quarter_of_the_bytes(tmp_path):
    path, images = tmp_path / "model.onnx", np.random.default_rng(1).normal(size=(1, 96)).astype(np.float32)
    write_model(path)
    before, size = run(path, images), path.stat().st_size
    pack_onnx(path)
    assert np.allclose(run(path, images), before, rtol=1e-5, atol=1e-5)
    kinds = {tensor.name: tensor.data_type for tensor in onnx.load(path).graph.initializer}
    assert kinds["rounded.integers"] == TensorProto.INT8 and "rounded" not in kinds
    assert kinds["fine"] == kinds["small"] == TensorProto.FLOAT
    assert size - path.stat().st_size > 0.7 * 96 * 64 * 4
