"""``hierpets info`` and its library function: what a bundle is, without loading it."""

import json
import shutil
import subprocess
import sys

import pytest
from click.testing import CliRunner

from hierpets.bundle.identity import model_id
from hierpets.bundle.info import BundleInfo, GrownThreshold, bundle_info
from hierpets.bundle.manifest import manifest_text, read_manifest
from hierpets.cli.deploy.info import command
from hierpets.errors import BundleError
from hierpets.hierarchy.policy import MAX_SET


def test_bundle_info_says_what_the_manifest_says(tiny_run):
    folder = tiny_run / "bundle"
    info, manifest = bundle_info(folder), read_manifest(folder)
    assert info.model == model_id(folder)
    assert info.classes == manifest.taxonomy.tree
    assert info.leaves == len(manifest.taxonomy.leaves)
    assert (info.backbone, info.preprocess) == (manifest.backbone, manifest.preprocess)
    assert info.alpha == manifest.policy.alpha
    assert set(info.thresholds) == set(manifest.taxonomy.species)
    assert info.training == manifest.training
    assert info.grows
    assert (info.engines, info.quantized, info.exports) == (("openvino", "torch"), False, ())
    assert info.size_bytes == sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def test_bundle_info_names_the_engines_and_exports_that_are_there(tiny_run, tmp_path):
    folder = tmp_path / "bundle"
    shutil.copytree(tiny_run / "bundle", folder)
    (folder / "weights.safetensors").unlink()
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.onnx").touch()
    info = bundle_info(folder)
    assert (info.engines, info.exports) == (("openvino",), ("ONNX",))
    assert info.grows
    (folder / "statistics.safetensors").unlink()
    assert not bundle_info(folder).grows


def test_bundle_info_of_the_released_bundle():
    info = bundle_info()
    assert (info.leaves, info.pretrained) == (135, 98)
    assert info.quantized


def test_info_command_prints_what_people_ask_for(tiny_run):
    result = CliRunner().invoke(command, [str(tiny_run / "bundle")])
    assert result.exit_code == 0, result.output
    for word in ("3 species", "breeds: ", "tiny", "32 x 32 pixels", "alpha", "calibrated on", "openvino, torch", "MB"):
        assert word in result.output
    assert str(model_id(tiny_run / "bundle")) in result.output


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([0.0] * 5, "calibrated on photos of too few animals for a promise at this alpha"),
        (
            [0.0] * 180 + [1.0] * 20,
            "certain and wrong on too many calibration photos for a promise at this alpha",
        ),
        ([0.0] * 180 + [0.5] * 20, "probability > 0.5"),
    ],
)
def test_info_command_says_why_a_species_is_answered_as_unknown(tiny_run, tmp_path, rows, told):
    shutil.copytree(tiny_run / "bundle", tmp_path / "bundle")
    manifest = read_manifest(tmp_path / "bundle")
    scores = {"trained": dict.fromkeys(manifest.taxonomy.species, tuple((row,) * MAX_SET for row in rows))}
    policy = manifest.policy.model_copy(update={"scores": scores})
    changed = manifest.model_copy(update={"policy": policy})
    (tmp_path / "bundle" / "bundle.json").write_text(manifest_text(changed), encoding="utf-8")
    result = CliRunner().invoke(command, [str(tmp_path / "bundle")])
    assert " ".join(result.output.split()).count(told) == len(manifest.taxonomy.species)


@pytest.mark.parametrize(
    ("scores", "least", "few", "told"),
    [
        ((0.99,) * 30, 0.99, False, "probability > 0.99"),
        ((1.0,) * 30, 1.0, False, "certain and wrong on too many calibration photos for a promise at this alpha"),
        ((0.0,), 1.0, True, "calibrated on photos of too few animals for a promise at this alpha"),
        ((0.0,) * 30, None, False, "probability > "),
    ],
)
def test_info_lists_grown_breeds_with_what_they_must_exceed(tiny_run, tmp_path, scores, least, few, told):
    folder = shutil.copytree(tiny_run / "bundle", tmp_path / "bundle")
    manifest = read_manifest(folder)
    leaf = next(leaf for leaf in manifest.taxonomy.leaves if leaf.breed)
    policy = manifest.policy.model_copy(update={"leaves": {str(leaf): scores}})
    (folder / "bundle.json").write_text(manifest_text(manifest.model_copy(update={"policy": policy})), encoding="utf-8")
    info, printed = bundle_info(folder), CliRunner().invoke(command, [str(folder)]).output
    expected = info.thresholds[leaf.species].probability if least is None else least
    assert info.grown == {str(leaf): GrownThreshold(probability=expected, few=few)}
    (line,) = (line for line in " ".join(printed.split()).split(" grown ") if line.startswith(str(leaf)))
    assert line.startswith(f"{leaf}: {told if expected < 1 else f'answered as {leaf.species}: {told}'}")
    assert bundle_info(tiny_run / "bundle").grown == {}


def test_info_command_prints_json_that_is_a_bundle_info(tiny_run):
    result = CliRunner().invoke(command, [str(tiny_run / "bundle"), "--json"])
    assert BundleInfo.model_validate(json.loads(result.output)) == bundle_info(tiny_run / "bundle")


def test_bundle_info_refuses_a_folder_without_a_bundle(tmp_path):
    with pytest.raises(BundleError, match="no bundle here"):
        bundle_info(tmp_path)


def test_bundle_info_of_a_run_names_the_bundle_in_it(tiny_run):
    with pytest.raises(BundleError) as refused:
        bundle_info(tiny_run)
    assert str(refused.value).endswith(f"; did you mean {tiny_run / 'bundle'}?")


def test_bundle_info_loads_no_network():
    code = (
        "import sys; from hierpets.cli import main\ntry: main(['info'])\nfinally: print(*sys.modules, file=sys.stderr)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "openvino", "cv2", "matplotlib"} & set(run.stdout.split())


@pytest.mark.parametrize(
    ("species", "told"), [("犬", "  犬         no breeds"), ("guinea_pigs_", "  guinea_pigs_ no breeds")]
)
def test_info_command_keeps_columns_apart(tiny_run, tmp_path, species, told):
    """Of two cells a letter, and longer than the column."""
    manifest = shutil.copytree(tiny_run / "bundle", tmp_path / "bundle") / "bundle.json"
    manifest.write_text(manifest.read_text(encoding="utf-8").replace('"rabbit"', f'"{species}"'), encoding="utf-8")
    assert told in CliRunner().invoke(command, [str(manifest.parent)]).output.splitlines()


ESCAPE = "\x1b]0;pwned\x07"


def changed(bundle, folder, change):
    """A copy of a bundle, with other values in its manifest."""
    shutil.copytree(bundle, folder)
    content = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
    (folder / "bundle.json").write_text(json.dumps(content | change), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    "change",
    [
        {"version": ESCAPE},
        {"hierpets_version": "1\u202e"},
        {"taxonomy": {"tree": {f"cat{ESCAPE}": []}}},
        {ESCAPE: 1},
        {"backbone": {"name": ESCAPE}},
    ],
)
def test_bundle_whose_names_write_to_the_terminal_is_refused(tiny_run, tmp_path, change):
    with pytest.raises(BundleError) as refused:
        read_manifest(changed(tiny_run / "bundle", tmp_path / "bundle", change))
    assert not set(str(refused.value)) & set("\x1b\x07\u202e")


def test_info_command_shows_no_escape_sequence_of_a_bundle(tiny_run, tmp_path):
    bundle = changed(tiny_run / "bundle", tmp_path / "bundle", {"training": {"recipe": ESCAPE}})
    shown = CliRunner().invoke(command, [str(bundle)])
    assert shown.exit_code == 0
    assert r"recipe: \x1b]0;pwned\x07" in shown.output
