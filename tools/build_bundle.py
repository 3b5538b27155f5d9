"""Build the released bundle from the official Oxford-IIIT Pet photos, with a fixed seed.

    python tools/tune_backbone.py --data ../shared/data/pets --more ../shared/data/pets-128 --out tuned  # on a GPU
    python tools/tune_backbone.py --data ../shared/data/pets --more ../shared/data/pets-128 --out tuned --network lite0
    python tools/build_bundle.py --data ../shared/data/pets --weights tuned

Trains on the tuned backbones with the settings of ``tools/released.yaml``, makes the network robust to corrupted photos
as ``tools/distill_bundle.py`` does, quantizes the graphs (which needs the extra ``export``), and copies the bundle to
``hierpets/released`` and the metrics of the training to ``docs/released_metrics.json``. ``tools/model_card.py`` then
writes the model card.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from hierpets.cli.progress import ProgressDisplay
from hierpets.config import TrainConfig, change_config, read_config
from hierpets.export.export import export_bundle
from hierpets.files import size_of
from hierpets.registry.loading import load_registry
from hierpets.training.recipe import train
from tools.distill_bundle import distill_bundle
from tools.distilling.training import Distillation
from tools.errors import in_one_line

ROOT = Path(__file__).resolve().parents[1]
RELEASED = ROOT / "hierpets" / "released"
METRICS = ROOT / "docs" / "released_metrics.json"
MAX_BYTES = 25_000_000
SETTINGS = ROOT / "tools" / "released.yaml"
ATTRIBUTION = """The weights in this folder were fitted to photos of the Oxford-IIIT Pet dataset
(O. M. Parkhi, A. Vedaldi, A. Zisserman, C. V. Jawahar, "Cats and Dogs", CVPR 2012), which is licensed
CC BY-SA 4.0 (https://creativecommons.org/licenses/by-sa/4.0/); the photos' owners keep their rights.
The backbone is EfficientNet-Lite2 (Apache 2.0) with ImageNet weights, fine-tuned on the same photos.
This folder is licensed CC BY-SA 4.0.
"""


@in_one_line
def main() -> None:
    """Train, distill, check the size, and install the bundle."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="SPECIES/BREED/photo.jpg of Oxford-IIIT Pet")
    parser.add_argument("--weights", type=Path, required=True, help="the folder that tune_backbone.py wrote to")
    parser.add_argument("--run", type=Path, help="keep the run folder here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        run = arguments.run or Path(scratch) / "run"
        with ProgressDisplay() as progress:
            config = read_released(arguments.weights, data=arguments.data, out=run)
            trained = train(
                config=config, listener=lambda event: progress.say(str(event)), progress=progress, overwrite=True
            )
            bundle, photos, settings = Path(scratch) / "distilled", Path(arguments.data), Distillation()
            plugins, version = load_registry(), config.version
            distill_bundle(trained.bundle, photos, bundle, settings, plugins, version=version, progress=progress)
        checked = export_bundle(bundle, "openvino", data=photos, precision="int8", overwrite=True)
        print(checked.parity.words())
        size = size_of(bundle)
        if size > MAX_BYTES:
            sys.exit(f"{bundle}: {size / 1e6:.1f} MB, more than {MAX_BYTES / 1e6:g}")
        shutil.rmtree(RELEASED, ignore_errors=True)
        shutil.copytree(bundle, RELEASED)
        (RELEASED / "LICENSE").write_text(ATTRIBUTION, encoding="utf-8")
        shutil.copy(run / "metrics.json", METRICS)
        print(f"{RELEASED}: {size / 1e6:.1f} MB")


def read_released(weights: Path, **settings: Any) -> TrainConfig:
    """Return the settings of the released bundle, with the tuned backbones in the folder ``weights``."""
    config = read_config(SETTINGS, settings)
    main, *early = (
        one.model_copy(update={"weights": weights / one.name.removeprefix("efficientnet_")})
        for one in (config.backbone_choice, *config.early)
    )
    return change_config(config, {"backbone_weights": main.weights, "early": tuple(early)})


if __name__ == "__main__":
    sys.exit(main())
