"""What a plugin of each kind must return, checked on every call."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sized
from itertools import chain
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np

from hierpets.errors import shown
from hierpets.plugin import STATED, Advice, Backbone, Preprocess, PretrainedBreed, PretrainedHead, SourcePhoto, Tracker
from hierpets.plugin.kinds import Kind

if TYPE_CHECKING:
    import torch

__all__ = ["ContractError", "check_result", "extract_features", "noise_photos"]


MAX_WEIGHT = 1e100
"""Largest sampling weight of a photo; the smallest is its reciprocal."""

MAX_SCORE = 1e6


class ContractError(Exception):
    """Says what was expected and what was returned; the caller adds which plugin and where."""


def check_result(kind: Kind, result: Any, arguments: tuple[Any, ...]) -> Any:
    """Return the result of a plugin in its canonical form: Backbone, float64 [N], a tuple of Advice, an iterator of
    SourcePhoto that checks each photo when it is read, or a Tracker.

    :raises ContractError: the result is something else, or a backbone's network does not do what the backbone declares.
    """
    return _CHECKS[kind](result, arguments)


def noise_photos(count: int, size: int) -> torch.Tensor:
    """Standard normal noise, float32 [count, 3, size, size]: the same every time, without torch's global generator."""
    import torch

    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def extract_features(module: torch.nn.Module, photos: torch.Tensor) -> torch.Tensor:
    """The network's output for photos [B, 3, size, size], which are moved to its device and type."""
    import torch

    tensors = chain(module.parameters(), module.buffers())
    like = next((tensor for tensor in tensors if tensor.is_floating_point()), photos)
    with torch.no_grad():
        features: torch.Tensor = module(photos.to(like))
    return features


def _check_backbone(result: Any, _arguments: tuple[Any, ...]) -> Backbone:
    if not isinstance(result, Backbone):
        raise ContractError(f"expected a Backbone, got {_describe(result)}")
    if not all(hasattr(result.module, name) for name in ("eval", "parameters", "state_dict")):
        raise ContractError(f"expected Backbone.module to be a torch.nn.Module, got {_describe(result.module)}")
    if type(result.feature_dim) is not int or result.feature_dim < 1:
        raise ContractError(f"expected Backbone.feature_dim to be a positive int, got {result.feature_dim!r}")
    if not isinstance(result.preprocess, Preprocess):
        raise ContractError(f"expected Backbone.preprocess to be a Preprocess, got {_describe(result.preprocess)}")
    if result.pretrained_head is not None:
        _check_pretrained_head(result.pretrained_head, result.feature_dim)
    _check_features(result)
    return result


def _check_pretrained_head(pretrained: Any, feature_dim: int) -> None:
    if not isinstance(pretrained, PretrainedHead):
        raise ContractError(
            f"expected Backbone.pretrained_head to be a PretrainedHead or None, got {_describe(pretrained)}"
        )
    _check_head(pretrained.head, feature_dim)
    classes = pretrained.head.out_features
    for name in ("species_classes", "breeds"):
        if not isinstance(getattr(pretrained, name), Mapping):
            raise ContractError(
                f"expected PretrainedHead.{name} to be a mapping, got {_describe(getattr(pretrained, name))}"
            )
    for species, indices in pretrained.species_classes.items():
        if not (_is_name(species) and _has(indices, lambda index: _is_class(index, classes))):
            raise ContractError(
                f"expected PretrainedHead.species_classes[{species!r}] to be class indices from 0 to {classes - 1} "
                f"of a species, got {shown(indices)}"
            )
    for index, breeds in pretrained.breeds.items():
        if not (_is_class(index, classes) and _has(breeds, _is_pretrained_breed)):
            raise ContractError(
                f"expected PretrainedHead.breeds to map class indices from 0 to {classes - 1} to one PretrainedBreed "
                f"or several, whose names are texts, got {index!r}: {shown(breeds)}"
            )


def _check_head(head: Any, feature_dim: int) -> None:
    import torch

    if not isinstance(head, torch.nn.Linear) or not 0 < head.in_features <= feature_dim or head.bias is None:
        raise ContractError(
            f"expected PretrainedHead.head to be a torch.nn.Linear of 1 to {feature_dim} inputs with a bias, "
            f"got {shown(head)}"
        )
    for name, values in head.named_parameters():
        if values.dtype != torch.float32:
            raise ContractError(f"expected PretrainedHead.head.{name} to be torch.float32, got {values.dtype}")
        if not values.isfinite().all():
            raise ContractError(f"expected PretrainedHead.head.{name} to be finite, got NaN or infinity")


def _has(values: Any, each: Callable[[Any], bool]) -> bool:
    """Whether ``values`` is a non-empty collection and ``each`` is true for every value."""
    return isinstance(values, Collection) and len(values) > 0 and all(map(each, values))


def _is_class(index: Any, classes: int) -> bool:
    return isinstance(index, Integral) and 0 <= int(index) < classes


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and name != ""


def _is_pretrained_breed(breed: Any) -> bool:
    if not isinstance(breed, PretrainedBreed):
        return False
    return isinstance(breed.synonyms, tuple) and all(map(_is_name, (breed.species, breed.label, *breed.synonyms)))


def _check_features(backbone: Backbone) -> None:
    """Run a black photo and one of noise through the network, which stays in evaluation mode.

    Each reveals what the other may hide: zeros hide a layer that yields NaN, noise hides a division by the contrast.
    """
    import torch

    size, noise = backbone.preprocess.size, noise_photos(1, backbone.preprocess.size)
    features = extract_features(backbone.module.eval(), torch.cat([torch.zeros_like(noise), noise]))
    shape, dtype = tuple(getattr(features, "shape", ())), str(getattr(features, "dtype", _describe(features)))
    if shape != (2, backbone.feature_dim) or dtype != "torch.float32":
        raise ContractError(
            f"expected the network to map 2 photos of {size} x {size} to torch.float32 (2, {backbone.feature_dim}), "
            f"got {dtype} {shape}"
        )
    for row, photo in zip(features, ("a black photo", "a photo of noise"), strict=True):
        wrong = row[~row.isfinite()]
        if len(wrong):
            raise ContractError(f"expected finite features, got {wrong[0].item()} for {photo} ({len(wrong)} such)")


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
    weights = weights.astype(np.float64)
    for weight in (weights.min(initial=1.0), weights.max(initial=1.0)):
        if not 1 / MAX_WEIGHT <= weight <= MAX_WEIGHT:  # else sums and quotients might not be finite
            raise ContractError(
                f"expected weights from {1 / MAX_WEIGHT:.0e} to {MAX_WEIGHT:.0e}, of which only the proportions count, "
                f"got {weight}"
            )
    return weights


def _check_advice(result: Any, _arguments: tuple[Any, ...]) -> tuple[Advice, ...]:
    if isinstance(result, Advice) or not isinstance(result, Iterable):
        raise ContractError(f"expected an iterable of Advice, such as a list, got {_describe(result)}")
    advice = tuple(result)
    for one in advice:
        _check_one_advice(one)
    return advice


def _check_one_advice(advice: Any) -> None:
    if not isinstance(advice, Advice):
        raise ContractError(f"expected every item to be an Advice, got {_describe(advice)}")
    product = advice.product
    if not product or not isinstance(product, str):
        raise ContractError(f"expected Advice.product to be the id of a product, got {product!r}")
    if not advice.reason or not isinstance(advice.reason, str):
        raise ContractError(f"expected Advice.reason of {product!r} to be a sentence, got {advice.reason!r}")
    if not isinstance(advice.score, Real) or not abs(advice.score) <= MAX_SCORE:  # "not <=" also catches NaN
        raise ContractError(
            f"expected Advice.score of {product!r} to be a number within {MAX_SCORE:,.0f} of 0, "
            f"got {shown(advice.score)}"
        )
    if not isinstance(advice.veto, bool):
        raise ContractError(f"expected Advice.veto of {product!r} to be True or False, got {advice.veto!r}")


def _check_photos(result: Any, _arguments: tuple[Any, ...]) -> Iterator[SourcePhoto]:
    if isinstance(result, str | SourcePhoto) or not isinstance(result, Iterable):
        raise ContractError(f"expected an iterable of SourcePhoto, such as a generator, got {_describe(result)}")
    return map(_check_photo, result)


def _check_photo(photo: Any) -> SourcePhoto:
    if not isinstance(photo, SourcePhoto):
        raise ContractError(f"expected every item to be a SourcePhoto, got {_describe(photo)}")
    if not photo.path or not isinstance(photo.path, str):
        raise ContractError(f"expected SourcePhoto.path to be a text, a path or an address, got {photo.path!r}")
    for name in (*STATED, "where", "problem"):
        value = getattr(photo, name)
        if value is not None and not (value and isinstance(value, str)):
            raise ContractError(f"expected SourcePhoto.{name} of {photo.path!r} to be a text or None, got {value!r}")
    return photo


def _check_tracker(result: Any, _arguments: tuple[Any, ...]) -> Tracker:
    if not callable(result):
        raise ContractError(f"expected a function of one event, got {_describe(result)}")
    return result


_CHECKS: dict[Kind, Callable[[Any, tuple[Any, ...]], Any]] = {
    "backbone": _check_backbone,
    "sampler": _check_weights,
    "shampoo_rule": _check_advice,
    "reader": _check_photos,
    "tracker": _check_tracker,
}


def _describe(value: Any) -> str:
    return "None" if value is None else f"{type(value).__module__}.{type(value).__name__}".removeprefix("builtins.")
