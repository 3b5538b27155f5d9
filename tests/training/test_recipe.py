import json
import re
from pathlib import Path

import pytest
import yaml
from helpers.fakes import tiny_registry

from hierpets.config import read_config
from hierpets.errors import DataError, HierpetsError, PluginError
from hierpets.model.manifest import read_manifest
from hierpets.training.recipe import train


def settings(tmp_path: Path, **changes):
    tiny_registry(tmp_path)
    base = {"recipe": "heads", "backbone": "tiny", "registry": tmp_path / "registry.yaml", "out": tmp_path / "run"}
    return read_config(None, base | changes)


def test_a_run_holds_settings_log_metrics_and_bundle(tmp_path):
    events = []
    config = settings(tmp_path)
    bundle = train(config, listener=events.append)
    run = tmp_path / "run"
    assert bundle == run / "bundle"
    assert read_config(run / "config.yaml", {}) == config
    logged = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [e["event"] for e in logged] == [e["event"] for e in events if e["event"] != "progress"]
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["cross_validation"]["species"]["n"] > metrics["validation"]["species"]["n"] > 0
    manifest = read_manifest(bundle)
    assert manifest.training["train"] == metrics["cross_validation"]["species"]["n"]
    assert manifest.backbone.name == "tiny"


def test_auto_compares_on_training_photos_and_says_what_it_chose(tmp_path):
    events = []
    auto = {
        "heads": [{"shrinkage": 0.2}, {"kind": "logistic", "c": 0.1}],
        "views": ["plain", "flip"],
        "finetune_minutes": 0,
    }
    train(settings(tmp_path, recipe="auto", auto=auto), listener=events.append)
    candidates = [e for e in events if e["event"] == "candidate"]
    (chosen,) = [e for e in events if e["event"] == "chosen"]
    assert {(c["view"], c["head"]) for c in candidates} == {
        (view, head) for view in ("plain", "flip") for head in ("LDA, shrinkage 0.2", "logistic, C 0.1")
    }
    assert chosen["breed"] == max(c["breed"] for c in candidates)
    manifest = read_manifest(tmp_path / "run" / "bundle")
    assert chosen["head"] in manifest.training["how"]
    (skipped,) = [e for e in events if e["event"] == "skipped"]
    assert "finetune_minutes is 0" in skipped["why"]


def test_auto_finetunes_from_the_heads_and_keeps_what_wins(tmp_path):
    events = []
    auto = {"heads": [{"shrinkage": 0.4}], "views": ["plain"]}
    bundle = train(
        settings(tmp_path, recipe="auto", auto=auto, finetune={"epochs": 1, "workers": 0}), listener=events.append
    )
    (told,) = [e for e in events if e["event"] == "finetuned"]
    assert told["best"] >= told["start"]
    assert ("fine-tuned" in read_manifest(bundle).training["how"]) == told["won"]
    assert read_manifest(bundle).training["calibrated_on"] == ("validation" if told["won"] else "cross_validation")


def test_the_same_seed_gives_the_same_bundle(tmp_path):
    first = train(settings(tmp_path / "a", seed=7))
    second = train(settings(tmp_path / "b", seed=7))
    for name in ("weights.safetensors", "openvino/model.bin", "bundle.json"):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


def test_species_alone_trains_no_breed_head(tmp_path):
    bundle = train(settings(tmp_path, levels="species"))
    assert not read_manifest(bundle).taxonomy.has_breeds
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["validation"].get("breed") is None


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"backbone": "tinny"}, PluginError, "did you mean 'tiny'"),
        ({"sampler": "shufle"}, PluginError, "did you mean 'shuffle'"),
        ({"data": "/nowhere"}, DataError, "/nowhere"),
        ({"backbone_options": {"widht": 3}}, PluginError, "widht"),
        ({"sampler": "effective_number", "sampler_options": {"beta": 3}}, HierpetsError, "beta"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(tmp_path, changes, error, message):
    with pytest.raises(error, match=re.escape(message)):
        train(settings(tmp_path, **changes))
    assert not (tmp_path / "run").exists()


def test_a_class_without_training_photos_is_named(tmp_path):
    rows = ["path,species,breed,split"]
    rows += [f"demo:cat/siamese/{i},cat,siamese,{'val' if i else 'train'}" for i in range(3)]
    rows += [f"demo:dog/pug/{i},dog,pug,val" for i in range(3)]
    (tmp_path / "photos.csv").write_text("\n".join(rows))
    with pytest.raises(DataError, match="dog/pug"):
        train(settings(tmp_path, data=str(tmp_path / "photos.csv")))


def test_a_sampler_of_ones_own_changes_the_heads(tmp_path):
    plain = train(settings(tmp_path / "a"))
    registry = tmp_path / "b" / "registry.yaml"
    config = settings(tmp_path / "b", sampler="lopsided")
    (registry.parent / "plugins" / "lopsided.py").write_text(
        "import numpy as np\n\ndef lopsided(labels):\n    return np.where(labels.species == 0, 20.0, 0.1)\n"
    )
    listed = yaml.safe_load(registry.read_text())
    listed["plugins"].append({"name": "lopsided", "kind": "sampler", "entry": "plugins/lopsided.py:lopsided"})
    registry.write_text(yaml.safe_dump(listed))
    lopsided = train(config)
    assert (plain / "weights.safetensors").read_bytes() != (lopsided / "weights.safetensors").read_bytes()
