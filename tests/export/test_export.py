"""Exported files: each in its own runtime, against the bundle's engines; and what is refused leaves nothing."""

import copy
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any, get_args

import cv2
import numpy as np
import onnx
import onnxruntime
import openvino as ov
import pytest
import torch
from click.testing import CliRunner
from helpers.cascades import PHOTOS as CASCADE_PHOTOS
from helpers.systems import needs_links
from scipy import stats
from timm.layers import create_conv2d

import hierpets
from hierpets.bundle.manifest import Manifest, read_manifest
from hierpets.cli.deploy.export import command
from hierpets.data.labeled.index import read_index
from hierpets.data.listing import find_photos
from hierpets.data.photos import read_photo
from hierpets.data.transforms import normalize, read_square
from hierpets.errors import BundleError, ConfigError, DataError
from hierpets.export.engines import open_exported
from hierpets.export.export import export_bundle, photos_to_check
from hierpets.export.formats import FILES, Format, write_format
from hierpets.export.parity import Parity, measure_parity
from hierpets.inference.loading import load
from hierpets.inference.predictor import Predictor
from hierpets.model.network import HierarchicalNetwork
from hierpets.model.reader import read_networks

FORMATS = get_args(Format)
OUTPUTS = ["features", "species", "leaf", "scores"]
DIFFERENCES = [*OUTPUTS, "joint"]


@pytest.fixture(scope="module")
def exported(tiny_run, registry, tmp_path_factory):
    """A folder with every format of the tiny bundle, and what their checks found."""
    out = tmp_path_factory.mktemp("exported")
    done = {f: export_bundle(tiny_run / "bundle", f, registry=registry, out=out) for f in FORMATS}
    return out, done


@pytest.fixture(scope="module")
def images(pixels, tiny_run) -> np.ndarray:
    """As a network takes them."""
    preprocess = read_manifest(tiny_run / "bundle").preprocess
    return np.stack([normalize(preprocess, photo) for photo in pixels])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full disk at hand")
@pytest.mark.parametrize("form", FORMATS)
def test_write_format_on_a_full_disk_is_an_error_of_the_system(form, tiny_run, registry, tmp_path):
    file = tmp_path / FILES[form]
    file.parent.mkdir()
    file.with_suffix(".bin" if form == "openvino" else file.suffix).symlink_to("/dev/full")
    manifest = read_manifest(tiny_run / "bundle")
    *_, network = read_networks(tiny_run / "bundle", manifest, registry)
    with pytest.raises(OSError, match=r"No space left on device|is the disk full"):
        write_format(form, file, network, manifest)


@pytest.mark.parametrize("form", FORMATS)
def test_open_exported_gives_the_numbers_of_the_engine_for_any_batch(exported, tiny_run, registry, pixels, form):
    out, _ = exported
    engine, ours = (
        load(tiny_run / "bundle", registry=registry, recommend=False, precision="f32").engine,
        open_exported(form, out / FILES[form], read_manifest(out).preprocess),
    )
    for batch in (pixels, pixels[:1], np.concatenate([pixels] * 3)):
        for name, a, b in zip(OUTPUTS, ours(batch), engine(batch), strict=True):
            np.testing.assert_allclose(a, b, atol=2e-3, rtol=1e-4, err_msg=name)


@pytest.mark.parametrize("form", FORMATS)
def test_export_bundle_reports_the_check_and_writes_it_beside_the_file(exported, form):
    out, done = exported
    assert done[form].path == out / FILES[form]
    assert (done[form].parity.photos, done[form].parity.same) == (100, 100)
    left = json.loads((done[form].path.parent / "check.json").read_text())
    assert (left["format"], left["photos"], left["same_top1"], left["drift"]) == (form, 100, 100, 0)
    assert left["on"] == "synthetic images"
    assert list(left["largest_difference"]) == DIFFERENCES


def test_export_bundle_onnx_runs_without_hierpets(exported, images):
    session = onnxruntime.InferenceSession(str(exported[0] / "onnx" / "model.onnx"))
    (taken,) = session.get_inputs()
    assert (taken.name, taken.type, taken.shape[1:]) == ("images", "tensor(float)", [3, 32, 32])
    assert isinstance(taken.shape[0], str)
    assert [output.name for output in session.get_outputs()] == OUTPUTS
    assert [len(array) for array in session.run(None, {"images": images})] == [3] * 4
    inside = json.loads(session.get_modelmeta().custom_metadata_map["bundle.json"])
    assert Manifest.model_validate(inside) == read_manifest(exported[0])


def test_the_docs_make_of_an_onnx_file_what_predict_answers(exported, tiny_run, registry):
    docs = (Path(__file__).parents[2] / "docs" / "export.md").read_text(encoding="utf-8")
    (block,) = (text for text in re.findall(r"^```python\n(.*?)^```$", docs, re.M | re.S) if "decide(" in text)
    session = onnxruntime.InferenceSession(str(exported[0] / "onnx" / "model.onnx"))
    bundle = json.loads(session.get_modelmeta().custom_metadata_map["bundle.json"])
    preprocess, photos = Manifest.model_validate(bundle).preprocess, read_index("demo").paths[::40]
    images = np.stack([normalize(preprocess, read_square(photo, preprocess)) for photo in photos])
    names: dict[str, Any] = {"session": session, "bundle": bundle, "images": images}
    exec(compile(block, "export.md", "exec"), names)
    answers = load(tiny_run / "bundle", registry=registry, recommend=False, precision="f32").predict(photos)
    assert min(answer.decision.listed for answer in answers) < 0.9
    for found, answer in zip(names["decisions"], answers, strict=True):
        assert found.level == answer.level
        assert [leaf for leaf, _ in found.top] == [leaf for leaf, _ in answer.decision.top]
        assert [p for _, p in found.top] == pytest.approx([p for _, p in answer.decision.top], abs=1e-3)


def test_export_bundle_onnx_is_valid_and_without_metadata(exported):
    model = onnx.load(exported[0] / "onnx" / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert not any(node.metadata_props or node.doc_string for node in model.graph.node)


def test_export_bundle_onnx_and_openvino_hold_no_path_of_this_machine(exported):
    contents = [path.read_bytes() for form in ("onnx", "openvino") for path in (exported[0] / form).iterdir()]
    assert len(contents) == 5  # a graph, its weights where they are apart, and the check
    places = [str(Path(torch.__file__).parents[1]).encode(), str(Path(hierpets.__file__).parents[1]).encode()]
    assert not [place for place in places for content in contents if place in content]


def test_export_bundle_torchscript_runs_in_torch_alone(exported, pixels, images, tiny_run, registry):
    inside = {"bundle.json": ""}
    script = torch.jit.load(exported[0] / "torchscript" / "model.pt", _extra_files=inside)
    output = script(torch.from_numpy(images))
    expected = load(tiny_run / "bundle", registry=registry, recommend=False, precision="f32").engine(pixels)
    for ours, theirs in zip(output, expected, strict=True):
        np.testing.assert_allclose(ours.detach().numpy(), theirs, atol=2e-3, rtol=1e-4)
    assert Manifest.model_validate_json(inside["bundle.json"]) == read_manifest(exported[0])


def test_export_bundle_openvino_names_its_ports_and_predicts_from_its_folder(exported, tiny_run, registry):
    out, _ = exported
    graph = ov.Core().read_model(out / "openvino" / "model.xml")
    assert [port.any_name for port in (*graph.inputs, *graph.outputs)] == ["images", *OUTPUTS]
    assert graph.inputs[0].partial_shape == ov.PartialShape([1, 32, 32, 3])
    assert graph.inputs[0].get_element_type() == ov.Type.u8
    (ours,), (theirs,) = (
        load(folder, registry=registry, recommend=False, precision="f32").predict(["demo:dog/pug/901"])
        for folder in (out, tiny_run / "bundle")
    )
    np.testing.assert_allclose(ours.joint, theirs.joint, atol=1e-6)


def test_export_bundle_openvino_brings_the_option_without_which_packed_weights_give_other_numbers(exported):
    compiled = ov.Core().compile_model(
        exported[0] / "openvino" / "model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    assert compiled.get_property("DYNAMIC_QUANTIZATION_GROUP_SIZE") == 0


def test_write_format_folds_same_padding_to_numbers(exported, tmp_path, pixels, images):
    """timm's SAME padding asks for the size of each map; a graph of a fixed size has no need to."""
    body = torch.nn.Sequential(
        create_conv2d(3, 4, 3, stride=2, padding="same"),
        create_conv2d(4, 6, 5, stride=2, padding="same"),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
    )
    manifest = read_manifest(exported[0])
    network = HierarchicalNetwork(body, 6, manifest.taxonomy).eval()
    expected = network(torch.from_numpy(images)).leaf.detach().numpy()
    for form in FORMATS:
        path = tmp_path / FILES[form]
        write_format(form, path, network, manifest)
        np.testing.assert_allclose(open_exported(form, path, manifest.preprocess)(pixels).leaf, expected, atol=1e-5)
    sizes = [tuple(d.dim_value for d in v.type.tensor_type.shape.dim) for v in _maps(tmp_path / FILES["onnx"])]
    assert (0, 4, 16, 16) in sizes
    assert all(size[2] and size[3] for size in sizes)


def _maps(path):
    graph = onnx.shape_inference.infer_shapes(onnx.load(path)).graph
    return [v for v in graph.value_info if len(v.type.tensor_type.shape.dim) == 4]


def turned(write):
    """A writer whose network calls every breed by the name of the next."""

    def write_turned(form, path, network, manifest, calibration=()):
        class Turned(type(network)):
            def forward_head(self, features):
                output = super().forward_head(features)
                return output._replace(leaf=output.leaf.roll(1, dims=1))

        changed = copy.deepcopy(network)
        changed.__class__ = Turned
        write(form, path, changed, manifest, calibration=calibration)

    return write_turned


def test_export_bundle_refuses_a_drift_and_leaves_what_was_there(tiny_run, registry, tmp_path, monkeypatch):
    monkeypatch.setattr("hierpets.export.export.write_format", turned(write_format))
    (tmp_path / "torchscript").mkdir()
    (tmp_path / "torchscript" / "model.pt").write_text("old")
    shutil.copy(tiny_run / "bundle" / "bundle.json", tmp_path)
    refused = r"torchscript: nothing written: top-1 agrees on \d+ of 100 photos, .*leaf .*at most 0.5% may differ"
    with pytest.raises(BundleError, match=refused):
        export_bundle(tiny_run / "bundle", "torchscript", registry=registry, out=tmp_path, overwrite=True)
    left = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*"))
    assert left == ["bundle.json", "torchscript", "torchscript/model.pt"]
    assert (tmp_path / "torchscript" / "model.pt").read_text() == "old"


@pytest.fixture(scope="module")
def ten_photos(tmp_path_factory):
    """A folder of ten synthetic images, SPECIES/BREED/NUMBER.png."""
    folder = tmp_path_factory.mktemp("photos")
    for name in photos_to_check(None)[::10]:
        file = folder / f"{name.removeprefix('demo:')}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(file), read_photo(name)[..., ::-1])
    return folder


@pytest.fixture(scope="module")
def quantized(tiny_run, registry, ten_photos, tmp_path_factory):
    """The tiny bundle with a graph in int8, and what its check found."""
    out = tmp_path_factory.mktemp("quantized") / "out"
    bundle = tiny_run / "bundle"
    done = export_bundle(bundle, "openvino", registry=registry, data=ten_photos, out=out, precision="int8")
    return out, done


def test_export_bundle_int8_computes_in_int8_and_in_float_when_asked(quantized, tiny_run, registry, pixels):
    out, done = quantized
    assert done.parity.labeled == done.parity.photos  # drawn photos say what they show
    whole, half, plain = (
        load(folder, registry=registry, recommend=False, precision=precision).engine
        for folder, precision in ((out, "auto"), (out, "f32"), (tiny_run / "bundle", "f32"))
    )
    assert (whole.precision, half.precision) == ("int8", "f32")
    assert np.abs(whole(pixels).features - plain(pixels).features).max() > 0
    for name, ours, theirs in zip(OUTPUTS, half(pixels), plain(pixels), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-2, rtol=1e-2, err_msg=name)


def test_export_bundle_refuses_int8_for_other_formats(tiny_run, registry, tmp_path):
    with pytest.raises(ConfigError, match="not supported for the format onnx; use openvino"):
        export_bundle(tiny_run / "bundle", "onnx", registry=registry, out=tmp_path / "out", precision="int8")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("expected_fall", "holds"), [(0.0, True), (0.0029, True), (0.003, False)])
def test_parity_of_int8_holds_where_accuracy_is_expected_to_fall_by_less_than_three_in_1000(expected_fall, holds):
    assert Parity(1000, 970, {"leaf": 0.1}, expected_fall).holds_quantized is holds
    assert not Parity(1000, 970, {"leaf": float("nan")}, expected_fall).holds_quantized


@pytest.mark.parametrize(
    ("right", "lost", "holds"),
    [
        ((299, 298), 1, True),  # one of 330 is chance, and so are
        ((299, 293), 8, True),  # eight that were lost and two that were won
        ((299, 289), 10, False),  # ten that were lost are not
        ((299, 305), 4, True),
    ],
)
def test_labels_count_against_int8_where_they_prove_a_fall(right, lost, holds):
    assert Parity(330, 320, {"leaf": 0.1}, 0.001, 330, right, lost).holds_quantized is holds


def test_the_least_fall_is_the_lower_end_of_a_paired_interval():
    differences = np.array([1.0] * 10 + [-1.0] * 2 + [0.0] * 318)  # right by the reference alone, by the other alone
    interval = stats.norm.interval(0.95, differences.mean(), differences.std() / np.sqrt(330))
    parity = Parity(330, 318, {}, 0.0, 330, (300, 292), lost=10)
    assert parity.smallest_fall == pytest.approx(interval[0], abs=1e-5)
    assert Parity(330, 318, {}).smallest_fall == 0


def test_measure_parity_expects_of_a_changed_photo_what_the_reference_gave_its_own_class_over_the_new_one(
    tiny_run, registry
):
    reference = load(tiny_run / "bundle", registry=registry, recommend=False, precision="f32")

    def turned_engine(pixels):
        output = reference.engine(pixels)
        return output._replace(leaf=np.roll(output.leaf, 1, axis=1))

    other = Predictor(reference.manifest, turned_engine, model=reference.model)
    photos = read_index("demo").paths[:20]
    inputs = np.stack([read_square(photo, reference.manifest.preprocess) for photo in photos])
    joint, new = (predictor.joint(predictor.engine(inputs)) for predictor in (reference, other))
    given_up = [row.max() - row[changed.argmax()] for row, changed in zip(joint, new, strict=True)]
    found = measure_parity(reference, other, photos)
    assert found.expected_fall == pytest.approx(np.mean(given_up), abs=1e-6)
    assert found.expected_fall > 0.1


def test_export_bundle_refuses_int8_that_loses_accuracy(tiny_run, registry, tmp_path, monkeypatch):
    monkeypatch.setattr("hierpets.export.export.write_format", turned(write_format))
    with pytest.raises(BundleError, match=r"correct on \d+ of .*accuracy may fall by less than 0.3 points"):
        export_bundle(tiny_run / "bundle", "openvino", registry=registry, out=tmp_path, precision="int8")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("same", "largest", "holds"),
    [(1000, 0.1, True), (995, 0.1, True), (994, 0.1, False), (1000, float("nan"), False), (1000, float("inf"), False)],
)
def test_parity_holds_up_to_the_largest_drift_and_with_finite_numbers(same, largest, holds):
    assert Parity(1000, same, {"leaf": largest}).holds is holds


def test_measure_parity_does_not_lose_nan(tiny_run, registry):
    predictor = load(tiny_run / "bundle", registry=registry, recommend=False, precision="f32")

    def broken(pixels):
        output = predictor.engine(pixels)
        output.scores[0, 0] = np.nan
        return output

    parity = measure_parity(
        predictor, Predictor(predictor.manifest, broken, model=predictor.model), photos_to_check(None)[:3]
    )
    assert np.isnan(parity.largest["scores"])
    assert not parity.holds


def test_measure_parity_leaves_out_photos_that_cannot_be_read(tiny_run, registry, tmp_path):
    predictor = load(tiny_run / "bundle", registry=registry, recommend=False, precision="f32")
    assert measure_parity(predictor, predictor, ["demo:dog/pug/1", str(tmp_path / "none.jpg")]).photos == 1
    with pytest.raises(DataError, match="none of the 1 photos to check with can be read"):
        measure_parity(predictor, predictor, [str(tmp_path / "none.jpg")])


def test_photos_to_check_are_spread_over_the_folder_and_bounded(tmp_path):
    for i in range(1000):
        (tmp_path / f"{i:04}.jpg").touch()
    chosen = photos_to_check(tmp_path)
    assert len(set(chosen)) == 400
    assert chosen[0].endswith("0000.jpg")
    assert chosen[-1].endswith("0997.jpg")


def invoke(*arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def test_export_command_writes_into_the_bundle_and_says_what_it_found(tiny_run, registry, tmp_path):
    shutil.copytree(tiny_run / "bundle", tmp_path / "bundle")
    before = (tmp_path / "bundle" / "bundle.json").stat().st_mtime_ns
    result = invoke(tmp_path / "bundle", "--format", "torchscript", "--registry", tiny_run.parent / "registry.yaml")
    assert result.exit_code == 0, result.output
    assert "no --data: checking on synthetic images" in result.output
    assert "top-1 agrees on 100 of 100 photos, expected to cost 0.00 points of accuracy; correct on " in result.output
    assert "largest difference: features" in result.output
    assert (tmp_path / "bundle" / "torchscript" / "model.pt").is_file()
    assert (tmp_path / "bundle" / "bundle.json").stat().st_mtime_ns == before


def test_export_command_does_not_write_into_the_released_bundle():
    error = invoke("--format", "onnx").exception
    assert isinstance(error, ConfigError)
    assert "give another folder as out" in str(error)


def test_export_command_refuses_a_folder_without_photos(tmp_path):
    error = invoke("--format", "onnx", "--out", tmp_path / "out", "--data", tmp_path).exception
    assert isinstance(error, DataError)
    assert not (tmp_path / "out").exists()


def test_write_format_says_which_extra_onnx_needs(exported, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ConfigError, match=r"--format onnx needs onnxscript, .* pip install 'hierpets\[export\]'$"):
        write_format("onnx", tmp_path / "m.onnx", torch.nn.Identity(), read_manifest(exported[0]))


def test_export_bundle_refuses_an_existing_export_before_the_work(exported, tiny_run, tmp_path):
    out, _ = exported
    with pytest.raises(ConfigError, match="torchscript: already exists; give overwrite"):
        export_bundle(tiny_run / "bundle", "torchscript", data=tmp_path / "never looked at", out=out)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be written"):
        export_bundle(tiny_run / "bundle", "torchscript", data=tmp_path / "never looked at", out=tmp_path / "file")


def test_export_bundle_does_not_mix_exports_of_two_bundles(tiny_run, tmp_path):
    shutil.copytree(tiny_run / "bundle", tmp_path / "out")
    shutil.rmtree(tmp_path / "out" / "openvino")
    manifest = tmp_path / "out" / "bundle.json"
    manifest.write_text(manifest.read_text().replace('"version": null', '"version": "other"'))
    for overwrite in (False, True):
        with pytest.raises(ConfigError, match=r"holds another bundle.*choose another folder"):
            export_bundle(tiny_run / "bundle", "openvino", out=tmp_path / "out", overwrite=overwrite)


def test_export_bundle_replaces_an_export_of_another_bundle_that_stands_alone(exported, tiny_run, registry, tmp_path):
    out, _ = exported
    shutil.copytree(out / "torchscript", tmp_path / "torchscript")
    other = (tiny_run / "bundle" / "bundle.json").read_text().replace('"version": null', '"version": "other"')
    (tmp_path / "bundle.json").write_text(other)
    with pytest.raises(ConfigError, match="already exists; give overwrite"):
        export_bundle(tiny_run / "bundle", "torchscript", registry=registry, out=tmp_path)
    export_bundle(tiny_run / "bundle", "torchscript", registry=registry, out=tmp_path, overwrite=True)
    assert (tmp_path / "bundle.json").read_text() == (tiny_run / "bundle" / "bundle.json").read_text()


def test_export_bundle_leaves_a_folder_that_it_did_not_write(tiny_run, tmp_path):
    mine = tmp_path / "torchscript" / "mine.pt"
    mine.parent.mkdir()
    mine.write_text("mine")
    with pytest.raises(ConfigError, match="torchscript: is no export, and is not replaced; choose another folder"):
        export_bundle(tiny_run / "bundle", "torchscript", out=tmp_path, overwrite=True)
    assert mine.read_text() == "mine"


@pytest.mark.parametrize(("form", "name"), [("onnx", "ONNX"), ("torchscript", "TorchScript")])
@pytest.mark.parametrize("engine", ["openvino", "torch"])
def test_load_says_that_a_folder_is_an_export_for_another_runtime(exported, registry, tmp_path, form, name, engine):
    out, _ = exported
    folder = tmp_path / "alone"
    shutil.copytree(out / form, folder / form)
    shutil.copy(out / "bundle.json", folder)
    for place in (folder, folder / form):
        with pytest.raises(BundleError, match=f"only {name} in this folder, .*use the bundle that it was exported"):
            load(place, registry=registry, engine=engine)


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize("form", FORMATS)
@needs_links
def test_export_bundle_exports_the_released_bundle_on_real_photos(form, data_dir, tmp_path):
    for photo in find_photos(data_dir / "pets")[::40]:
        place = tmp_path / "photos" / Path(photo).relative_to(data_dir / "pets")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(photo)
    done = export_bundle(None, form, data=tmp_path / "photos", out=tmp_path / "out")
    assert done.parity.photos > 50
    assert done.parity.same == done.parity.photos
    assert done.parity.largest["joint"] < 0.01


def test_export_bundle_gives_openvino_all_networks_each_checked(cascade, tmp_path):
    done = export_bundle(cascade.folder, "openvino", registry=cascade.registry, out=tmp_path)
    assert done.left_out == 0
    check = json.loads((done.path.parent / "check.json").read_text())
    assert check["same_top1"] == check["early"]["early0.xml"]["same_top1"] == 100
    ours, theirs = (
        load(folder, registry=cascade.registry, recommend=False).predict(CASCADE_PHOTOS)
        for folder in (cascade.folder, tmp_path)
    )
    assert {answer.stage for answer in ours} == {0, 1}
    for a, b in zip(ours, theirs, strict=True):
        assert a.stage == b.stage
        np.testing.assert_allclose(a.joint, b.joint, atol=1e-5)


def test_export_bundle_gives_other_formats_the_main_network_alone_and_says_so(cascade, tmp_path):
    registry = cascade.registry.path
    arguments = [str(cascade.folder), "--format", "torchscript", "--out", str(tmp_path), "--registry", str(registry)]
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    assert "the main network alone, which answers every photo" in result.output
    inside = {"bundle.json": ""}
    torch.jit.load(str(tmp_path / FILES["torchscript"]), _extra_files=inside)
    assert json.loads(inside["bundle.json"])["early"] == []
