"""Which networks are asked before the main one."""

import json
import shutil
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from helpers.cascades import train_cascade
from helpers.fakes import tiny_registry

from hierpets.bundle.info import bundle_info
from hierpets.cli.deploy.info import command as info
from hierpets.config import BackboneChoice, FrozenChoice, HeadSpec, TrainConfig, change_config
from hierpets.data.labeled.index import read_index
from hierpets.errors import ConfigError
from hierpets.model.backbone import build_backbone
from hierpets.registry.loading import load_registry
from hierpets.taxonomy import Taxonomy
from hierpets.training.cascade.early import EarlyAttempt, best_early, try_early
from hierpets.training.recipe import train
from hierpets.training.selection.candidates import multiply_adds

SMALL = {"name": "tiny", "options": {"width": 2}}


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    folder = tmp_path_factory.mktemp("registry")
    tiny_registry(folder)
    return folder / "registry.yaml"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of two networks, and its events."""
    events = []
    return train_cascade(tmp_path_factory.mktemp("cascade"), "demo", listener=events.append), events


def test_multiply_adds_counts_those_of_one_photo(registry):
    backbone, _ = build_backbone(load_registry(registry), "tiny", {"width": 4})
    # 7 x 7 places of 4 filters 5 x 5 x 3, then 3 x 3 places of 16 filters 3 x 3 x 4.
    assert multiply_adds(backbone) == 7 * 7 * 4 * 75 + 3 * 3 * 16 * 36


def test_best_early_is_the_one_that_costs_least_if_it_is_worth_its_memory():
    dear, cheap, useless = (EarlyAttempt(early=None, threshold=0.5, share=0.5, cost=cost) for cost in (0.7, 0.6, 1.2))
    assert best_early([dear, cheap, useless]) == [cheap]
    assert best_early([useless]) == []
    assert best_early([]) == []


def test_try_early_leaves_out_a_network_that_knows_other_breeds(registry):
    plugins = load_registry(registry)

    def network(width, *breeds):
        backbone, _ = build_backbone(plugins, "tiny", {"width": width})
        return SimpleNamespace(backbone=backbone, network=SimpleNamespace(taxonomy=Taxonomy(tree={"dog": breeds})))

    small = SimpleNamespace(
        choice=FrozenChoice(BackboneChoice(name="tiny", options={"width": 2}), "center", HeadSpec())
    )
    attempts = try_early(
        [small], network(16, "pug", "beagle"), lambda *_, **__: network(2, "pug"), plugins, TrainConfig(out="run")
    )
    assert list(attempts) == []


def test_train_writes_a_bundle_whose_networks_answer_in_turn(trained):
    result, events = trained
    manifest = json.loads((result.bundle / "bundle.json").read_text())
    (early,) = manifest["early"]
    assert early["backbone"]["options"]["width"] == 2
    assert early["preprocess"]["size"] == 32
    assert "asked before it: tiny width=2" in result.summary
    (event,) = (event for event in events if event["event"] == "early")
    assert (event["threshold"], event["share"]) == (early["threshold"], early["share"])
    predictor = result.predictor(recommend=False)
    photos = read_index("demo").paths[:20]
    assert {answer.stage for answer in predictor.predict(photos)} <= {0, 1}


def test_train_measures_the_networks_together(trained):
    result, _ = trained
    assert set(result.metrics) == {"cross_validation", "validation"}
    assert result.metrics["cross_validation"].breed.n > 100


def test_info_shows_every_stage(trained):
    bundle = trained[0].bundle
    found = bundle_info(bundle)
    assert len(found.early) == 1
    assert found.grows
    assert found.engines == ("openvino", "torch")
    (bundle / "early0.safetensors").rename(bundle / "gone")
    try:
        assert bundle_info(bundle).engines == ("openvino",)
    finally:
        (bundle / "gone").rename(bundle / "early0.safetensors")
    lines = CliRunner().invoke(info, [str(bundle)]).output.splitlines()
    stages = [line for line in lines if line.startswith("stage ")]
    assert [line.split("(")[1].split(",")[0] for line in stages] == ["width=2", "width=4"]
    assert any("above a certainty of" in line for line in lines)


def test_train_refuses_an_early_network_that_needs_a_larger_photo(registry, tmp_path):
    code = (registry.parent / "plugins" / "tiny.py").read_text().replace("size=32", "size=64").replace("tiny(", "wide(")
    (tmp_path / "wide.py").write_text(code)
    shutil.copy(registry.parent / "plugins" / "tiny.py", tmp_path / "tiny.py")
    (tmp_path / "registry.yaml").write_text(
        "plugins:\n"
        "  - {name: tiny, kind: backbone, entry: 'tiny.py:tiny'}\n"
        "  - {name: wide, kind: backbone, entry: 'wide.py:wide'}\n"
    )
    with pytest.raises(ConfigError, match="early: wide needs photos decoded to 80 pixels, the main backbone to 40"):
        train(
            recipe="heads",
            backbone="tiny",
            early=[{"name": "wide"}],
            registry=tmp_path / "registry.yaml",
            out=tmp_path / "run",
        )


@pytest.mark.slow
def test_recipe_auto_tries_cheaper_backbones_before_the_best(registry, tmp_path):
    events = []
    train(
        recipe="auto",
        auto={
            "backbones": [SMALL, {"name": "tiny", "options": {"width": 8}}],
            "views": ["plain"],
            "heads": [{"shrinkage": 0.4}],
            "finetune_minutes": 0,
        },
        registry=registry,
        out=tmp_path / "run",
        listener=events.append,
    )
    (attempt,) = (event for event in events if event["event"] == "early_candidate")
    assert "width=2" in attempt["choice"]
    kept = [event for event in events if event["event"] == "early"]
    assert bool(kept) == (attempt["cost"] <= 0.8)


def test_recipe_auto_chooses_early_backbones_itself():
    with pytest.raises(ConfigError, match="early: recipe auto chooses early backbones itself"):
        change_config(None, {"early": [SMALL]})


def test_weights_of_early_backbones_are_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = change_config(None, {"recipe": "heads", "early": [{**SMALL, "weights": "tuned"}]}).absolute()
    assert config.early[0].weights == tmp_path / "tuned"
