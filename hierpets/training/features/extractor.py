"""Extract features with a frozen backbone; each view of each photo is computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from copy import deepcopy
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np

from hierpets.data.content import content_key
from hierpets.data.dataset import iter_inputs
from hierpets.data.photos import UNNAMED, Photo
from hierpets.data.transforms import apply
from hierpets.errors import ImageError, PluginError, without_name
from hierpets.files import cache_dir
from hierpets.inference.engines.openvino import compile_model
from hierpets.model.backbone import fingerprint
from hierpets.model.graph.convert import convert_module
from hierpets.plugin import Backbone
from hierpets.progress import Progress, no_progress
from hierpets.training.features.cache import FeatureCache, FeatureKey
from hierpets.training.features.stored_rows import StoredRows
from hierpets.workers import cores

__all__ = ["VIEWS", "FeatureExtractor", "NothingToSee", "View", "Work"]

PIXELS_VERSION = 2  # to be raised whenever decoding or preprocessing gives other pixels for the same photo
# Small batches fit into a CPU's cache: 74 photos per second against 59 at 16 (Lite2, two cores). A GPU needs more.
BATCH, GPU_BATCH = 4, 64
STORED = 1024  # photos whose features are in memory at a time
CORNER = 0.85
View = Callable[[np.ndarray], np.ndarray]
"""A change to a photo before it is cropped to the network's square. A view that crops small parts has an attribute
``detail``, int: how many times as large as usual it needs the photo decoded. It raises :class:`NothingToSee` if there
is nothing to crop; then all features are zero, which a backbone's own features hardly ever are."""


class NothingToSee(ImageError):
    """A view finds nothing to show in a photo."""


def corner(photo: np.ndarray, *, bottom: bool, right: bool) -> np.ndarray:
    """Crop a photo [H, W, 3] to one corner, 85% of each side."""
    height, width = (round(side * CORNER) for side in photo.shape[:2])
    rows = slice(-height, None) if bottom else slice(height)
    return photo[rows, -width:] if right else photo[rows, :width]


def flip(photo: np.ndarray) -> np.ndarray:
    """Mirror a photo horizontally."""
    return photo[:, ::-1]


def plain(photo: np.ndarray) -> np.ndarray:
    """Return a photo unchanged."""
    return photo


VIEWS: dict[str, tuple[View, ...]] = {
    "plain": (plain,),
    "flip": (plain, flip),
    "crops": (plain, *(partial(corner, bottom=b, right=r) for b in (False, True) for r in (False, True))),
}
"""Views over which the features of a photo are averaged when heads are fitted; prediction always uses the plain one."""

TASKS = {
    "plain": "features (no augmentation)",
    "flip": "features (horizontal flip)",
    "crops": "features (four corner crops)",
}
"""Task names for progress, by kind of views."""


class Work(NamedTuple):
    """A photo, its cache key, and the view whose features are to be computed."""

    path: str
    key: str
    view: View


class FeatureExtractor:
    """Run a frozen backbone: with OpenVINO on the CPU, with torch on other devices.

    The backbone's module stays on its device and is not changed; other devices run a copy. ``threads`` is the number of
    CPU threads; None means one per core.
    """

    def __init__(self, backbone: Backbone, device: str = "cpu", *, threads: int | None = None):
        self._backbone, self._device, self._threads = backbone, device, threads
        self._run: Callable[[np.ndarray], np.ndarray] | None = None

    @cached_property
    def _fingerprint(self) -> str:
        """Identifies the backbone in the cache. Computed on first use, because it traces the backbone."""
        with self._backbone.guard():
            return f"{fingerprint(self._backbone)}:{PIXELS_VERSION}"

    def features(
        self,
        paths: Sequence[str],
        views: str | tuple[View, ...] = "plain",
        *,
        task: str = "",
        progress: Progress = no_progress,
    ) -> np.ndarray:
        """Return the features float32 [N, D] of N photos, averaged over ``views``, a key of :data:`VIEWS` or a tuple.

        Cached features are not computed again. ``progress`` counts the views of all photos, as ``task``, or by default
        under a name that fits ``views``.

        :raises ImageError: a photo cannot be read; the message names it.
        :raises PluginError: the features are not finite, or of another shape than the plugin declares.
        """
        chosen = VIEWS[views] if isinstance(views, str) else views
        name = task or TASKS.get(str(views), "features")
        if not paths:
            return np.empty((0, self._backbone.feature_dim), np.float32)
        keys = self._keys(list(paths))
        parts: list[np.ndarray] = []
        for view in chosen:
            further = partial(_further, progress, len(parts) * len(paths), len(paths) * len(chosen), name)
            works = [Work(path, key, view) for path, key in zip(paths, keys, strict=True)]
            parts.append(self._stacked(works, further))
        return parts[0] if len(parts) == 1 else np.stack(parts).mean(axis=0, dtype=np.float32)

    def features_of_views(
        self, paths: Sequence[str], views: Sequence[View], *, task: str, progress: Progress = no_progress
    ) -> np.ndarray:
        """Return the features float32 [N, D] of N photos, each through its own view; raises as :meth:`features`."""
        works = [Work(*one) for one in zip(paths, self._keys(list(paths)), views, strict=True)]
        return self._stacked(works, partial(_further, progress, 0, len(paths), task))

    def store(self, paths: Sequence[str], views: str = "plain", *, progress: Progress = no_progress) -> StoredRows:
        """Like :meth:`features`, but stored in a file, for more photos than fit into memory."""
        rows, count = StoredRows(self._backbone.feature_dim), len(VIEWS[views])
        for start in range(0, len(paths), STORED):
            further = partial(_further, progress, start * count, len(paths) * count)
            rows.append(self.features(paths[start : start + STORED], views, progress=further))
        return rows

    def examine(
        self, paths: Sequence[str], *, progress: Progress = no_progress
    ) -> tuple[dict[str, str], Sequence[str]]:
        """Find the photos that cannot be read, while computing and caching the features of all others.

        :returns: the error message of each unreadable photo by path, and the digest of every photo in order.
        """
        keys, reasons = self._keys(list(paths)), dict[str, str]()
        for start in range(0, len(paths), STORED):
            chunk = slice(start, start + STORED)
            further = partial(_further, progress, start, len(paths), TASKS["plain"])
            works = [Work(path, key, plain) for path, key in zip(paths[chunk], keys[chunk], strict=True)]
            self._known(works, further, on_error=lambda work, reason: reasons.__setitem__(work.key, reason))
        unreadable = {path: f"{path}: {reasons[key]}" for path, key in zip(paths, keys, strict=True) if key in reasons}
        return unreadable, self._digests(paths, keys)

    def compute(
        self,
        photos: Sequence[Photo],
        views: Sequence[View] | None = None,
        on_error: Callable[[int, str], None] | None = None,
    ) -> dict[int, np.ndarray]:
        """Return the features float32 [D] of photos by index, computed without the cache.

        Photo ``i`` is seen through ``views[i]``, or plain by default. ``on_error`` receives the index of each photo
        that cannot be read, and the reason; without it, the error is raised.
        """
        found: dict[int, np.ndarray] = {}
        for rows, vectors in self._batches(photos, views or [plain] * len(photos), on_error):
            found.update(zip(rows.tolist(), vectors, strict=True))
        return found

    def _keys(self, paths: list[str]) -> list[str]:
        return [content_key(path) for path in paths]

    def _digests(self, paths: Sequence[str], keys: list[str]) -> list[str]:
        """Return the digests of photos whose cache keys are ``keys``."""
        return keys

    def _open_cache(self) -> FeatureCache:
        return FeatureCache(cache_dir(), self._backbone.feature_dim)

    def _stacked(self, works: Sequence[Work], progress: Callable[[int], None]) -> np.ndarray:
        known = self._known(works, progress)
        return np.stack([known[self._cached_as(work)] for work in works])

    def _cached_as(self, work: Work) -> FeatureKey:
        return FeatureKey(f"{self._fingerprint}:{_view_name(work.view)}", work.key)

    def _known(
        self,
        works: Sequence[Work],
        progress: Callable[[int], None],
        on_error: Callable[[Work, str], None] | None = None,
    ) -> dict[FeatureKey, np.ndarray]:
        """Return the features of all works, cached or computed.

        With ``on_error``, photos that cannot be read are left out; without it, they raise.
        """
        # Photos of equal content are computed once, from the first path.
        wanted = {self._cached_as(work): work for work in reversed(works)}
        with closing(self._open_cache()) as cache:
            known = cache.get(wanted)
            missing = [key for key in reversed(wanted) if key not in known]
            done = len(works) - len(missing)
            progress(done)
            for computed in self._compute([wanted[key] for key in missing], on_error):
                vectors = {missing[row]: vector for row, vector in computed.items()}
                cache.put(vectors)
                known |= vectors
                done += len(computed)
                progress(done)
        return known

    def _compute(
        self, works: Sequence[Work], on_error: Callable[[Work, str], None] | None
    ) -> Iterator[dict[int, np.ndarray]]:
        """Yield the features float32 [D] of works by index, a batch at a time."""
        batches = self._batches(
            [work.path for work in works],
            [work.view for work in works],
            on_error and (lambda row, reason: on_error(works[row], reason)),
        )
        for rows, vectors in batches:
            yield dict(zip(rows.tolist(), vectors, strict=True))

    def _batches(
        self, photos: Sequence[Photo], views: Sequence[View], on_error: Callable[[int, str], None] | None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield indices int64 [B] and features float32 [B, D] of photos, each through its view."""
        if not photos:
            return
        preprocess, unseen = self._backbone.preprocess, list[int]()

        def failed(row: int, error: ImageError) -> None:
            if isinstance(error, NothingToSee):
                unseen.append(row)
            elif on_error is None:
                raise error
            else:
                on_error(row, _reason(error, photos[row]))

        batches = iter_inputs(
            photos,
            preprocess,
            batch_size=BATCH if self._device == "cpu" else GPU_BATCH,
            workers=cores(),
            transform=lambda row, photo: apply(preprocess, views[row](photo)),
            detail=lambda row: getattr(views[row], "detail", 1),
            on_error=failed,
        )
        for rows, inputs in batches:
            yield rows, self._features_of(inputs)
            yield from self._zeros(unseen)
        yield from self._zeros(unseen)

    def _zeros(self, unseen: list[int]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield zeros as the features of the ``unseen`` photos, in which a view found nothing, and clear that list."""
        if unseen:
            yield np.array(unseen), np.zeros((len(unseen), self._backbone.feature_dim), np.float32)
            unseen.clear()

    def _features_of(self, inputs: np.ndarray) -> np.ndarray:
        """Return the features float32 [B, D] of inputs [B, 3, h, w]."""
        with self._backbone.guard():
            self._run = self._run or (self._openvino() if self._device == "cpu" else self._torch())
            return _checked(self._run(inputs), self._backbone.feature_dim)

    def _openvino(self) -> Callable[[np.ndarray], np.ndarray]:
        graph = convert_module(self._backbone.module, self._backbone.preprocess.size)
        compiled = compile_model(graph, threads=self._threads)
        return lambda inputs: np.asarray(compiled({0: inputs})[0])

    def _torch(self) -> Callable[[np.ndarray], np.ndarray]:
        import torch

        from hierpets.model.cudnn import exact_float32

        module = deepcopy(self._backbone.module).to(self._device).to(memory_format=torch.channels_last)

        @torch.inference_mode()
        def run(inputs: np.ndarray) -> np.ndarray:
            images = torch.from_numpy(inputs).contiguous(memory_format=torch.channels_last)
            with exact_float32:  # the precision of a CPU
                features: np.ndarray = module(images.to(self._device)).float().cpu().numpy()
            return features

        return run


def _further(progress: Progress, before: int, total: int, task: str, done: int, _of: int | None = None) -> None:
    """Report the progress of a part that begins after the first ``before`` of ``total``."""
    progress(task, before + done, total)


def _reason(error: ImageError, photo: Photo) -> str:
    """Return the error message without the photo's name, which may differ between photos of equal content."""
    return without_name(error, photo if isinstance(photo, str) else UNNAMED)


def _view_name(view: View) -> str:
    if isinstance(view, partial):
        return view.func.__name__ + repr(view.keywords)
    return getattr(view, "__name__", repr(view))


def _checked(features: np.ndarray, feature_dim: int) -> np.ndarray:
    """Return features [B, D] unchanged.

    :raises PluginError: D is not the plugin's ``feature_dim``, or a feature is not finite.
    """
    if features.shape[1:] != (feature_dim,):
        raise PluginError(f"the backbone returns features of shape {features.shape[1:]}, expected ({feature_dim},)")
    if not np.isfinite(features).all():
        raise PluginError("the backbone returns NaN or infinite features")
    return features
