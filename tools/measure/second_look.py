"""Measure what a second look changes: the photos that get one, the refused ones, and accuracy, also under corruption.

    python tools/measure/second_look.py --data ../shared/data [--bundle runs/pets/bundle] [--write docs/experiments.md]

``--data`` holds ``pets``, ``elsewhere``, ``unseen-breeds/dog`` and ``unseen-breeds/cat``, ``horses`` and ``not-pets``.
Without ``--write`` the text is printed.
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hierpets.data.listing import find_photos
from hierpets.evaluation.metrics.schema import Metrics, StressScores
from hierpets.evaluation.run import evaluate
from hierpets.inference.detector.network import Detections, Detector
from hierpets.inference.detector.second_look import SecondLook
from hierpets.inference.loading import load
from hierpets.inference.prediction import Prediction
from hierpets.inference.predictor import Predictor
from hierpets.workers import cores
from tools.errors import in_one_line
from tools.pages.marks import publish

GROUPS = {
    "Oxford's photos, which the model was fitted to": "pets",
    "photos from elsewhere": "elsewhere",
    "unlisted dogs": "unseen-breeds/dog",
    "unlisted cats, a third of them tigers": "unseen-breeds/cat",
    "horses": "horses",
    "no pets": "not-pets",
}


class CountingDetector(Detector):
    """A detector that counts its calls in ``calls``."""

    calls = 0
    _counting = threading.Lock()

    def __call__(self, pixels: np.ndarray) -> Detections:
        with self._counting:
            self.calls += 1
        return super().__call__(pixels)


def refused(found: list[Prediction]) -> float:
    """Return the share of photos that are refused as no known pet."""
    decisions = [one.decision for one in found]
    return float(np.mean([one is not None and one.source == "not_a_known_pet" for one in decisions]))


def groups(once: Predictor, twice: Predictor, detector: CountingDetector, data: Path) -> Iterator[str]:
    """Yield a table of the shares of photos that are looked at again, and that are refused."""
    yield "| photos | number | the detector is asked | the network is asked again | refused at one look | at two |"
    yield "|---|---|---|---|---|---|"
    for name, folder in GROUPS.items():
        photos = list(find_photos(data / folder))
        detector.calls = 0
        found = list(twice.stream(photos))
        again = np.mean([one.second_look is not None for one in found])
        shares = detector.calls / len(photos), again, refused(list(once.stream(photos))), refused(found)
        yield f"| {name} | {len(photos)} | {' | '.join(f'{share:.1%}' for share in shares)} |"


def accuracies(once: Metrics, twice: Metrics) -> Iterator[str]:
    """Yield a table of accuracies on photos from elsewhere, unchanged and corrupted by the stress test."""
    yield "| photos from elsewhere | breeds right | at two looks | named | at two looks | covered | at two looks |"
    yield "|---|---|---|---|---|---|---|"
    for (name, one), (_, two) in zip(_under_stress(once), _under_stress(twice), strict=True):
        pairs = zip(*((scores.breed, scores.named, scores.holds_truth) for scores in (one, two)), strict=True)
        yield f"| {name} | {' | '.join(f'{share:.1%}' for pair in pairs for share in pair)} |"


def _under_stress(metrics: Metrics) -> Iterator[tuple[str, StressScores]]:
    stress = metrics.stress
    assert stress is not None
    yield f"{stress.n}, unchanged", stress.unchanged
    for mean in stress.mean:
        yield f"all kinds, step {mean.step}", mean
    for step in stress.steps:
        if step.kind == "far away":
            yield f"{step.kind}: {step.setting}", step


def page(once: Predictor, twice: Predictor, detector: CountingDetector, data: Path) -> str:
    """Return both tables."""
    measured = [evaluate(one, data / "elsewhere", stress=True).metrics for one in (once, twice)]
    right = " and ".join(f"{one.breed.accuracy:.1%}" for one in measured if one.breed is not None)
    said = f"Of all photos from elsewhere {right} of breeds are right, at one look and at two."
    return "\n".join([*groups(once, twice, detector, data), "", said, "", *accuracies(*measured)])


@in_one_line
def main() -> None:
    """Predict all photos with one look and with two, and print or write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, help="default: the released one")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--write", type=Path, metavar="PAGE")
    given = parser.parse_args()
    loaded, detector = load(given.bundle, workers=cores(), recommend=False), CountingDetector(workers=cores())
    manifest, engine, model = loaded.manifest, loaded.engine, loaded.model
    early = loaded.cascade.engines[:-1]
    once = Predictor(manifest, engine, early=early, model=model)
    twice = Predictor(manifest, engine, early=early, second_look=SecondLook.of(manifest, detector), model=model)
    publish(page(once, twice, detector, given.data), given.write, __file__)


if __name__ == "__main__":
    sys.exit(main())
