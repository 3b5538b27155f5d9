"""A bundle: the folder that predicts with nothing else. No pickle, no download.

``bundle.json`` (the manifest), ``weights.safetensors`` (torch), ``openvino/model.xml`` and ``.bin`` (the same graph).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

import hierpets
from hierpets.errors import BundleError
from hierpets.files import whole_folder
from hierpets.hierarchy.calibration import Temperatures
from hierpets.hierarchy.policy import Policy
from hierpets.hierarchy.probabilities import Combiner
from hierpets.model.layout import GRAPH, MANIFEST, WEIGHTS
from hierpets.plugin import Preprocess
from hierpets.taxonomy import Taxonomy

if TYPE_CHECKING:
    from hierpets.model.network import HierarchicalNetwork
    from hierpets.registry.loading import Registry

__all__ = [
    "BackboneSpec",
    "FamiliaritySpec",
    "Manifest",
    "bundle_digest",
    "read_manifest",
    "read_network",
    "write_bundle",
    "write_graph",
]


class BackboneSpec(BaseModel):
    """Which plugin builds the backbone, with which options."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    options: dict[str, Any] = {}
    feature_dim: int


class FamiliaritySpec(BaseModel):
    """The shapes of the part that tells strangers: the arguments of :class:`hierpets.model.familiarity.Familiarity`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    classes: int
    known_to: int
    width: int
    kin: int


class Manifest(BaseModel):
    """All that is known of a bundle but its weights. It holds no date: the same seed gives the same bundle."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    hierpets_version: str = hierpets.__version__
    taxonomy: Taxonomy
    preprocess: Preprocess
    backbone: BackboneSpec
    combiner: Combiner = "conditional"
    temperatures: Temperatures = Temperatures()
    familiarity: FamiliaritySpec | None = None
    policy: Policy = Policy()
    versions: dict[str, str] = {}
    training: dict[str, Any] = {}


def write_bundle(folder: Path, network: HierarchicalNetwork, manifest: Manifest) -> None:
    """Write a bundle whole or not at all: it is made beside its place and moved there."""
    with whole_folder(folder) as made:
        _write_weights(made / WEIGHTS, network)
        write_graph(made / GRAPH, network, manifest.preprocess.size)
        (made / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")


def bundle_digest(folder: Path) -> str:
    """SHA-256 of all that a bundle holds: two bundles with the same one answer alike."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = file.relative_to(folder).as_posix().encode()
        digest.update(b"%d %s %d " % (len(name), name, file.stat().st_size))
        digest.update(file.read_bytes())
    return digest.hexdigest()


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a bundle.

    :raises BundleError: no bundle there, a damaged one, or one of another schema.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise BundleError(
            f"{folder}: no bundle here (expected {MANIFEST} in it); `hierpets train` writes one to RUN/bundle"
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Manifest.model_validate(content)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise BundleError(f"{path}: not JSON: {error}") from error
    except ValidationError as error:
        raise BundleError(f"{path}: {_first_problem(error, content)}") from error


def read_network(folder: Path, manifest: Manifest, registry: Registry) -> HierarchicalNetwork:
    """Rebuild the torch network through its backbone plugin and load the bundle's weights into it."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from hierpets.model.familiarity import Familiarity
    from hierpets.model.network import HierarchicalNetwork
    from hierpets.model.rounding import unpack

    spec = manifest.backbone
    backbone = registry.get("backbone", spec.name).call_without_weights(**spec.options)
    network = HierarchicalNetwork(backbone.module, backbone.feature_dim, manifest.taxonomy)
    if manifest.familiarity is not None:
        network.familiarity = Familiarity(backbone.feature_dim, **manifest.familiarity.model_dump())
    try:
        network.load_state_dict(unpack(load_file(folder / WEIGHTS)))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise BundleError(f"{folder / WEIGHTS}: does not fit backbone {spec.name!r}: {error}") from error
    return network.eval()


def _write_weights(path: Path, network: HierarchicalNetwork) -> None:
    from safetensors.torch import save

    from hierpets.model.rounding import pack

    # save_file would make a file that its owner alone may read.
    path.write_bytes(save(pack({name: tensor.cpu() for name, tensor in network.state_dict().items()})))


def write_graph(path: Path, network: HierarchicalNetwork, size: int, *, calibration: Sequence[np.ndarray] = ()) -> None:
    """The network as OpenVINO IR for one photo at a time: an xml file, and a bin file beside it. Its folder is made.

    With photos for ``calibration`` (each float32 [1, 3, size, size]) it is quantised, and can be computed in int8.
    """
    from hierpets.light_openvino import openvino as ov
    from hierpets.model.graph import convert_module
    from hierpets.model.network import NetworkOutput
    from hierpets.model.quantisation import quantise
    from hierpets.model.rounding import round_graph

    graph = convert_module(network, size)
    # A fixed shape: the kernels for it are made while the graph is compiled, and kept with it, not at the first photo.
    graph.reshape([1, 3, size, size])
    for output, name in zip(graph.outputs, NetworkOutput._fields, strict=True):
        output.get_tensor().set_names({name})
    if len(calibration):
        graph = quantise(graph, calibration)
    round_graph(graph)
    path.parent.mkdir(exist_ok=True)
    ov.save_model(graph, path, compress_to_fp16=False)


def _first_problem(error: ValidationError, content: Any) -> str:
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version != 1:
        return f"schema version {version!r}, this hierpets reads 1; install the version that wrote it"
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
