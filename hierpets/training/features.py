"""Features of a frozen backbone, each photo computed once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from hierpets.data.dataset import iter_inputs
from hierpets.inference.openvino_engine import compile_model
from hierpets.model.backbone import fingerprint
from hierpets.model.graph import convert_module
from hierpets.plugin import Backbone
from hierpets.training.feature_cache import FeatureCache, content_key, default_cache_dir

__all__ = ["extract_features"]

BATCH = 16
Extractor = Callable[[np.ndarray], np.ndarray]


def extract_features(
    paths: Sequence[str],
    backbone: Backbone,
    *,
    device: str = "cpu",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> np.ndarray:
    """Features float32 [N, D] of N photos, from the cache where their content is there.

    ``progress`` is told how many of N are done. A photo that cannot be read raises an ImageError that names it.
    """
    cache = FeatureCache(default_cache_dir(), fingerprint(backbone))
    try:
        keys = [content_key(path) for path in paths]
        known = cache.get(set(keys))
        # Equal photos are computed once; the first path stands for all.
        missing = {key: path for key, path in reversed(list(zip(keys, paths, strict=True))) if key not in known}
        done = len(paths) - len(missing)
        progress(done, len(paths))
        if missing:
            for fresh in _compute(list(missing.items()), backbone, device):
                cache.put(fresh.keys(), np.stack(list(fresh.values())))
                known |= fresh
                done += len(fresh)
                progress(done, len(paths))
    finally:
        cache.close()
    return np.stack([known[key] for key in keys])


def _compute(missing: list[tuple[str, str]], backbone: Backbone, device: str):  # type: ignore[no-untyped-def]
    extract = _torch_extractor(backbone, device) if device == "cuda" else _openvino_extractor(backbone)
    for indices, inputs in iter_inputs([path for _, path in missing], backbone.preprocess, batch_size=BATCH):
        vectors = extract(inputs)
        yield {missing[i][0]: vector for i, vector in zip(indices, vectors, strict=True)}


def _openvino_extractor(backbone: Backbone) -> Extractor:
    compiled = compile_model(convert_module(backbone.module, backbone.preprocess.size))
    return lambda inputs: np.asarray(compiled({0: inputs})[0])


def _torch_extractor(backbone: Backbone, device: str) -> Extractor:
    import torch

    module = backbone.module.to(device)

    @torch.inference_mode()
    def extract(inputs: np.ndarray) -> np.ndarray:
        features: np.ndarray = module(torch.from_numpy(inputs).to(device)).float().cpu().numpy()
        return features

    return extract
