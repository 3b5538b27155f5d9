"""What a fine-tuned model knows of photos that it did not learn from."""

import pytest
from helpers.fakes import tiny_registry
from helpers.tuning import win_by_little

from hierpets.bundle.manifest import read_manifest
from hierpets.training.recipe import train


def tuned(tmp_path, monkeypatch, **settings):
    """What comes of a training whose fine-tuning wins by little."""
    registry = tiny_registry(tmp_path).path
    win_by_little(monkeypatch)
    return train(backbone="tiny", registry=registry, out=tmp_path / "run", val_fraction=0.3, **settings)


def test_a_finetuned_model_says_that_what_chose_its_heads_was_before(tmp_path, monkeypatch):
    auto = {"heads": [{"shrinkage": 0.2}, {"shrinkage": 0.4}], "views": ["plain"], "stress": False}
    result = tuned(tmp_path, monkeypatch, recipe="auto", auto=auto, second_look=False)
    for selection in (result.selection, read_manifest(result.bundle).selection):
        assert str(selection).startswith("before fine-tuning: chosen among 2 with")


@pytest.mark.parametrize("early", [(), ({"name": "tiny", "options": {"width": 4}},)], ids=["alone", "after another"])
def test_a_finetuned_model_learns_from_validation_photos_what_other_breeds_look_like(
    tmp_path, monkeypatch, caplog, early
):
    result = tuned(tmp_path, monkeypatch, recipe="finetune", early=early)
    manifest = read_manifest(result.bundle)
    assert manifest.training["calibrated_on"] == "validation"
    assert "fine-tuned" in result.summary
    assert len(manifest.early) == len(early)
    assert set(result.metrics) == {"validation"}
    assert "may be named as one that is" not in caplog.text
    scores = {name: sum(map(len, of.values())) for name, of in manifest.policy.scores.items()}
    assert set(scores) == {"trained", "unlisted"}
    measured = result.metrics["validation"]
    assert scores["unlisted"] == measured.breed.n
    assert measured.breed.n < scores["trained"] <= measured.species.n  # one species of the three has no breeds
