"""What a model promises is fitted to both looks, as it looks when it is used."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.fakes import tiny_registry
from helpers.tuning import win_by_little

from hierpets.bundle.manifest import read_manifest
from hierpets.config import BackboneChoice, FrozenChoice, TrainConfig
from hierpets.inference.detector.network import ANIMALS, Detections, Detector
from hierpets.inference.loading import load
from hierpets.inference.prediction import Prediction
from hierpets.model.writer import write_bundle
from hierpets.progress import no_progress
from hierpets.training.calibration import Calibrated, calibrate_trained
from hierpets.training.cascade import fit
from hierpets.training.cascade.fit import fit_cascade
from hierpets.training.finetuning import finetune
from hierpets.training.frozen.model import fit_frozen_model
from hierpets.training.outcome.manifest import make_manifest
from hierpets.training.recipe import train
from hierpets.training.splits import Splits, read_splits
from hierpets.training.trained import Trained


@pytest.fixture(autouse=True)
def small_dogs(tmp_path, monkeypatch):
    """A detector that sees a small dog in every photo."""
    monkeypatch.setenv("HIERPETS_CACHE", str(tmp_path / "cache"))
    logits = np.full((1, len(ANIMALS)), -5.0)
    logits[0, ANIMALS.index("dog")] = 3.0
    monkeypatch.setattr(Detector, "__call__", lambda *_: Detections(np.array([[0.2, 0.2, 0.7, 0.7]]), logits))


def config_of(tmp_path, **changes) -> TrainConfig:
    tiny_registry(tmp_path)
    chosen = {"recipe": "heads", "backbone": "tiny", "registry": tmp_path / "registry.yaml", "val_fraction": 0.3}
    return TrainConfig(data="demo", out=tmp_path / "run", **(chosen | changes))


class Fitted:
    """The steps of a training, one by one."""

    def __init__(self, config: TrainConfig):
        self.config, registry = config, tiny_registry(config.out.parent)
        self.splits: Splits = read_splits(config, registry)
        self.how = {"registry": registry, "device": "cpu", "progress": no_progress}

    def frozen(self, *, width: int = 8, second_look: bool = True) -> Trained:
        choice = FrozenChoice(BackboneChoice(name="tiny", options={"width": width}), self.config.view, self.config.head)
        return fit_frozen_model(choice, self.splits, self.config, second_look=second_look, **self.how)

    def served(self, trained: Trained, folder: Path) -> tuple[Calibrated, list[Prediction]]:
        """How it is calibrated, and what the bundle says of validation photos."""
        calibrated = calibrate_trained(trained, combiner=self.config.combiner, alpha=self.config.alpha)
        manifest = make_manifest(trained, calibrated, self.splits, self.config)
        write_bundle(folder, trained.network, manifest, [], None, early=[one.network for one in trained.early])
        predictor = load(folder, registry=self.config.registry, precision="f32", recommend=False)
        return calibrated, predictor.predict(self.splits.val.paths)


@pytest.mark.parametrize("how", ["alone", "after an early network", "fine-tuned"])
def test_held_out_photos_are_answered_as_the_model_answers_them(tmp_path, monkeypatch, how):
    fitted = Fitted(config_of(tmp_path))
    once, trained = fitted.frozen(second_look=False), fitted.frozen()
    if how == "after an early network":
        monkeypatch.setattr(fit, "MIN_THRESHOLD", 0.51)  # synthetic photos are hard to tell for a tiny network
        early = fitted.frozen(width=12, second_look=False)
        once, trained = (fit_cascade([early], main, combiner=fitted.config.combiner) for main in (once, trained))
        assert {*trained.held_out["validation"].by_main.tolist()} == {True, False}
    if how == "fine-tuned":
        once, trained = (tuned(fitted, monkeypatch, second_look=wanted) for wanted in (False, True))
    calibrated, answers = fitted.served(trained, tmp_path / "bundle")
    held_out = trained.held_out["validation"]
    again = np.array([answer.second_look is not None for answer in answers])
    assert 0 < again.mean() < 1
    joint, pet = np.array([answer.joint for answer in answers]), np.array([answer.pet_score for answer in answers])
    # Held out, a photo meets a gate that was fitted to others of the same photos, where these are all there are.
    near = 0.03 if how == "fine-tuned" else 1e-4
    same = np.abs(joint - calibrated.joint(held_out.outputs)).max(axis=1) < near
    same &= np.abs(pet - held_out.scores[:, 0]) < 1e-3
    # Temperatures are fitted to both looks in the end: few photos are on the other side of one half then.
    assert same.mean() > 0.9
    changed = np.abs(held_out.scores - once.held_out["validation"].scores).max(axis=1) > 1e-6
    assert (changed & same)[again].mean() > 0.8


def tuned(fitted: Fitted, monkeypatch, *, second_look: bool) -> Trained:
    """What comes of fine-tuning that won, by a little."""
    win_by_little(monkeypatch)
    run = SimpleNamespace(log=lambda *_, **__: None, progress=no_progress)
    config = fitted.config.model_copy(update={"second_look": second_look})
    frozen = fitted.frozen(second_look=second_look)
    return finetune.finetune_trained(frozen, fitted.splits, config, run=run, device="cpu")


@pytest.mark.parametrize("wanted", [True, False])
def test_a_bundle_says_whether_it_looks_again(tmp_path, wanted):
    result = train(config=config_of(tmp_path, second_look=wanted))
    assert read_manifest(result.bundle).second_look is wanted
    answers = result.predictor(recommend=False).predict([f"demo:cat/siamese/{n}" for n in range(900, 920)])
    assert any(answer.second_look for answer in answers) is wanted
