"""What an engine does not need is not imported: each in a fresh process."""

import json
import subprocess
import sys

import pytest


def modules_after(code: str) -> set[str]:
    script = f"import sys, json\n{code}\nprint(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(json.loads(run.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    ("engine", "unwanted"),
    [("torch", {"openvino", "openvino.tools.ovc"}), ("openvino", {"torch", "openvino.tools.ovc", "timm"})],
)
def test_load_imports_nothing_of_the_other_engine(engine, unwanted):
    nothing = "np.zeros((300, 300, 3), np.uint8)"  # of which no detector is asked
    loaded = modules_after(f"import hierpets\nimport numpy as np\nhierpets.load(engine={engine!r}).predict({nothing})")
    assert not unwanted & loaded


def test_training_imports_no_converter_before_it_writes_a_graph():
    assert "openvino.tools.ovc" not in modules_after("import hierpets.training.recipe, hierpets.model.writer")


def test_converting_a_network_tells_nobody():
    code = """
import torch
from hierpets.model.graph.convert import convert_module
convert_module(torch.nn.Conv2d(3, 4, 3), 32)
"""
    loaded = modules_after(code)
    assert "openvino.tools.ovc" in loaded
    assert "openvino_telemetry" not in loaded
