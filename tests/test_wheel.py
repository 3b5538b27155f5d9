"""The wheel carries the registry and the plugins, and works outside the checkout."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, text=True)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The bin folder of a new environment: this wheel, with the libraries of the one that runs the tests."""
    folder = tmp_path_factory.mktemp("clean") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    scripts = folder / ("Scripts" if os.name == "nt" else "bin")
    asked = [str(scripts / "python"), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = Path(subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip())
    target = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(wheel)]
    subprocess.run(target, check=True)
    # A path file adds the libraries; path files inside them, such as that of an editable install, are not followed.
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return scripts


def hierpets(installed: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    command = [str(installed / "python"), "-m", "hierpets", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=clean, check=False)


def test_wheel_holds_registry_and_plugins_and_no_stray_package(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert "hierpets/_bundled/registry.yaml" in names
    assert any(name.startswith("hierpets/_bundled/plugins/samplers/") for name in names)
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"hierpets"}


def test_wheel_metadata_names_all_licenses_and_is_typed(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = (archive.read(name).decode() for name in names if name.endswith(".dist-info/METADATA"))
    assert "License-Expression: MIT AND CC-BY-SA-4.0 AND Apache-2.0" in metadata
    assert "\n\n# hierpets" in metadata
    assert "hierpets/py.typed" in names
    assert any(name.endswith("licenses/hierpets/released/LICENSE") for name in names)
    detector = "hierpets/inference/detector/coco"
    assert {f"{detector}/model.{end}" for end in ("xml", "bin", "onnx")} <= {*names}
    assert any(name.endswith(f"licenses/{detector}/LICENSE") for name in names)


def test_wheel_runs_outside_the_checkout(installed, tmp_path):
    code = "import hierpets; print(hierpets.__file__)"
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [installed / "python", "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=True, env=clean)
    assert str(installed.parent) in run.stdout


def test_wheel_imports_every_plugin(installed, tmp_path):
    run = hierpets(installed, "plugins", "validate", "--imports", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    listed = hierpets(installed, "plugins", "list", cwd=tmp_path)
    assert "efficientnet_lite2" in listed.stdout


def test_it_predicts(installed, tiny_run, tmp_path):
    run = hierpets(
        installed, "predict", "--model", str(tiny_run / "bundle"), "--format", "jsonl", "demo:dog/pug/1", cwd=tmp_path
    )
    assert run.returncode == 0, run.stderr
    assert '"recommendation":{"product":' in run.stdout
