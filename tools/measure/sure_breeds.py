"""Measure how many photos with a too low pet score still have a sure breed (docs/experiments.md).

    python tools/measure/sure_breeds.py --data ../shared/data/pets --elsewhere ../shared/data/elsewhere \
        --unlisted ../shared/data/unseen-breeds --horses ../shared/data/horses --no-pets ../shared/data/not-pets \
        [--write docs/experiments.md]

Heads are fitted to frozen features; photos of the data are predicted by heads that did not see them or their breed.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hierpets.config import FrozenChoice, TrainConfig
from hierpets.data.labeled.index import read_index
from hierpets.data.listing import find_photos
from hierpets.hierarchy.policy import Policy
from hierpets.inference.loading import load
from hierpets.inference.prediction import Prediction
from hierpets.model.writer import write_bundle
from hierpets.progress import no_progress
from hierpets.registry.loading import load_registry
from hierpets.training.calibration import Calibrated, calibrate_trained
from hierpets.training.frozen.model import fit_frozen_model
from hierpets.training.outcome.manifest import make_manifest
from hierpets.training.outputs import HeldOutOutputs
from hierpets.training.splits import read_splits
from hierpets.training.trained import Trained
from tools.errors import in_one_line
from tools.measure.photos import SOURCES, read_arguments
from tools.pages.marks import publish

BACKBONE = "efficientnet_lite0"


class Row(NamedTuple):
    """Counts: ``photos``, those ``below`` the threshold, of these the ``sure`` breeds, and the right ones of these."""

    photos: int
    below: int
    sure: int
    right: int | None


@in_one_line
def main() -> int:
    """Print or write a table."""
    given = read_arguments(__doc__, *SOURCES)
    with tempfile.TemporaryDirectory() as folder:
        config = TrainConfig(data=given.data, recipe="heads", backbone=BACKBONE, out=Path(folder) / "run")
        registry = load_registry(None)
        splits = read_splits(config, registry)
        choice = FrozenChoice(config.backbone_choice, config.view, config.head)
        trained = fit_frozen_model(choice, splits, config, registry=registry, device="cpu", progress=no_progress)
        calibrated = calibrate_trained(trained, combiner=config.combiner, alpha=config.alpha)
        write_bundle(Path(folder) / "bundle", trained.network, make_manifest(trained, calibrated, splits, config))
        predictor = load(Path(folder) / "bundle", precision="f32", recommend=False)
        rows = dict(held_out(trained, calibrated))
        listed = read_index(given.elsewhere)
        found = list(predictor.stream(listed.paths))
        rows["from elsewhere"] = asked(found, calibrated.policy, [record.breed for record in listed.records])
        for name, source in (("unlisted", given.unlisted), ("horses", given.horses), ("no pets", given.no_pets)):
            rows[name] = asked(list(predictor.stream(find_photos(source))), calibrated.policy)
    publish(describe(rows), given.write, __file__)
    return 0


def held_out(trained: Trained, calibrated: Calibrated) -> Iterator[tuple[str, Row]]:
    """Yield the rows of photos that the heads were not fitted to, or whose breeds they were not fitted to."""
    yield "out of fold", judged(trained.held_out["cross_validation"], calibrated)
    yield "of validation", judged(trained.held_out["validation"], calibrated)
    if trained.unlisted is not None:
        yield "of breeds that were held out", judged(trained.unlisted, calibrated)._replace(right=None)


def judged(outputs: HeldOutOutputs, calibrated: Calibrated) -> Row:
    """Return the row of photos with these outputs."""
    decisions = calibrated.predict(outputs).decisions
    best = [calibrated.taxonomy.leaf_index(*decision.top[0][0]) for decision in decisions]
    least = np.array([decision.thresholds.pet for decision in decisions])
    return row(outputs.scores[:, 0], least, calibrated.policy, np.array(best) == outputs.labels.leaf)


def asked(predictions: list[Prediction], policy: Policy, breeds: list[str | None] | None = None) -> Row:
    """Return the row of predicted photos, with their ``breeds`` if these are listed ones."""
    score = np.array([one.pet_score for one in predictions])
    least = np.array([one.thresholds.pet for one in predictions])
    right = None if breeds is None else np.array([one.breed for one in predictions]) == np.array(breeds)
    return row(score, least, policy, right)


def row(score: np.ndarray, least: np.ndarray, policy: Policy, right: np.ndarray | None) -> Row:
    """Return a row from pet scores [N], the lowest allowed score of each, and which breeds are right, bool [N]."""
    below = score < (-np.inf if policy.pet is None else policy.pet)
    sure = below & (score >= least)
    return Row(len(score), int(below.sum()), int(sure.sum()), None if right is None else int((sure & right).sum()))


def describe(rows: dict[str, Row]) -> str:
    """Return the table, and a sentence on how it was measured."""
    lines = [
        f"{BACKBONE} as ImageNet left it, recipe heads.",
        "",
        "| photos | number | below the threshold | of these pets, for their breed is sure | right |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {name} | {one.photos} | {one.below} | {one.sure} | {'' if one.right is None else one.right} |"
        for name, one in rows.items()
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
