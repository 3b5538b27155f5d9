"""Features of a frozen backbone, each view of each photo computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from copy import deepcopy
from functools import partial

import numpy as np

from hierpets.data.content import content_key
from hierpets.data.dataset import iter_inputs
from hierpets.data.transforms import apply
from hierpets.errors import ImageError, PluginError
from hierpets.files import cache_dir
from hierpets.inference.engines.openvino import compile_model
from hierpets.model.backbone import fingerprint
from hierpets.model.graph.convert import convert_module
from hierpets.plugin import Backbone
from hierpets.progress import Progress, no_progress
from hierpets.training.features.cache import FeatureCache
from hierpets.training.features.stored_rows import StoredRows
from hierpets.workers import cores

__all__ = ["VIEWS", "FeatureExtractor", "View"]

PIXELS_VERSION = 2  # raised whenever the same photo comes to other pixels
# Small batches stay in the cache of a CPU: 74 photos per second against 59 at 16 (Lite2, two cores). A GPU wants more.
BATCH, GPU_BATCH = 4, 64
STORED = 1024  # photos whose features are in memory at a time
CORNER = 0.85
View = Callable[[np.ndarray], np.ndarray]


def corner(photo: np.ndarray, *, bottom: bool, right: bool) -> np.ndarray:
    """One corner of a photo [H, W, 3], 85% of each side."""
    height, width = (round(side * CORNER) for side in photo.shape[:2])
    rows = slice(-height, None) if bottom else slice(height)
    return photo[rows, -width:] if right else photo[rows, :width]


def flip(photo: np.ndarray) -> np.ndarray:
    """Left for right."""
    return photo[:, ::-1]


def plain(photo: np.ndarray) -> np.ndarray:
    """Unchanged."""
    return photo


VIEWS: dict[str, tuple[View, ...]] = {
    "plain": (plain,),
    "flip": (plain, flip),
    "crops": (plain, *(partial(corner, bottom=b, right=r) for b in (False, True) for r in (False, True))),
}
"""What the features of a photo are averaged over when heads are fitted; a photo is always served plain."""

TASKS = {
    "plain": "features (no augmentation)",
    "flip": "features (horizontal flip)",
    "crops": "features (four corner crops)",
}
"""What progress calls the work on each kind of views."""


class FeatureExtractor:
    """A frozen backbone, ready to run: through OpenVINO on the CPU, through torch elsewhere.

    The backbone's module stays on its device and is not changed: what runs elsewhere is a copy. ``threads`` limits
    those of the CPU; None: one per core.
    """

    def __init__(self, backbone: Backbone, device: str = "cpu", *, threads: int | None = None):
        self._backbone, self._device, self._threads = backbone, device, threads
        self._fingerprint = f"{fingerprint(backbone)}:{PIXELS_VERSION}"
        self._run: Callable[[np.ndarray], np.ndarray] | None = None

    def features(
        self,
        paths: Sequence[str],
        views: str | tuple[View, ...] = "plain",
        *,
        task: str = "",
        progress: Progress = no_progress,
    ) -> np.ndarray:
        """Features float32 [N, D] of N photos, averaged over some views (or ``VIEWS[views]``), from the cache where
        their content is.

        ``progress`` gets how many of N x views are done, as ``task`` or under a name that fits the views.

        :raises ImageError: a photo that cannot be read, by name.
        :raises PluginError: the backbone does not give what it says.
        """
        chosen = VIEWS[views] if isinstance(views, str) else views
        name = task or TASKS.get(str(views), "features")
        if not paths:
            return np.empty((0, self._backbone.feature_dim), np.float32)
        keys = self._keys(list(paths))
        parts: list[np.ndarray] = []
        for view in chosen:
            further = partial(_further, progress, name, len(parts) * len(paths), len(paths) * len(chosen))
            known = self._view(paths, keys, view, further)
            parts.append(np.stack([known[key] for key in keys]))
        return parts[0] if len(parts) == 1 else np.stack(parts).mean(axis=0, dtype=np.float32)

    def store(self, paths: Sequence[str], views: str = "plain", *, progress: Progress = no_progress) -> StoredRows:
        """The same features in a file, as many as there may be."""
        rows, count = StoredRows(self._backbone.feature_dim), len(VIEWS[views])
        for start in range(0, len(paths), STORED):
            further = partial(_shifted, progress, start * count, len(paths) * count)
            rows.append(self.features(paths[start : start + STORED], views, progress=further))
        return rows

    def unreadable(self, paths: Sequence[str], *, progress: Progress = no_progress) -> dict[str, str]:
        """The photos that cannot be read, each with the message; the features of all others are cached meanwhile."""
        keys, reasons = self._keys(list(paths)), dict[str, str]()
        for start in range(0, len(paths), STORED):
            chunk = slice(start, start + STORED)
            further = partial(_further, progress, TASKS["plain"], start, len(paths))
            self._view(paths[chunk], keys[chunk], plain, further, on_error=reasons.__setitem__)
        return {path: f"{path}: {reasons[key]}" for path, key in zip(paths, keys, strict=True) if key in reasons}

    def compute(
        self, paths: Sequence[str], view: View, on_error: Callable[[str, str], None] | None = None
    ) -> dict[str, np.ndarray]:
        """Features float32 [D] of one view of each photo, computed here and now; ``on_error`` gets path and reason of
        one that cannot be read.
        """
        found: dict[str, np.ndarray] = {}
        for fresh in self._compute(list(zip(paths, paths, strict=True)), view, on_error):
            found |= fresh
        return found

    def _keys(self, paths: list[str]) -> list[str]:
        return [content_key(path) for path in paths]

    def _open_cache(self, fingerprint: str) -> FeatureCache:
        return FeatureCache(cache_dir(), fingerprint, self._backbone.feature_dim)

    def _view(
        self,
        paths: Sequence[str],
        keys: list[str],
        view: View,
        progress: Callable[[int], None],
        on_error: Callable[[str, str], None] | None = None,
    ) -> dict[str, np.ndarray]:
        """The features of a view by key; a photo that cannot be read raises, or is left out with ``on_error``."""
        fingerprint = f"{self._fingerprint}:{_view_name(view)}"
        with closing(self._open_cache(fingerprint)) as cache:
            known = cache.get(set(keys))
            # Equal photos are computed once; the first path stands for all.
            missing = {key: path for key, path in reversed(list(zip(keys, paths, strict=True))) if key not in known}
            done = len(paths) - len(missing)
            progress(done)
            for fresh in self._compute(list(missing.items()), view, on_error):
                cache.put(fresh.keys(), np.stack(list(fresh.values())))
                known |= fresh
                done += len(fresh)
                progress(done)
        return known

    def _compute(
        self, missing: list[tuple[str, str]], view: View, on_error: Callable[[str, str], None] | None
    ) -> Iterator[dict[str, np.ndarray]]:
        if not missing:
            return
        self._run = self._run or (self._openvino() if self._device == "cpu" else self._torch())
        preprocess = self._backbone.preprocess
        batches = iter_inputs(
            [path for _, path in missing],
            preprocess,
            batch_size=BATCH if self._device == "cpu" else GPU_BATCH,
            workers=cores(),
            transform=lambda _, photo: apply(preprocess, view(photo)),
            on_error=on_error and (lambda index, error: on_error(missing[index][0], _reason(error, missing[index][1]))),
        )
        for indices, inputs in batches:
            features = _checked(self._run(inputs), self._backbone.feature_dim)
            yield {missing[i][0]: vector for i, vector in zip(indices, features, strict=True)}

    def _openvino(self) -> Callable[[np.ndarray], np.ndarray]:
        graph = convert_module(self._backbone.module, self._backbone.preprocess.size)
        compiled = compile_model(graph, threads=self._threads)
        return lambda inputs: np.asarray(compiled({0: inputs})[0])

    def _torch(self) -> Callable[[np.ndarray], np.ndarray]:
        import torch

        module = deepcopy(self._backbone.module).to(self._device).to(memory_format=torch.channels_last)

        @torch.inference_mode()
        def run(inputs: np.ndarray) -> np.ndarray:
            images = torch.from_numpy(inputs).contiguous(memory_format=torch.channels_last)
            # Exact float32: TF32 would give other features than a CPU.
            with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
                features: np.ndarray = module(images.to(self._device)).float().cpu().numpy()
            return features

        return run


def _further(progress: Progress, task: str, before: int, total: int, done: int) -> None:
    progress(task, before + done, total)


def _reason(error: ImageError, path: str) -> str:
    """The message without the path in front of it: an equal photo may have another."""
    return str(error).removeprefix(f"{path}: ")


def _shifted(progress: Progress, before: int, total: int, task: str, done: int, _of: int | None) -> None:
    progress(task, before + done, total)


def _view_name(view: View) -> str:
    return view.func.__name__ + repr(view.keywords) if isinstance(view, partial) else view.__name__


def _checked(features: np.ndarray, feature_dim: int) -> np.ndarray:
    """Features [B, D] as they are, if D is what the plugin says and all are finite."""
    if features.shape[1:] != (feature_dim,):
        raise PluginError(f"the backbone returns features of shape {features.shape[1:]}, expected ({feature_dim},)")
    if not np.isfinite(features).all():
        raise PluginError("the backbone returns NaN or infinite features")
    return features
