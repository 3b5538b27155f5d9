"""Build backbones from plugins, round their weights, and identify them by a fingerprint."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hierpets.bundle.layout import brief
from hierpets.bundle.manifest import BackboneSpec
from hierpets.errors import ConfigError
from hierpets.model.rounding import round_weights
from hierpets.plugin import Backbone, Preprocess
from hierpets.plugin.contracts import extract_features
from hierpets.registry.loading import Registry

if TYPE_CHECKING:
    import torch

__all__ = ["build_backbone", "computes_as_sampled", "drawn_from", "fingerprint", "sample_features"]

SAMPLED = 8  # features
TOLERANCE = 0.01  # relative to the largest feature; threads and CPUs change less than a hundredth of that


def build_backbone(
    registry: Registry,
    name: str,
    options: Mapping[str, Any],
    weights: Path | None = None,
    *,
    seed: int = 0,
    decoded_side: int = 0,
) -> tuple[Backbone, BackboneSpec]:
    """Build the backbone of plugin ``name``, with its weights rounded as a bundle stores them.

    ``weights`` is a safetensors file that replaces the weights of its module; random initial weights come from
    ``seed``. ``decoded_side`` is the least number of pixels that decoding may leave on a photo's shorter side, where
    another network reads the same decoded photo.

    :returns: the backbone, and the spec that builds it again.
    :raises ConfigError: ``weights`` cannot be read, or do not fit this backbone.
    """
    plugin = registry.get("backbone", name)
    with drawn_from(seed):
        backbone: Backbone = plugin.call(**options)
    if weights is not None:
        _load(backbone, weights)
    round_weights(backbone.module)
    if backbone.pretrained_head is not None:
        round_weights(backbone.pretrained_head.head)
    backbone = replace(backbone, preprocess=_with_decoded_side(backbone.preprocess, decoded_side))
    return backbone, BackboneSpec(name=name, options=plugin.resolve(**options), feature_dim=backbone.feature_dim)


@contextmanager
def drawn_from(seed: int) -> Iterator[None]:
    """Seed torch's CPU random numbers inside the context, and leave those outside as they were.

    A training builds the same backbone several times, in several processes, and again when it is resumed: each must get
    the same initial weights.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def _with_decoded_side(preprocess: Preprocess, side: int) -> Preprocess:
    """Raise the decode margin so that decoding leaves at least ``side`` pixels on the shorter side."""
    if preprocess.decoded_side >= side:
        return preprocess
    # Half a pixel less, so that rounding up gives the side itself.
    return preprocess.model_copy(update={"decode_margin": (side - 0.5) / preprocess.shorter_side})


def _load(backbone: Backbone, weights: Path) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        state = load_file(weights)
        backbone.module.load_state_dict(state)  # casts to the module's own number format
    except (OSError, SafetensorError, RuntimeError) as error:
        raise ConfigError(f"{weights}: not the weights of this backbone: {brief(error)}") from error
    broken = next((name for name, tensor in state.items() if not tensor.isfinite().all()), None)
    if broken is not None:
        raise ConfigError(f"{weights}: {broken} holds NaN or infinity")


def fingerprint(backbone: Backbone) -> str:
    """Return a hash of a backbone's preprocessing, traced operations and tensors: equal hashes mean equal features.

    Weights alone are not enough: a plugin's options may change only the operations, such as how features are pooled,
    and a module may use tensors that its ``state_dict()`` leaves out. The features are not hashed, because their last
    bits depend on the number of threads.
    """
    from hierpets.model.graph.convert import trace

    side = backbone.preprocess.size
    traced = trace(backbone.module, 3, side, side)
    digest = hashlib.sha256(json.dumps(backbone.preprocess.model_dump(), sort_keys=True).encode())
    graph: Any = traced.inlined_graph
    digest.update(_operations(graph).encode())
    for name, tensor in sorted(traced.state_dict().items()):  # also buffers that are not persistent
        digest.update(name.encode())
        digest.update(_bytes(tensor))
    for constant in graph.findAllNodes("prim::Constant"):
        if constant.hasAttribute("value") and constant.kindOf("value") == "t":
            digest.update(_bytes(constant.t("value")))
    return digest.hexdigest()[:32]


def sample_features(module: torch.nn.Module, size: int) -> tuple[float, ...]:
    """Return a few features of one fixed image of ``size`` pixels, computed on the CPU; empty if one is not finite.

    They are rounded to a thousandth of the largest. A bundle keeps them to notice when the code of a plugin has changed
    what it computes with the same weights.
    """
    import torch

    from hierpets.model.graph.convert import on_cpu

    # Pseudo-noise from integer arithmetic, the same in every version of torch, scaled to a standard deviation of 1.
    photo = ((torch.arange(3 * size * size) ** 2 % 251 - 125) / 72).view(1, 3, size, size)
    features = extract_features(on_cpu(module).eval(), photo)[0]
    few = features[:: max(1, len(features) // SAMPLED)][:SAMPLED].tolist()
    if not np.isfinite(few).all():
        return ()
    digits = 3 - math.floor(math.log10(max(map(abs, few)) or 1.0))  # the last bits depend on the number of threads
    return tuple(round(value, digits) for value in few)


def computes_as_sampled(module: torch.nn.Module, size: int, sampled: tuple[float, ...]) -> bool:
    """Whether a module still computes the features that :func:`sample_features` returned earlier, on any machine."""
    found, before = np.array(sample_features(module, size)), np.array(sampled)
    return found.shape == before.shape and bool((abs(found - before) <= TOLERANCE * abs(before).max()).all())


def _operations(graph: Any) -> str:
    """The operations and constants of a traced graph as text, without references to source lines."""
    return re.sub(r" # .*|___torch_mangle_\d+\.", "", str(graph))


def _bytes(tensor: torch.Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().numpy().tobytes()
