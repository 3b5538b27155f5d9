"""Fine-tune a backbone for the released bundle: on all photos, and on all but each of five folds. Meant for a GPU.

    python tools/tune_backbone.py --data DIR [--more DIR] [--elsewhere DIR] --out FOLDER [--network lite2]

Writes ``FOLDER/NETWORK/{all,fold0,...,fold4}.safetensors``, backbones in float16 halfway between the start and the end
of training (WiSE-FT), with a ``.json`` beside each: the accuracy on the photos that it did not see. Existing
files are kept, so a stopped run can be resumed. ``--data`` is the data that ``hierpets train`` will get, which uses the
same folds; the photos of ``--more`` are in every training part, those of ``--elsewhere`` in none. Features are cached
as in training, 20 MB for each backbone and coefficient of 4,000 photos.

With ``--parts``, several processes can share a GPU, each with a part of its own: six Lite2 were trained in parallel in
four minutes on an H100, in 42 GB of its memory.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from hierpets.cli.progress import ProgressDisplay
from hierpets.data.labeled.index import read_index
from hierpets.data.records import PhotoIndex
from hierpets.files import write_all
from hierpets.inference.engines.base import choose_device
from hierpets.progress import Progress
from hierpets.registry.loading import Registry, load_registry
from tools.errors import in_one_line
from tools.tuning.measurement import measure, table
from tools.tuning.photos import PARTS, TuningPhotos, read_tuning_photos
from tools.tuning.procedure import ALPHA, PROCEDURES, Procedure
from tools.tuning.squares import read_squares
from tools.tuning.tuned import tune


@in_one_line
def main(arguments: Sequence[str] | None = None) -> int:
    """Tune a backbone for each part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="SPECIES/BREED/photo.jpg: the photos in folds")
    parser.add_argument("--more", type=Path, help="photos of the same breeds that are always trained on")
    parser.add_argument("--elsewhere", type=Path, help="photos of the same breeds that are only measured on")
    parser.add_argument("--out", type=Path, required=True, help="the folder for the results")
    parser.add_argument("--network", choices=PROCEDURES, default="lite2")
    parser.add_argument(
        "--parts", nargs="+", choices=PARTS, default=list(PARTS), help="the parts to train; default: all"
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    given = parser.parse_args(arguments)
    photos = read_tuning_photos(given.data, given.more)
    elsewhere = read_index(given.elsewhere, taxonomy=photos.index.taxonomy) if given.elsewhere else None
    folder, procedure = given.out / given.network, PROCEDURES[given.network]
    with ProgressDisplay() as progress:
        tune_parts(
            photos,
            given.parts,
            folder,
            procedure,
            load_registry(None),
            elsewhere=elsewhere,
            device=choose_device(given.device),
            progress=progress,
        )
    print(summary(folder))
    return 0


def tune_parts(
    photos: TuningPhotos,
    parts: Sequence[str],
    folder: Path,
    procedure: Procedure,
    registry: Registry,
    *,
    elsewhere: PhotoIndex | None,
    device: str,
    progress: Progress,
) -> None:
    """Fine-tune on each part that is not in ``folder`` yet, and write the result there."""
    missing = [part for part in parts if not (folder / f"{part}.safetensors").exists()]
    squares = read_squares(photos.index.paths if missing else [], device, progress=progress)
    for part in missing:
        rows, held_out = photos.training(PARTS[part]), photos.held_out(PARTS[part])
        training = photos.at(rows)
        tuned = tune(training, squares.rows(torch.from_numpy(rows)), procedure, registry, progress=progress)
        judged = {"held-out fold": held_out, "elsewhere": elsewhere}
        found = measure(tuned, training, {name: index for name, index in judged.items() if index}, progress=progress)
        written = {"safetensors": save(tuned.backbone_weights(ALPHA)), "json": json.dumps(found, indent=2).encode()}
        write_all(folder, {f"{part}.{kind}": content for kind, content in written.items()})


def summary(folder: Path) -> str:
    """Return a table of means over the folds in ``folder``; a sentence if there are none."""
    folds = [folder / f"{part}.json" for part, fold in PARTS.items() if fold is not None]
    found = [json.loads(path.read_text(encoding="utf-8")) for path in folds if path.exists()]
    return table(found) if found else f"{folder}: no fold was trained, so there is nothing to measure"


if __name__ == "__main__":
    sys.exit(main())
