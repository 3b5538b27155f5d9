"""What an engine does not need is not imported: each in a fresh process."""

import json
import subprocess
import sys

import pytest


def modules_after(*steps: str) -> list[set[str]]:
    """The modules that are there after each step of one process."""
    script = "import sys, json\n" + "".join(f"{step}\nprint(json.dumps(sorted(sys.modules)))\n" for step in steps)
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return [set(json.loads(line)) for line in run.stdout.splitlines() if line.startswith("[")]


@pytest.mark.parametrize(
    ("engine", "unwanted"),
    [("torch", {"openvino", "openvino.tools.ovc"}), ("openvino", {"torch", "openvino.tools.ovc", "timm"})],
)
def test_load_imports_nothing_of_the_other_engine(engine, unwanted):
    nothing = "np.zeros((300, 300, 3), np.uint8)"  # of which no detector is asked
    code = f"import hierpets\nimport numpy as np\nhierpets.load(engine={engine!r}).predict({nothing})"
    (loaded,) = modules_after(code)
    assert not unwanted & loaded


def test_training_imports_no_converter_before_it_writes_a_graph_and_converting_tells_nobody():
    code = """
import torch
from hierpets.model.graph.convert import convert_module
convert_module(torch.nn.Conv2d(3, 4, 3), 32)
"""
    training, converting = modules_after("import hierpets.training.recipe, hierpets.model.writer", code)
    assert "openvino.tools.ovc" not in training
    assert "openvino.tools.ovc" in converting
    assert "openvino_telemetry" not in converting


def test_no_telemetry_is_loaded_where_a_graph_is_quantized_before_another_is_converted():
    code = """
import numpy as np, torch
from hierpets.model.graph.convert import convert_module
from hierpets.model.graph.quantization import quantize
quantize(convert_module(torch.nn.Conv2d(3, 4, 3), 32), [np.zeros((1, 3, 32, 32), np.float32)])
"""
    (loaded,) = modules_after(code)
    assert "nncf" in loaded
    assert "openvino_telemetry" not in loaded


def test_the_converter_finds_no_telemetry_that_somebody_else_has_loaded():
    code = """
import sys, openvino_telemetry, torch
from hierpets.model.graph.convert import convert_module
convert_module(torch.nn.Conv2d(3, 4, 3), 32)
assert sys.modules["openvino_telemetry"] is openvino_telemetry
assert sys.modules["openvino.tools.ovc.convert_impl"].tm is not openvino_telemetry
"""
    modules_after(code)
