"""Exported files: each in its own runtime, against the bundle's engines; and what is refused leaves nothing."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import openvino as ov
import pytest
import torch
from click.testing import CliRunner
from timm.layers import create_conv2d

from hierpets.cli.deploy.export import command
from hierpets.data.listing import find_photos
from hierpets.errors import BundleError, ConfigError, DataError
from hierpets.export.engines import run_file
from hierpets.export.export import export_bundle, photos_to_check
from hierpets.export.formats import FILES, FORMATS, write_format
from hierpets.export.parity import Parity, measure_parity
from hierpets.inference.loading import load
from hierpets.inference.predictor import Predictor
from hierpets.model import formats
from hierpets.model.layout import released_bundle
from hierpets.model.manifest import Manifest, read_manifest
from hierpets.model.network import HierarchicalNetwork
from hierpets.registry.loading import load_registry

OUTPUTS = ["features", "species", "leaf", "scores"]


@pytest.fixture(scope="module")
def registry(tiny_run):
    return load_registry(tiny_run.parent / "registry.yaml")


@pytest.fixture(scope="module")
def photos():
    return photos_to_check(None)[::10]


@pytest.fixture(scope="module")
def exported(tiny_run, registry, photos, tmp_path_factory):
    """A folder with every format of the tiny bundle, and what their checks found."""
    out = tmp_path_factory.mktemp("exported")
    done = {f: export_bundle(tiny_run / "bundle", f, registry=registry, photos=photos, out=out) for f in FORMATS}
    return out, done


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(3, 3, 32, 32)).astype(np.float32)


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_gives_the_numbers_of_the_openvino_engine_for_any_batch(exported, tiny_run, registry, images, form):
    out, _ = exported
    engine, ours = (
        load(tiny_run / "bundle", registry=registry, recommend=False, precision="f32").engine,
        run_file(form, out / FILES[form]),
    )
    for batch in (images, images[:1], np.concatenate([images] * 3)):
        for name, a, b in zip(OUTPUTS, ours(batch), engine(batch), strict=True):
            np.testing.assert_allclose(a, b, atol=2e-3, rtol=1e-4, err_msg=name)


@pytest.mark.parametrize("form", FORMATS)
def test_the_check_is_reported_and_left_beside_the_file(exported, photos, form):
    out, done = exported
    assert done[form].path == out / FILES[form]
    assert (done[form].parity.photos, done[form].parity.same) == (len(photos), len(photos))
    left = json.loads((done[form].path.parent / "check.json").read_text())
    assert (left["format"], left["photos"], left["same_top1"], left["drift"]) == (form, len(photos), len(photos), 0)
    assert left["on"] == "drawn pets"
    assert list(left["largest_difference"]) == OUTPUTS


def test_onnx_runs_with_nothing_of_hierpets(exported, images):
    session = onnxruntime.InferenceSession(str(exported[0] / "onnx" / "model.onnx"))
    (taken,) = session.get_inputs()
    assert (taken.name, taken.type, taken.shape[1:]) == ("images", "tensor(float)", [3, 32, 32])
    assert isinstance(taken.shape[0], str)
    assert [output.name for output in session.get_outputs()] == OUTPUTS
    assert [len(array) for array in session.run(None, {"images": images})] == [3] * 4
    inside = json.loads(session.get_modelmeta().custom_metadata_map["bundle.json"])
    assert Manifest.model_validate(inside) == read_manifest(exported[0])


def test_onnx_is_valid_and_says_nothing_of_how_it_was_made(exported):
    model = onnx.load(exported[0] / "onnx" / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert not any(node.metadata_props or node.doc_string for node in model.graph.node)


def test_onnx_and_openvino_files_hold_no_path_of_the_machine_that_wrote_them(exported):
    contents = [path.read_bytes() for form in ("onnx", "openvino") for path in (exported[0] / form).iterdir()]
    assert len(contents) == 5  # a graph, its weights where they are apart, and the check
    places = [str(Path(torch.__file__).parents[1]).encode(), str(Path(formats.__file__).parents[1]).encode()]
    assert not [place for place in places for content in contents if place in content]


def test_torchscript_runs_in_torch_alone(exported, images, tiny_run, registry):
    inside = {"bundle.json": ""}
    script = torch.jit.load(exported[0] / "torchscript" / "model.pt", _extra_files=inside)
    output = script(torch.from_numpy(images))
    expected = load(tiny_run / "bundle", registry=registry, recommend=False, precision="f32").engine(images)
    for ours, theirs in zip(output, expected, strict=True):
        np.testing.assert_allclose(ours.detach().numpy(), theirs, atol=2e-3, rtol=1e-4)
    assert Manifest.model_validate_json(inside["bundle.json"]) == read_manifest(exported[0])


def test_an_openvino_graph_names_its_input_and_outputs_and_predicts_from_its_folder_alone(exported, tiny_run, registry):
    out, _ = exported
    graph = ov.Core().read_model(out / "openvino" / "model.xml")
    assert [port.any_name for port in (*graph.inputs, *graph.outputs)] == ["images", *OUTPUTS]
    assert graph.inputs[0].partial_shape == ov.PartialShape([1, 3, 32, 32])
    (ours,), (theirs,) = (
        load(folder, registry=registry, recommend=False, precision="f32").predict(["demo:dog/pug/901"])
        for folder in (out, tiny_run / "bundle")
    )
    np.testing.assert_allclose(ours.joint, theirs.joint, atol=1e-6)


def test_same_padding_is_folded_to_numbers(exported, tmp_path):
    """timm's SAME padding asks for the size of each map; a graph of a fixed size has no need to."""
    body = torch.nn.Sequential(
        create_conv2d(3, 4, 3, stride=2, padding="same"),
        create_conv2d(4, 6, 5, stride=2, padding="same"),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
    )
    manifest = read_manifest(exported[0])
    network = HierarchicalNetwork(body, 6, manifest.taxonomy).eval()
    images = torch.randn(2, 3, 32, 32)
    expected = network(images).leaf.detach().numpy()
    for form in FORMATS:
        path = tmp_path / FILES[form]
        write_format(form, path, network, manifest)
        np.testing.assert_allclose(run_file(form, path)(images.numpy()).leaf, expected, atol=1e-5)
    sizes = [tuple(d.dim_value for d in v.type.tensor_type.shape.dim) for v in _maps(tmp_path / FILES["onnx"])]
    assert (0, 4, 16, 16) in sizes
    assert all(size[2] and size[3] for size in sizes)


def _maps(path):
    graph = onnx.shape_inference.infer_shapes(onnx.load(path)).graph
    return [v for v in graph.value_info if len(v.type.tensor_type.shape.dim) == 4]


def turned(write):
    """A writer whose network calls every breed by the name of the next."""

    def write_turned(form, path, network, manifest, calibration=()):
        class Turned(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.network = network

            def forward(self, images):
                output = self.network(images)
                return output._replace(leaf=output.leaf.roll(1, dims=1))

        write(form, path, Turned(), manifest, calibration=calibration)

    return write_turned


def test_a_drift_is_refused_with_its_numbers_and_leaves_what_was_there(
    tiny_run, registry, photos, tmp_path, monkeypatch
):
    monkeypatch.setattr("hierpets.export.export.write_format", turned(formats.write_format))
    (tmp_path / "torchscript").mkdir()
    (tmp_path / "torchscript" / "model.pt").write_text("old")
    refused = (
        rf"torchscript: nothing written: top-1 agrees on \d of {len(photos)} photos; .*leaf .*at most 0.5% may differ"
    )
    with pytest.raises(BundleError, match=refused):
        export_bundle(tiny_run / "bundle", "torchscript", registry=registry, photos=photos, out=tmp_path)
    assert [str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")] == ["torchscript", "torchscript/model.pt"]
    assert (tmp_path / "torchscript" / "model.pt").read_text() == "old"


@pytest.fixture(scope="module")
def quantized(tiny_run, registry, photos, tmp_path_factory):
    """The tiny bundle with a graph in int8, and what its check found."""
    out = tmp_path_factory.mktemp("quantized")
    done = export_bundle(tiny_run / "bundle", "openvino", registry=registry, photos=photos, out=out, precision="int8")
    return out, done


def test_a_quantized_graph_computes_in_int8_by_itself_and_in_float_when_asked(quantized, tiny_run, registry, images):
    out, done = quantized
    assert done.parity.labeled == done.parity.photos  # drawn photos say what they show
    whole, half, plain = (
        load(folder, registry=registry, recommend=False, precision=precision).engine
        for folder, precision in ((out, "auto"), (out, "f32"), (tiny_run / "bundle", "f32"))
    )
    assert (whole.precision, half.precision) == ("int8", "f32")
    assert np.abs(whole(images).features - plain(images).features).max() > 0
    for name, ours, theirs in zip(OUTPUTS, half(images), plain(images), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-2, rtol=1e-2, err_msg=name)


def test_int8_is_openvino_s_alone(tiny_run, registry, photos, tmp_path):
    with pytest.raises(ConfigError, match="the format onnx has none here; choose openvino"):
        export_bundle(
            tiny_run / "bundle", "onnx", registry=registry, photos=photos, out=tmp_path / "out", precision="int8"
        )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("right", "holds"), [((900, 898), True), ((900, 897), False), ((900, 905), True)])
def test_int8_holds_where_accuracy_falls_by_less_than_three_in_a_thousand(right, holds):
    assert Parity(1000, 970, {"leaf": 0.1}, 1000, right).holds_rounded is holds


def test_int8_without_labels_is_held_to_the_same_answers():
    assert Parity(1000, 995, {"leaf": 0.1}).holds_rounded
    assert not Parity(1000, 994, {"leaf": 0.1}).holds_rounded


def test_int8_that_loses_accuracy_is_refused(tiny_run, registry, photos, tmp_path, monkeypatch):
    monkeypatch.setattr("hierpets.export.export.write_format", turned(formats.write_format))
    with pytest.raises(BundleError, match=r"right on \d+ of .*accuracy may fall by less than 0.3%"):
        export_bundle(tiny_run / "bundle", "openvino", registry=registry, photos=photos, out=tmp_path, precision="int8")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("same", "largest", "holds"),
    [(1000, 0.1, True), (995, 0.1, True), (994, 0.1, False), (1000, float("nan"), False), (1000, float("inf"), False)],
)
def test_what_holds(same, largest, holds):
    assert Parity(1000, same, {"leaf": largest}).holds is holds


def test_nan_is_not_lost_among_numbers(tiny_run, registry):
    predictor = load(tiny_run / "bundle", registry=registry, recommend=False, precision="f32")

    def broken(images):
        output = predictor.engine(images)
        output.scores[0, 0] = np.nan
        return output

    parity = measure_parity(predictor, Predictor(predictor.manifest, broken), photos_to_check(None)[:3])
    assert np.isnan(parity.largest["scores"])
    assert not parity.holds


def test_photos_that_cannot_be_read_are_left_out(tiny_run, registry, tmp_path):
    predictor = load(tiny_run / "bundle", registry=registry, recommend=False, precision="f32")
    assert measure_parity(predictor, predictor, ["demo:dog/pug/1", str(tmp_path / "none.jpg")]).photos == 1
    with pytest.raises(DataError, match="none of the 1 photos to check with can be read"):
        measure_parity(predictor, predictor, [str(tmp_path / "none.jpg")])


def test_photos_are_spread_over_the_folder_and_bounded(tmp_path):
    for i in range(1000):
        (tmp_path / f"{i:04}.jpg").touch()
    chosen = photos_to_check(tmp_path)
    assert len(set(chosen)) == 400
    assert chosen[0].endswith("0000.jpg")
    assert chosen[-1].endswith("0999.jpg")


def invoke(*arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def test_the_command_writes_into_the_bundle_and_says_what_it_found(tiny_run, registry, tmp_path):
    shutil.copytree(tiny_run / "bundle", tmp_path / "bundle")
    before = (tmp_path / "bundle" / "bundle.json").stat().st_mtime_ns
    result = invoke(tmp_path / "bundle", "--format", "torchscript", "--registry", tiny_run.parent / "registry.yaml")
    assert result.exit_code == 0, result.output
    assert "no --data: checking on drawn pets" in result.output
    assert "top-1 agrees on 100 of 100 photos; right on " in result.output
    assert "largest difference: features" in result.output
    assert (tmp_path / "bundle" / "torchscript" / "model.pt").is_file()
    assert (tmp_path / "bundle" / "bundle.json").stat().st_mtime_ns == before


def test_the_released_bundle_is_not_written_into():
    error = invoke("--format", "onnx").exception
    assert isinstance(error, ConfigError)
    assert "say with --out" in str(error)


def test_a_folder_without_photos_is_told_so(tmp_path):
    error = invoke("--format", "onnx", "--out", tmp_path / "out", "--data", tmp_path).exception
    assert isinstance(error, DataError)
    assert not (tmp_path / "out").exists()


def test_without_the_extra_it_says_what_to_install(exported, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ConfigError, match=r"pip install 'hierpets\[export\]' \(no module 'onnxscript'\)"):
        write_format("onnx", tmp_path / "m.onnx", torch.nn.Identity(), read_manifest(exported[0]))


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize("form", FORMATS)
def test_the_released_bundle_is_exported_on_real_photos(form, data_dir, tmp_path):
    photos = find_photos(data_dir / "pets")[::40]
    done = export_bundle(released_bundle(), form, registry=load_registry(), photos=photos, out=tmp_path)
    assert done.parity.same == len(photos)
    assert done.parity.largest["leaf"] < 0.01
