"""Make the network of a bundle robust to photos as phones and messengers corrupt them. No labels are used.

    python tools/distill_bundle.py --data ../shared/data/pets --bundle runs/released/bundle --out runs/distilled

A copy of the backbone learns to compute, for a corrupted view of a photo, the features that the backbone computes for
the intact view. Heads, temperatures, thresholds and statistics stay the same. It takes an hour on two cores. The graph
that is written is not quantized: ``hierpets export --format openvino --precision int8`` does that.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from hierpets.bundle.manifest import Manifest, read_manifest
from hierpets.bundle.seen import SeenPhotos
from hierpets.cli.progress import ProgressDisplay
from hierpets.data.listing import find_photos
from hierpets.data.photos import read_photo
from hierpets.evaluation.stress.corruptions import SIDE, limit_shorter_side
from hierpets.files import check_output
from hierpets.model.reader import read_networks
from hierpets.model.rounding import round_weights
from hierpets.model.writer import write_bundle
from hierpets.progress import Progress
from hierpets.registry.loading import Registry, load_registry
from tools.distilling.training import Distillation, distill
from tools.errors import in_one_line


@in_one_line
def main(arguments: Sequence[str] | None = None) -> int:
    """Write a distilled copy of a bundle."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="photos; labels are ignored")
    parser.add_argument("--bundle", type=Path, required=True, help="bundle to distill: one EfficientNet with LDA heads")
    parser.add_argument("--out", type=Path, required=True, help="the bundle to write")
    parser.add_argument("--steps", type=int, default=Distillation.steps, help="batches of twelve views")
    parser.add_argument("--version", help="version of the bundle that is written")
    given = parser.parse_args(arguments)
    check_output(given.out, overwrite=False)
    settings = Distillation(steps=given.steps)
    with ProgressDisplay() as progress:
        distill_bundle(
            given.bundle, given.data, given.out, settings, load_registry(), version=given.version, progress=progress
        )
    return 0


def distill_bundle(
    bundle: Path,
    data: Path,
    out: Path,
    settings: Distillation,
    registry: Registry,
    *,
    version: str | None,
    progress: Progress,
) -> None:
    """Distill the network of a bundle on photos and write the new bundle to ``out``.

    :raises HierpetsError: a bundle or a photo cannot be read.
    """
    manifest = read_manifest(bundle)
    (network,) = read_networks(bundle, manifest, registry)
    photos = [limit_shorter_side(read_photo(path, shorter_side=SIDE), SIDE) for path in find_photos(data)]
    distill(network, photos, manifest.preprocess, settings, progress=progress)
    round_weights(network.backbone)
    statistics = (bundle / manifest.networks[0].statistics_file).read_bytes()
    write_bundle(out, network, _new_manifest(manifest, version), [statistics], SeenPhotos.read(bundle))


def _new_manifest(manifest: Manifest, version: str | None) -> Manifest:
    summary = manifest.training["summary"].replace(" tuned", " tuned and distilled for spoiled photos")
    return manifest.model_copy(update={"version": version, "training": manifest.training | {"summary": summary}})


if __name__ == "__main__":
    sys.exit(main())
