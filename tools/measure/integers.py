"""Measure how close int8 is to float32 for each folder of photos, and how fast the network is (docs/experiments.md).

    python tools/measure/integers.py --photos ../shared/data/elsewhere ../shared/data/horses \
        --bundles BEFORE NOW [--write docs/experiments.md]

The bundles contain the same model, quantized in different ways; the first also provides float32. The environment
variable ``ONEDNN_MAX_CPU_ISA``, e.g. AVX512_CORE_VNNI, limits the processor to older instructions. Labels are ignored.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hierpets.bundle.layout import GRAPH
from hierpets.bundle.manifest import read_manifest
from hierpets.data.listing import find_photos
from hierpets.data.transforms import read_square
from hierpets.inference.engines.base import Precision, RawOutput
from hierpets.inference.engines.openvino import adapted, compile_model
from tools.errors import in_one_line
from tools.pages.marks import publish

REPEATS = 40

Network = Callable[[np.ndarray], RawOutput]


class Row(NamedTuple):
    """Int8 compared with float32: the share of photos with the same top leaf, the distance of features as a share of
    their length, and the mean increase of the pet score.
    """

    same: float
    distance: float
    pet_score: float


@in_one_line
def main() -> int:
    """Print or write a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, nargs="+", required=True, help="folders of photos")
    parser.add_argument("--bundles", type=Path, nargs="+", required=True, help="bundles with an int8 graph")
    parser.add_argument("--write", type=Path, help="the page that keeps the table")
    given = parser.parse_args()
    preprocess = read_manifest(given.bundles[0]).preprocess
    exact = network(given.bundles[0], "f32")
    rounded = [network(bundle, "int8") for bundle in given.bundles]
    rows = {}
    for folder in given.photos:
        squares = [read_square(photo, preprocess)[None] for photo in find_photos(folder)]
        expected = outputs(exact, squares)
        rows[f"{folder.name}, {len(squares)}"] = [compare(outputs(each, squares), expected) for each in rounded]
    publish(describe(given.bundles, rows, durations([exact, *rounded], squares[0])), given.write, __file__)
    return 0


def network(bundle: Path, precision: Precision) -> Network:
    """Load the network of a bundle on one core."""
    request = compile_model(adapted(bundle / GRAPH, precision), precision, threads=1).create_infer_request()

    def compute(square: np.ndarray) -> RawOutput:
        request.infer({0: square})
        return RawOutput(*(output.data.copy() for output in request.output_tensors))

    return compute


def outputs(compute: Network, squares: Sequence[np.ndarray]) -> RawOutput:
    """Compute the outputs for all photos, concatenated."""
    return RawOutput(*map(np.concatenate, zip(*map(compute, squares), strict=True)))


def compare(found: RawOutput, expected: RawOutput) -> Row:
    """Compare the outputs of int8 and float32 for the same photos."""
    distance = np.linalg.norm(found.features - expected.features) / np.linalg.norm(expected.features)
    same = np.mean(found.leaf.argmax(axis=1) == expected.leaf.argmax(axis=1))
    return Row(float(same), float(distance), float(np.mean(found.scores[:, 0] - expected.scores[:, 0])))


def durations(networks: Sequence[Network], square: np.ndarray) -> list[float]:
    """Time the networks in turns; return the median time of each as a share of the first one's."""
    seconds = np.array([[measure(compute, square) for compute in networks] for _ in range(REPEATS)])
    return [float(share) for share in np.median(seconds / seconds[:, :1], axis=0)]


def measure(compute: Network, square: np.ndarray) -> float:
    """Return the seconds for one photo."""
    begin = time.perf_counter()
    compute(square)
    return time.perf_counter() - begin


def describe(bundles: Sequence[Path], rows: dict[str, list[Row]], shares: Sequence[float]) -> str:
    """Return a table with a row for each folder and bundle."""
    held = os.environ.get("ONEDNN_MAX_CPU_ISA", "all that this processor has")
    times = ", ".join(f"{bundle.name} {share:.2f}" for bundle, share in zip(bundles, shares[1:], strict=True))
    lines = [
        f"Instructions: {held}. Time of a photo on one core as a share of float32's: {times}.",
        "",
        "| photos | bundle | same top leaf | distance of features | pet score, mean change |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    for photos, found in rows.items():
        for bundle, row in zip(bundles, found, strict=True):
            lines.append(f"| {photos} | {bundle.name} | {row.same:.1%} | {row.distance:.3f} | {row.pet_score:+.3f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
