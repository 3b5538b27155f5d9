"""Help is quick: no command's --help, and no import of the package, loads a heavy library."""

import json
import subprocess
import sys

import pytest

from hierpets.cli import COMMANDS

HEAVY = [
    "torch",
    "timm",
    "albumentations",
    "sklearn",
    "scipy",
    "matplotlib",
    "openvino",
    "cv2",
    "pandas",
    "pyarrow",
    "ray",
    "fastapi",
]


def modules_after(code: str) -> list[str]:
    script = f"import sys, json\ntry:\n    {code}\nexcept SystemExit:\n    pass\nprint(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return json.loads(run.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", [None, *COMMANDS])
def test_help_loads_nothing_heavy(name):
    arguments = [*([name] if name else []), "--help"]
    loaded = modules_after(f"from hierpets.cli import main; main({arguments!r})")
    assert not set(HEAVY) & set(loaded)


def test_predict_begins_to_load_its_model_before_the_rest():
    assert not {*HEAVY, "numpy", "pydantic"} & set(modules_after("import hierpets.cli.deploy.predict"))


def test_importing_the_package_loads_nothing_heavy():
    assert not {*HEAVY, "numpy", "pydantic"} & set(modules_after("import hierpets"))


def test_audit_looks_for_its_photos_before_it_loads_what_examines_them(tmp_path):
    arguments = ["audit", str(tmp_path / "nothing")]
    assert not {"torch", "timm", "sklearn", "scipy", "matplotlib"} & set(
        modules_after(f"from hierpets.cli import main; main({arguments!r})")
    )


def test_train_looks_for_its_photos_before_it_loads_what_learns_from_them(tmp_path):
    arguments = ["train", "--data", str(tmp_path / "nothing"), "--out", str(tmp_path / "run")]
    assert not {"torch", "timm", "sklearn", "scipy", "matplotlib"} & set(
        modules_after(f"from hierpets.cli import main; main({arguments!r})")
    )
