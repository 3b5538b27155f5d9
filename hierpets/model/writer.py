"""Write a bundle: a self-contained folder that needs no pickle and no download to predict.

It holds ``bundle.json`` (the manifest), ``weights.safetensors`` (for torch), ``openvino/model.xml`` and ``.bin`` (the
same network), ``statistics.safetensors`` if its heads can be fitted again, and ``seen.bin``, which identifies the
photos that it was fitted to. Early networks, which run before the main one, have files of their own:
``early0.safetensors``, ``openvino/early0.xml``, ``early0-statistics.safetensors``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from safetensors.torch import save

from hierpets.bundle.layout import MANIFEST, SEEN
from hierpets.bundle.manifest import Manifest, manifest_text
from hierpets.bundle.seen import SeenPhotos
from hierpets.files import whole_folder
from hierpets.model.backbone import sample_features
from hierpets.model.graph.convert import write_graph
from hierpets.model.network import HierarchicalNetwork
from hierpets.model.rounding import pack

__all__ = ["write_bundle"]


def write_bundle(
    folder: Path,
    network: HierarchicalNetwork,
    manifest: Manifest,
    statistics: Sequence[bytes] = (),
    seen: SeenPhotos | None = None,
    *,
    early: Sequence[HierarchicalNetwork] = (),
) -> None:
    """Write a bundle completely or not at all: it is written beside ``folder``, which it then replaces.

    The networks may be on any device, and stay there. ``early`` and ``statistics`` follow the order of
    ``manifest.networks``, in which the main network is last. ``seen`` identifies the photos that the bundle was fitted
    to. The manifest that is written also holds sample features of each network.
    """
    sampled = []
    with whole_folder(folder, overwrite=True) as made:
        for spec, each in zip(manifest.networks, (*early, network), strict=True):
            packed = pack({name: tensor.cpu() for name, tensor in each.state_dict().items()})
            (made / spec.weights).write_bytes(save(packed))  # save_file would write a file that only its owner can read
            write_graph(made / spec.graph, each, spec.preprocess)
            sampled.append(sample_features(each.backbone, spec.preprocess.size))
        for spec, content in zip(manifest.networks, statistics, strict=bool(statistics)):
            (made / spec.statistics_file).write_bytes(content)
        if seen is not None:
            (made / SEEN).write_bytes(seen.pack())
        (made / MANIFEST).write_text(manifest_text(manifest.with_sampled(sampled)), encoding="utf-8", newline="\n")
