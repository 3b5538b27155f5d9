"""Measure time and peak memory of fitting LDA heads and OOD scorer, cross-validated, to more and more rows of features.

The rows are drawn from the features of real photos, with a little noise added. Each count is fitted in a process of its
own. The table is printed, or written between two comments of a page:

    python tools/measure/class_statistics.py --data DIR --counts 2000,20000,200000 --write docs/growing.md
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hierpets.bench.memory import peak_memory_mb
from hierpets.config import HeadSpec, TrainConfig
from hierpets.data.labeled.index import read_index
from hierpets.model.backbone import build_backbone
from hierpets.plugin import Labels
from hierpets.registry.loading import load_registry
from hierpets.training.features.extractor import FeatureExtractor
from hierpets.training.features.feature_set import FeatureSet
from hierpets.training.features.stored_rows import StoredRows
from hierpets.training.frozen.fit import fit_frozen
from hierpets.training.frozen.fitter import HeadFitter
from tools.errors import in_one_line
from tools.pages.marks import publish

NOISE = 0.1  # as a share of each feature's standard deviation, so that no two rows are the same
CHUNK = 2000


def draw(features: np.ndarray, labels: Labels, count: int) -> tuple[StoredRows, Labels]:
    """Draw ``count`` rows into a file; return them and their labels."""
    generator, rows = np.random.default_rng(0), StoredRows(features.shape[1])
    chosen = generator.integers(len(features), size=count)
    deviation = NOISE * features.std(axis=0)
    for start in range(0, count, CHUNK):
        real = features[chosen[start : start + CHUNK]]
        rows.append(real + deviation * generator.standard_normal(real.shape, np.float32))
    drawn = Labels(labels.species[chosen], labels.leaf[chosen], labels.species_names, labels.leaf_names)
    return rows, drawn


def measure(data: str, backbone: str, count: int) -> str:
    """Fit ``count`` rows; return a row of the table: rows, seconds, and peak memory in MB before and after the fit."""
    config = TrainConfig()
    index, registry = read_index(data), load_registry(None)
    built, _ = build_backbone(registry, backbone, {})
    labels = index.labels()
    rows, drawn = draw(FeatureExtractor(built).features(index.paths), labels, count)
    weights = registry.get("sampler", config.sampler).call(drawn)
    photos = FeatureSet(rows, rows, drawn, weights, index.taxonomy)
    before, started = peak_memory_mb(), time.monotonic()
    fit_frozen(photos, HeadFitter(HeadSpec()), built.pretrained_head, folds=config.folds, seed=config.seed)
    return f"| {count:,} | {time.monotonic() - started:.1f} | {before:,.0f} | {peak_memory_mb():,.0f} |"


@in_one_line
def main() -> int:
    """Fit heads to more and more rows, each count in a process of its own, and print or write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="labeled photos")
    parser.add_argument("--backbone", default="efficientnet_lite2")
    parser.add_argument("--counts", default="2000,20000,200000")
    parser.add_argument("--write", type=Path, metavar="PAGE")
    given = parser.parse_args()
    counts = [int(count) for count in given.counts.split(",")]
    if len(counts) == 1:
        print(measure(given.data, given.backbone, counts[0]))
        return 0
    lines = ["| rows | seconds | MB before | MB at most |", "|---|---|---|---|"]
    for count in counts:
        command = [sys.executable, __file__, "--data", given.data, "--backbone", given.backbone]
        done = subprocess.run([*command, "--counts", str(count)], check=True, capture_output=True, text=True)
        lines.append(done.stdout.strip().splitlines()[-1])
        print(lines[-1], file=sys.stderr)
    publish("\n".join(lines), given.write, __file__)
    return 0


if __name__ == "__main__":
    sys.exit(main())
