"""What a plugin of each kind must give back, checked on every call."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sized
from typing import Any

import numpy as np

from hierpets.plugin import Advice, Backbone, Preprocess, PretrainedHead
from hierpets.registry.manifest import Kind

__all__ = ["ContractError", "check_result"]


class ContractError(Exception):
    """What was expected and what came; the loader adds which plugin and where."""


def check_result(kind: Kind, result: Any, arguments: tuple[Any, ...]) -> Any:
    """The result of a plugin in its canonical form: Backbone, float64 [N], or a tuple of Advice."""
    return _CHECKS[kind](result, arguments)


def _check_backbone(result: Any, _arguments: tuple[Any, ...]) -> Backbone:
    if not isinstance(result, Backbone):
        raise ContractError(f"expected a Backbone, got {_describe(result)}")
    if not all(hasattr(result.module, name) for name in ("eval", "parameters", "state_dict")):
        raise ContractError(f"expected Backbone.module to be a torch.nn.Module, got {_describe(result.module)}")
    if type(result.feature_dim) is not int or result.feature_dim < 1:
        raise ContractError(f"expected Backbone.feature_dim to be a positive int, got {result.feature_dim!r}")
    if not isinstance(result.preprocess, Preprocess):
        raise ContractError(f"expected Backbone.preprocess to be a Preprocess, got {_describe(result.preprocess)}")
    if result.pretrained_head is not None and not isinstance(result.pretrained_head, PretrainedHead):
        raise ContractError(
            f"expected Backbone.pretrained_head to be a PretrainedHead or None, got {_describe(result.pretrained_head)}"
        )
    _check_features(result)
    return result


def _check_features(backbone: Backbone) -> None:
    """Pass one black photo through the network, which is left in evaluation mode."""
    module, size = backbone.module.eval(), backbone.preprocess.size
    weight = next(module.parameters(), None)
    if weight is None:
        return
    features = module(weight.new_zeros((1, 3, size, size)))  # no torch is imported here: the plugin brought it
    shape, dtype = tuple(getattr(features, "shape", ())), str(getattr(features, "dtype", "no dtype"))
    if shape != (1, backbone.feature_dim) or dtype != "torch.float32":
        raise ContractError(
            f"expected the network to map one {size} x {size} photo to torch.float32 (1, {backbone.feature_dim}), "
            f"got {dtype} {shape}"
        )


def _check_weights(result: Any, arguments: tuple[Sized, ...]) -> np.ndarray:
    count = len(arguments[0])
    try:
        weights = np.asarray(result)
    except Exception as error:
        raise ContractError(f"expected an array of weights, got {_describe(result)}") from error
    if weights.dtype.kind not in "fiu":
        raise ContractError(f"expected an array of numbers, got {_describe(result)} of {weights.dtype}")
    if weights.shape != (count,):
        raise ContractError(f"expected one weight for each of {count} photos, shape ({count},), got {weights.shape}")
    wrong = np.flatnonzero(~(np.isfinite(weights) & (weights > 0)))
    if wrong.size:
        first = int(wrong[0])
        raise ContractError(
            f"expected finite positive weights, got {weights[first]} for photo {first} ({wrong.size} such weights)"
        )
    return weights.astype(np.float64)


def _check_advice(result: Any, _arguments: tuple[Any, ...]) -> tuple[Advice, ...]:
    if isinstance(result, Advice) or not isinstance(result, Iterable):
        raise ContractError(f"expected an iterable of Advice, such as a list, got {_describe(result)}")
    words = tuple(result)
    for word in words:
        if not isinstance(word, Advice):
            raise ContractError(f"expected every item to be an Advice, got {_describe(word)}")
        if not word.product or not isinstance(word.product, str):
            raise ContractError(f"expected Advice.product to be the name of a product, got {word.product!r}")
        if not isinstance(word.score, int | float) or not math.isfinite(word.score):
            raise ContractError(f"expected Advice.score of {word.product!r} to be a finite number, got {word.score!r}")
    return words


_CHECKS: dict[Kind, Callable[[Any, tuple[Any, ...]], Any]] = {
    "backbone": _check_backbone,
    "sampler": _check_weights,
    "shampoo_rule": _check_advice,
}


def _describe(value: Any) -> str:
    return "None" if value is None else f"{type(value).__module__}.{type(value).__name__}".removeprefix("builtins.")
