"""What a plan charges for: every network of a recipe, every view of its photos, and the heads that are asked for."""

import time
from types import SimpleNamespace

import pytest
from helpers.features import blobs, feature_set

from hierpets.config import AutoConfig, BackboneChoice, HeadSpec, TrainConfig
from hierpets.model.backbone import build_backbone, fingerprint
from hierpets.planning import costs
from hierpets.planning.costs import HeadSeconds, recipe_costs, time_backbone, time_heads
from hierpets.planning.lines import _recipes
from hierpets.planning.result import RecipeCost
from hierpets.registry.loading import load_registry
from hierpets.taxonomy import Taxonomy

PHOTOS = 600
LDA, LOGISTIC = 1.0, 60.0

DRAWN = """
import torch

from hierpets.plugin import Backbone, Preprocess


def drawn() -> Backbone:
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 8, stride=8), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    return Backbone(module, feature_dim=4, preprocess=Preprocess(size=32, crop=1.0))
"""


@pytest.fixture
def minutes(monkeypatch):
    """Minutes of each recipe, with an own backbone of a tenth of a second a photo, and early ones of others."""
    monkeypatch.setattr(costs, "finetune_minutes", lambda *_, **__: 100.0)

    def cost(early=(), compared=(0.1,), **settings):
        networks = [SimpleNamespace(backbone=None, seconds=seconds) for seconds in (0.1, *early, *compared)]
        own, first, last = networks[0], networks[1 : 1 + len(early)], networks[1 + len(early) :]
        found = recipe_costs(
            TrainConfig(recipe="heads", **settings),
            *(own, first, last, HeadSeconds(LDA, LOGISTIC)),
            photos=PHOTOS,
            device="cpu",
            price=None,
        )
        return {one.recipe: one.minutes for one in found}

    return cost


@pytest.mark.parametrize(("view", "views"), [("flip", 2), ("crops", 5)])
def test_every_view_of_the_photos_is_paid_for(minutes, view, views):
    plain, more = minutes(), minutes(view=view)
    for recipe in ("heads", "finetune"):
        assert more[recipe] - plain[recipe] == pytest.approx((views - 1) * PHOTOS * 0.1 / 60)
    assert more["auto"] == plain["auto"]  # which compares views of its own


@pytest.mark.parametrize("kind", ["logistic", "blend"])
def test_heads_by_logistic_regression_take_its_time_in_every_fold(minutes, kind):
    lda, other = minutes(folds=3), minutes(folds=3, head=HeadSpec(kind=kind))
    for recipe in ("heads", "finetune"):
        assert other[recipe] - lda[recipe] == pytest.approx(4 * LOGISTIC / 60)
    assert other["auto"] == lda["auto"]


def test_networks_that_are_asked_before_the_main_one_are_paid_for(minutes):
    alone, asked = minutes(view="flip"), minutes(view="flip", early=(0.02, 0.03))
    own_heads = alone["heads"] - (costs.OVERHEAD + PHOTOS * 2 * 0.1) / 60
    for recipe in ("heads", "finetune"):
        assert asked[recipe] - alone[recipe] == pytest.approx(PHOTOS * 2 * (0.02 + 0.03) / 60 + 2 * own_heads)
    assert asked["auto"] == alone["auto"]


def test_auto_pays_for_what_it_compares(minutes):
    auto = AutoConfig(views=("plain", "crops"), stress=False, heads=(HeadSpec(),))
    one, two = (minutes(compared=compared, auto=auto)["auto"] for compared in ((0.1,), (0.1, 0.3)))
    assert two - one == pytest.approx((PHOTOS * 5 * 0.3 + 2 * 5 * LDA) / 60)


def test_a_network_is_planned_with_the_weights_that_training_draws(tmp_path):
    (tmp_path / "drawn.py").write_text(DRAWN)
    (tmp_path / "registry.yaml").write_text("plugins:\n  - {name: drawn, kind: backbone, entry: 'drawn.py:drawn'}\n")
    registry, choice = load_registry(tmp_path / "registry.yaml"), BackboneChoice(name="drawn")
    planned = time_backbone(choice, ["demo:cat/ginger/1"], registry, device="cpu", seed=7)
    trained, other = (build_backbone(registry, "drawn", {}, seed=seed)[0] for seed in (7, 0))
    assert fingerprint(planned.backbone) == fingerprint(trained) != fingerprint(other)


def test_the_first_fit_of_heads_is_not_timed(monkeypatch):
    """It imports scikit-learn, which took three seconds where a fit took 0.02."""
    taxonomy = Taxonomy(tree={"cat": ("birman", "siamese"), "dog": ("boxer", "pug")})
    photos, fitted = feature_set(*blobs([20, 20, 20, 20]), taxonomy), []

    def fit(some, spec):
        if not fitted:
            time.sleep(0.5)
        fitted.append(len(some))

    monkeypatch.setattr(costs, "fit_heads", fit)
    assert time_heads(photos, of=80).logistic < 0.25
    assert fitted == [12, 80]


@pytest.mark.parametrize(("limit", "skips"), [(0, True), (99, True), (100, False)])
def test_auto_says_when_it_skips_fine_tuning(monkeypatch, limit, skips):
    monkeypatch.setattr(costs, "finetune_minutes", lambda *_, **__: 100.0)
    own = SimpleNamespace(backbone=None, seconds=0.1)
    found = recipe_costs(
        TrainConfig(auto=AutoConfig(finetune_minutes=limit)),
        *(own, [], [own], HeadSeconds(LDA, LOGISTIC)),
        photos=PHOTOS,
        device="cpu",
        price=None,
    )
    assert {one.recipe: one.finetunes for one in found} == {"heads": False, "auto": not skips, "finetune": True}
    assert all((one.minutes > 100) == one.finetunes for one in found)
    said = f"fine-tuning skipped: estimated 100.0 min exceeds finetune_minutes={limit}"
    assert (said in "\n".join(_recipes(found))) == skips


@pytest.mark.parametrize(("cost", "said"), [(0.0004, "<0.01"), (0.005, "0.01"), (0.0, "0.00"), (1.5, "1.50")])
def test_no_cost_is_said_to_be_nothing(cost, said):
    found = RecipeCost(recipe="heads", minutes=0.1, core_hours=0.0, cost=cost, finetunes=False, skipped=None)
    assert f", {said} at the given price" in " ".join(_recipes([found]))
