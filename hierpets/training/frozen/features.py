"""Features of a frozen backbone, each view of each photo computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np

from hierpets.data.dataset import iter_inputs
from hierpets.data.transforms import apply
from hierpets.files import cache_dir
from hierpets.inference.engines.openvino import compile_model
from hierpets.model.backbone import fingerprint
from hierpets.model.graph.convert import convert_module
from hierpets.plugin import Backbone
from hierpets.progress import Progress, no_progress
from hierpets.training.frozen.feature_cache import FeatureCache, content_key

__all__ = ["VIEWS", "FeatureExtractor"]

BATCH = 4  # small batches stay in the cache of a CPU: 74 photos a second against 59 at 16 (Lite2, two cores)
CORNER = 0.85
PIXELS = 3  # raised whenever the same photo comes to other pixels, so that older features are not taken for these
View = Callable[[np.ndarray], np.ndarray]


def corner(photo: np.ndarray, *, bottom: bool, right: bool) -> np.ndarray:
    """One corner of a photo [H, W, 3], 85 % of each side."""
    height, width = (round(side * CORNER) for side in photo.shape[:2])
    rows = slice(-height, None) if bottom else slice(height)
    return photo[rows, -width:] if right else photo[rows, :width]


def flip(photo: np.ndarray) -> np.ndarray:
    """Left for right."""
    return photo[:, ::-1]


def plain(photo: np.ndarray) -> np.ndarray:
    """As it is."""
    return photo


VIEWS: dict[str, tuple[View, ...]] = {
    "plain": (plain,),
    "flip": (plain, flip),
    "crops": (plain, *(partial(corner, bottom=b, right=r) for b in (False, True) for r in (False, True))),
}
"""What the features of a photo are averaged over when heads are fitted; a photo is always served plain."""


def _further(progress: Progress, task: str, before: int, total: int, done: int) -> None:
    progress(task, before + done, total)


class FeatureExtractor:
    """A frozen backbone, ready to run: through OpenVINO on the CPU, through torch on CUDA."""

    def __init__(self, backbone: Backbone, device: str = "cpu"):
        self._backbone, self._device = backbone, device
        self._fingerprint = fingerprint(backbone)
        self._run: Callable[[np.ndarray], np.ndarray] | None = None

    def features(
        self, paths: Sequence[str], views: str = "plain", *, task: str = "features", progress: Progress = no_progress
    ) -> np.ndarray:
        """Features float32 [N, D] of N photos, averaged over ``VIEWS[views]``, from the cache where their content is.

        ``progress`` is told how many of N x views are done, under the name ``task``.

        :raises ImageError: a photo that cannot be read, by name.
        """
        chosen = VIEWS[views]
        total = len(paths) * len(chosen)
        keys = [content_key(path) for path in paths]
        parts: list[np.ndarray] = []
        for view in chosen:
            further = partial(_further, progress, task, len(parts) * len(paths), total)
            parts.append(self._view(paths, keys, view, further))
        return parts[0] if len(parts) == 1 else np.stack(parts).mean(axis=0, dtype=np.float32)

    def _view(self, paths: Sequence[str], keys: list[str], view: View, progress: Callable[[int], None]) -> np.ndarray:
        name = view.func.__name__ + repr(view.keywords) if isinstance(view, partial) else view.__name__
        cache = FeatureCache(cache_dir(), f"{self._fingerprint}:{PIXELS}:{name}")
        try:
            known = cache.get(set(keys))
            # Equal photos are computed once; the first path stands for all.
            missing = {key: path for key, path in reversed(list(zip(keys, paths, strict=True))) if key not in known}
            done = len(paths) - len(missing)
            progress(done)
            for fresh in self._compute(list(missing.items()), view):
                cache.put(fresh.keys(), np.stack(list(fresh.values())))
                known |= fresh
                done += len(fresh)
                progress(done)
        finally:
            cache.close()
        return np.stack([known[key] for key in keys])

    def _compute(self, missing: list[tuple[str, str]], view: View) -> Iterator[dict[str, np.ndarray]]:
        if not missing:
            return
        self._run = self._run or (self._torch() if self._device == "cuda" else self._openvino())
        preprocess = self._backbone.preprocess
        batches = iter_inputs(
            [path for _, path in missing],
            preprocess,
            batch_size=BATCH,
            transform=lambda _, photo: apply(preprocess, view(photo)),
        )
        for indices, inputs in batches:
            yield {missing[i][0]: vector for i, vector in zip(indices, self._run(inputs), strict=True)}

    def _openvino(self) -> Callable[[np.ndarray], np.ndarray]:
        compiled = compile_model(convert_module(self._backbone.module, self._backbone.preprocess.size))
        return lambda inputs: np.asarray(compiled({0: inputs})[0])

    def _torch(self) -> Callable[[np.ndarray], np.ndarray]:
        import torch

        module = self._backbone.module.to(self._device)

        @torch.inference_mode()
        def run(inputs: np.ndarray) -> np.ndarray:
            features: np.ndarray = module(torch.from_numpy(inputs).to(self._device)).float().cpu().numpy()
            return features

        return run
