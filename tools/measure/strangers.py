"""Measure how several kinds of models answer for pets of unlisted breeds and for no pets (docs/experiments.md).

    python tools/measure/strangers.py --data ../shared/data/pets --elsewhere ../shared/data/elsewhere \
        --unlisted ../shared/data/unseen-breeds --horses ../shared/data/horses --no-pets ../shared/data/not-pets \
        [--write docs/experiments.md]

One backbone is trained on the same photos: heads only and fine-tuned, both without and with pretrained breeds, and for
the species only. It takes a quarter of an hour on two cores.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hierpets.data.labeled.index import read_index
from hierpets.data.listing import find_photos
from hierpets.errors import DataError
from hierpets.inference.prediction import Prediction
from hierpets.training.recipe import train
from tools.errors import in_one_line
from tools.measure.photos import SOURCES, read_arguments, share_named, share_right
from tools.pages.marks import publish

BACKBONE, EPOCHS = "efficientnet_lite0", 3
KINDS: dict[str, dict[str, Any]] = {
    "heads alone": {"recipe": "heads"},
    "fine-tuned": {"recipe": "finetune", "finetune": {"epochs": EPOCHS}},
    "heads alone, pretrained breeds": {"recipe": "heads", "pretrained_breeds": True},
    "fine-tuned, pretrained breeds": {"recipe": "finetune", "finetune": {"epochs": EPOCHS}, "pretrained_breeds": True},
    "species alone": {"recipe": "heads", "levels": "species"},
}


@in_one_line
def main() -> int:
    """Print or write a table."""
    given = read_arguments(__doc__, *SOURCES)
    others = {
        f"other breeds: {folder.name}": folder for folder in sorted(Path(given.unlisted).iterdir()) if folder.is_dir()
    }
    sources = others | {"horses": given.horses, "no pets": given.no_pets}
    strangers = {name: find_photos(source) for name, source in sources.items()}
    rows = {kind: measure(given.data, given.elsewhere, strangers, settings) for kind, settings in KINDS.items()}
    publish(describe(rows, list(strangers)), given.write, __file__)
    return 0


def measure(data: str, elsewhere: str, strangers: dict[str, list[str]], settings: dict[str, Any]) -> list[str]:
    """Train one kind of model; return its row: photos from elsewhere, then each kind of strangers."""
    listed = read_index(elsewhere).records
    with tempfile.TemporaryDirectory() as folder:
        result = train(data, out=Path(folder) / "run", backbone=BACKBONE, quantize=False, **settings)
        if settings["recipe"] == "finetune" and not result.summary.endswith("fine-tuned"):
            raise DataError(
                f"{data}: fine-tuning is not clearly better here, and heads alone are kept; give more photos"
            )
        predictor = result.predictor(recommend=False)
        known, *others = (
            list(predictor.stream(paths)) for paths in ([one.path for one in listed], *strangers.values())
        )
    named = share_named(known)
    wrong = f", {100 - share_right(known, listed):.1f}" if named else ""
    return [f"{named:.1f}{wrong}; {refused(known):.1f}", *(f"{share_named(p):.1f}; {refused(p):.1f}" for p in others)]


def refused(predictions: Sequence[Prediction]) -> float:
    """Return the percentage of photos that are answered as unknown."""
    return 100 * float(np.mean([one.level == "unknown" for one in predictions]))


def describe(rows: dict[str, list[str]], strangers: Sequence[str]) -> str:
    """Return the table, and a sentence on how it was measured."""
    lines = [
        f"{BACKBONE}, fine-tuned for {EPOCHS} epochs, alpha 0.05. Percent of photos that are named a breed (and of "
        "these wrong), and that are no known pet.",
        "",
        f"| model | listed, from elsewhere | {' | '.join(strangers)} |",
        f"| --- | {' | '.join(['---:'] * (1 + len(strangers)))} |",
    ]
    lines += [f"| {kind} | {' | '.join(cells)} |" for kind, cells in rows.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
