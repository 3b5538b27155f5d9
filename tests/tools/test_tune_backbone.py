"""``tools/tune_backbone.py`` on a CPU, with a tiny backbone and a few photos: all that a GPU would do, in a second."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from helpers.fakes import tiny_registry
from helpers.tuning import FAST, squares
from safetensors.torch import load_file

from hierpets.config import BackboneChoice, FinetuneConfig
from hierpets.data.labeled.index import read_index
from hierpets.errors import ConfigError, DataError
from hierpets.model.backbone import build_backbone
from hierpets.progress import no_progress
from hierpets.training.frozen.held_out.folds import assign_folds
from tools import tune_backbone
from tools.tuning.photos import read_tuning_photos
from tools.tuning.procedure import PROCEDURES, Procedure
from tools.tuning.squares import SIDE, Squares, read_squares
from tools.tuning.tuned import tune
from tools.tuning.views import random_views

TINY = Procedure(BackboneChoice(name="tiny"), train_size=32, settings=FinetuneConfig(**FAST))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Photos of every leaf in photos-0, and others of the same leaves in photos-1."""
    folder = tmp_path_factory.mktemp("tuning")
    squares(folder, per_leaf=6, without_breed=0)
    squares(folder, per_leaf=2, without_breed=0, seed=1)
    return folder


@pytest.fixture(scope="module")
def registry(folder):
    return tiny_registry(folder)


@pytest.fixture(scope="module")
def photos(folder):
    return read_tuning_photos(folder / "photos-0", folder / "photos-1")


@pytest.fixture(scope="module")
def pixels(photos):
    return read_squares(photos.index.paths, "cpu")


@pytest.fixture(scope="module")
def tuned(photos, pixels, registry):
    return tune(photos.index, pixels, TINY, registry)


def uniform(count, *, aspect=1.0, value=128):
    return Squares(torch.full((count, 3, SIDE, SIDE), value, dtype=torch.uint8), torch.full((count,), aspect))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_folds_are_those_of_training_and_more_photos_are_in_none(folder, photos):
    index = read_index(folder / "photos-0")
    folds = assign_folds(index.labels(), folds=5, seed=0)
    for fold in range(5):
        held_out = {path for path, of in zip(index.paths, folds, strict=True) if of == fold}
        assert set(photos.held_out(fold).paths) == held_out
        assert set(photos.at(photos.training(fold)).paths) == set(photos.index.paths) - held_out
    assert len(photos.held_out(None)) == 0
    assert len(photos.training(None)) == len(photos.index) == 48


def test_a_photo_without_a_breed_is_refused_by_name(tmp_path):
    squares(tmp_path, without_breed=1)
    with pytest.raises(DataError, match=r"30\.png: expected a photo of a known breed"):
        read_tuning_photos(tmp_path / "photos-0")


def test_read_squares_keeps_order_and_aspect(tmp_path):
    paths = [str(tmp_path / "wide.png"), str(tmp_path / "high.png")]
    for path, shape, gray in zip(paths, [(40, 80, 3), (80, 40, 3)], [10, 200], strict=True):
        cv2.imwrite(path, np.full(shape, gray, np.uint8))
    found = read_squares(paths, "cpu").rows(torch.tensor([1, 0]))
    assert found.aspect.tolist() == [0.5, 2]
    assert found.pixels.shape == (2, 3, SIDE, SIDE)
    assert found.pixels[:, 0, 0, 0].tolist() == [200, 10]


def test_random_views_depend_on_the_generator_alone():
    noise = torch.randint(0, 256, (4, 3, SIDE, SIDE), dtype=torch.uint8, generator=seeded())
    photos = Squares(noise, torch.ones(4))
    views = random_views(photos, 24, seeded(1))
    assert views.shape == (4, 3, 24, 24)
    assert 0 <= views.min() < views.max() <= 1
    assert torch.equal(views, random_views(photos, 24, seeded(1)))
    assert not torch.equal(views, random_views(photos, 24, seeded(2)))


def test_random_views_are_lit_otherwise_but_gray_stays_gray():
    views = random_views(uniform(64), 16, seeded())
    levels = views.mean((1, 2, 3))
    assert levels.std() > 0.02
    assert (levels - 128 / 255).abs().max() < 0.08
    torch.testing.assert_close(views[:, 0], views[:, 2])


def test_random_views_mirror_half_and_keep_proportions():
    ramp = torch.linspace(0, 255, SIDE).round().to(torch.uint8)
    across, down = (Squares(r.expand(96, 3, SIDE, SIDE), torch.full((96,), 2.0)) for r in (ramp, ramp[:, None]))
    wide, high = random_views(across, 16, seeded()), random_views(down, 16, seeded())
    widths = (wide[..., -1] - wide[..., 0]).mean((1, 2))
    heights = (high[:, :, -1] - high[:, :, 0]).mean((1, 2))
    assert 0.3 < (widths < 0).float().mean() < 0.7
    # Of a photo twice as wide as high, a view shows half as much of the width as of the height.
    assert 0.35 < float(widths.abs().mean() / heights.mean()) < 0.65


def test_tune_moves_the_weights_but_no_statistics(tuned):
    statistics = [name for name in tuned.start if "running" in name]
    assert statistics
    assert all(torch.equal(tuned.start[name], tuned.end[name]) for name in statistics)
    assert not torch.equal(tuned.start["backbone.0.weight"], tuned.end["backbone.0.weight"])
    assert not torch.equal(tuned.start["leaf_head.weight"], tuned.end["leaf_head.weight"])


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_tune_on_a_gpu_trains_what_it_trains_on_a_cpu(tuned, photos, registry, precision):
    settings = TINY.settings.model_copy(update={"precision": precision})
    there = tune(photos.index, read_squares(photos.index.paths, "cuda"), replace(TINY, settings=settings), registry)
    torch.testing.assert_close(
        there.start["leaf_head.weight"].cpu(), tuned.start["leaf_head.weight"], atol=1e-2, rtol=0
    )
    changed = {name for name, tensor in there.end.items() if not torch.equal(tensor, there.start[name])}
    assert changed == {name for name, tensor in tuned.end.items() if not torch.equal(tensor, tuned.start[name])}
    assert all(
        tensor.device.type == "cpu" and tensor.isfinite().all() for tensor in there.backbone_weights(0.5).values()
    )


def test_tune_repeats_to_the_byte(tuned, photos, pixels, registry):
    again = tune(photos.index, pixels, TINY, registry)
    assert all(torch.equal(again.end[name], tensor) for name, tensor in tuned.end.items())


def test_backbone_weights_lie_between_start_and_end_and_fit_the_plugin(tuned, registry):
    weights = tuned.backbone_weights(0.5)
    wanted = (tuned.start["backbone.0.weight"] + tuned.end["backbone.0.weight"]) / 2
    torch.testing.assert_close(weights["0.weight"], wanted.half(), atol=1e-3, rtol=1e-3)
    assert {tensor.dtype for tensor in weights.values() if tensor.is_floating_point()} == {torch.float16}
    build_backbone(registry, "tiny", {})[0].module.load_state_dict(weights)


def test_tune_that_diverges_says_so(photos, pixels, registry):
    settings = TINY.settings.model_copy(update={"learning_rate": 1e30, "head_learning_rate": 1e30})
    wild = replace(TINY, settings=settings)
    with pytest.raises(ConfigError, match="training diverged: expected a finite loss, got"):
        tune(photos.index, pixels, wild, registry)


@pytest.mark.slow
def test_tune_parts_writes_each_part_and_keeps_what_is_there(folder, photos, registry, tmp_path):
    kept = tmp_path / "fold0.safetensors"
    kept.write_bytes(b"of an earlier run")
    tune_backbone.tune_parts(
        photos,
        ["all", "fold0", "fold3"],
        tmp_path,
        TINY,
        registry,
        elsewhere=read_index(folder / "photos-1"),
        device="cpu",
        progress=no_progress,
    )
    assert {path.name for path in tmp_path.iterdir()} == {
        "all.json",
        "all.safetensors",
        "fold0.safetensors",
        "fold3.json",
        "fold3.safetensors",
    }
    assert kept.read_bytes() == b"of an earlier run"
    assert not np.array_equal(
        load_file(tmp_path / "all.safetensors")["0.weight"], load_file(tmp_path / "fold3.safetensors")["0.weight"]
    )
    found = json.loads((tmp_path / "fold3.json").read_text())
    assert found["0.5"]["logistic"]["held-out fold"] > 50
    assert "held-out fold" not in json.loads((tmp_path / "all.json").read_text())["0"]["LDA"]
    summary = tune_backbone.summary(tmp_path).splitlines()
    assert summary[0] == "| coefficient | head | held-out fold | elsewhere |"
    assert len(summary) == 2 + 5 * 3


def test_main_without_photos_says_so_in_one_line(tmp_path, capsys):
    assert tune_backbone.main(["--data", str(tmp_path / "none"), "--out", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "no such folder or file" in err


def test_procedures_name_backbones_that_are_registered(registry):
    for procedure in PROCEDURES.values():
        options = registry.get("backbone", procedure.backbone.name).resolve(**procedure.backbone.options)
        assert procedure.train_size <= options["size"]
