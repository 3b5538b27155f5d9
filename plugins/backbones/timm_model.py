"""Any network of timm, by name."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from hierpets.plugin import Backbone, Interpolation, PluginError, Preprocess

# "random" picks bilinear or bicubic in timm's training; timm then evaluates with its default, bicubic.
_INTERPOLATION: dict[str, Interpolation] = {
    "bicubic": "bicubic",
    "bilinear": "bilinear",
    "lanczos": "lanczos",
    "nearest": "nearest",
    "random": "bicubic",
}


def timm_model(model: str, pretrained: bool = True, input_size: int | None = None) -> Backbone:
    """``model`` is any name of ``timm.list_models()``, with or without a ``.tag``; its head is left out."""
    from timm.data import resolve_model_data_config

    _check_name(model)
    network = _create(model, pretrained=pretrained, input_size=input_size)
    config = resolve_model_data_config(network)
    return Backbone(network, network.head_hidden_size, _preprocess(model, config, input_size))


def _preprocess(model: str, config: dict[str, Any], input_size: int | None) -> Preprocess:
    """Translate the preprocessing that timm declares for this model.

    :raises PluginError: hierpets has no equivalent.
    """
    _, height, width = config["input_size"]
    if height != width:
        raise PluginError(f"{model!r} takes {height} x {width} pixels; only square inputs are supported")
    if config["interpolation"] not in _INTERPOLATION:
        raise PluginError(f"{model!r} resizes with {config['interpolation']!r}; supported: {', '.join(_INTERPOLATION)}")
    return Preprocess(
        size=input_size or height,
        crop=config["crop_pct"],
        resize="squash" if config["crop_mode"] == "squash" else "crop",
        interpolation=_INTERPOLATION[config["interpolation"]],
        mean=config["mean"],
        std=config["std"],
    )


def _check_name(model: str) -> None:
    """Accept only timm's own names: a ``hf-hub:`` address would download anything.

    :raises PluginError: timm has no such model or no such weights.
    """
    import timm

    architecture, _, tag = model.partition(".")
    if not timm.is_model(architecture):
        near = get_close_matches(architecture, timm.list_models(), n=3)
        raise PluginError(f"timm has no model {model!r}; similar: {', '.join(near) or 'none, see timm.list_models()'}")
    tags = [name.partition(".")[2] for name in timm.list_pretrained(f"{architecture}.*")]
    if tag and tag not in tags:
        raise PluginError(f"timm has no weights {tag!r} for {architecture!r}; it has: {', '.join(tags) or 'none'}")


def _create(model: str, *, pretrained: bool, input_size: int | None) -> Any:
    import timm

    # A transformer's position embedding is made for one size: another size must be passed to the constructor.
    fixed = getattr(timm.get_pretrained_cfg(model), "fixed_input_size", False)
    size: dict[str, Any] = {"img_size": input_size} if fixed and input_size else {}
    try:
        return timm.create_model(model, pretrained=pretrained, num_classes=0, **size)
    except Exception as error:
        if not pretrained:
            raise
        reason = f"{type(error).__name__}: {str(error).partition('. ')[0]}"
        raise PluginError(
            f"no pretrained weights for {model!r} ({reason}). Without a network, set 'pretrained: false', or "
            "choose a backbone with embedded weights: efficientnet_lite0, efficientnet_lite2"
        ) from error
