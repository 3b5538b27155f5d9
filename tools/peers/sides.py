"""Every peer, run as its documentation recommends or its users do, and the measurement of one in a process.

``SIDES[name](model, precision)`` loads a peer, which predicts the label, ``species/breed``, of one photo or of many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

from tools.peers.network import NetworkSpec, build_network, read_spec

__all__ = ["SIDES", "Side", "array_side", "compare_large", "first", "session"]

FASTAI_BATCH, TIMM_BATCH, TORCH_BATCH, ARRAY_BATCH = 64, 256, 32, 16  # each the default of its library or tutorial
WORKERS = 2
TRIED = 32  # photos on which array sides try which is faster: one at a time, or batches
WARM_UP, FEWEST = 64, 8  # photos to warm up; fewest photos of a latency


class Side(NamedTuple):
    """A loaded peer."""

    one: Callable[[str], str]
    many: Callable[[Sequence[str]], list[str]]


def fastai_side(model: Path, precision: str) -> Side:
    """Load an exported learner: ``predict`` for one photo and ``get_preds`` for many, without progress bars."""
    from fastai.vision.all import load_learner

    learner: Any = load_learner(model / "learner.pkl")
    learner.remove_cbs(learner.cbs.filter(lambda cb: type(cb).__name__ == "ProgressCallback"))
    labels = read_spec(model).labels

    def many(paths: Sequence[str]) -> list[str]:
        probabilities, _ = learner.get_preds(dl=learner.dls.test_dl(list(paths), bs=FASTAI_BATCH))
        return [labels[n] for n in probabilities.argmax(1).tolist()]

    return Side(lambda path: str(learner.predict(path)[0]), many)


def timm_side(model: Path, precision: str) -> Side:
    """Load timm's own loop, as in its inference.py on a CPU: its loader and transform, with an eager network."""
    import torch
    from timm.data import create_loader, create_transform, resolve_data_config

    network = build_network(model)
    spec = read_spec(model)
    seen = {"input_size": (3, spec.size, spec.size), "crop_pct": spec.size / spec.shorter_side}
    config = resolve_data_config(seen, model=network)

    def load(paths: Sequence[str]) -> Any:
        photos: Any = Photos(paths)
        options: dict[str, Any] = {"use_prefetcher": True, "num_workers": WORKERS, "device": torch.device("cpu")}
        return create_loader(photos, batch_size=TIMM_BATCH, **options, **config)

    return _torch_side(model, network, create_transform(**config), load)


def torchvision_side(model: Path, precision: str) -> Side:
    """Load the loop of the torch tutorials: torchvision's transforms, a DataLoader, and an eager network."""
    from torch.utils.data import DataLoader
    from torchvision import transforms

    spec = read_spec(model)
    transform = transforms.Compose(
        [
            transforms.Resize(spec.shorter_side),
            transforms.CenterCrop(spec.size),
            transforms.ToTensor(),
            transforms.Normalize(spec.mean, spec.std),
        ]
    )

    def load(paths: Sequence[str]) -> Any:
        photos: Any = Photos(paths, transform)
        return DataLoader(photos, batch_size=TORCH_BATCH, num_workers=WORKERS)

    return _torch_side(model, build_network(model), transform, load)


def onnxruntime_side(model: Path, precision: str) -> Side:
    """Load ONNX Runtime as in its documentation: a session with default options."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(model / "model.onnx"), providers=["CPUExecutionProvider"])
    return array_side(read_spec(model), lambda images: session.run(None, {"images": images})[0])


def openvino_side(model: Path, precision: str) -> Side:
    """Load OpenVINO as in its documentation: ``compile_model`` with default options, and synchronous calls."""
    import openvino

    compiled = openvino.Core().compile_model(str(model / "model.onnx"), "CPU")
    return array_side(read_spec(model), lambda images: compiled(images)[0])


def hierpets_side(model: Path, precision: Any) -> Side:
    """Load hierpets with all steps of ``hierpets predict``: one photo uses all cores, many photos one core each."""
    from hierpets.inference.loading import load
    from hierpets.inference.predictor import Predictor
    from hierpets.workers import cores

    @cache
    def predictor(workers: int) -> Predictor:
        return load(model, device="cpu", precision=precision, workers=workers)

    def label(prediction: Any) -> str:
        if prediction.error is not None:
            raise prediction.error
        leaf, _ = prediction.decision.top[0]
        return f"{leaf.species}/{leaf.breed or '-'}"

    return Side(
        lambda path: label(predictor(1).predict(path)),
        lambda paths: [label(prediction) for prediction in predictor(cores()).predict(paths)],
    )


SIDES: dict[str, Callable[[Path, str], Side]] = {
    "fastai": fastai_side,
    "timm": timm_side,
    "torchvision": torchvision_side,
    "onnxruntime": onnxruntime_side,
    "openvino": openvino_side,
    "hierpets": hierpets_side,
}


class Photos:
    """A data set of ``transform(photo), 0``; timm's loader sets the transform itself."""

    def __init__(self, paths: Sequence[str], transform: Callable[[Any], Any] | None = None):
        self._paths, self.transform = paths, transform

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, n: int) -> tuple[Any, int]:
        assert self.transform is not None
        return self.transform(_open(self._paths[n])), 0


def _open(path: str) -> Any:
    from PIL import Image

    return Image.open(path).convert("RGB")


def _torch_side(model: Path, network: Any, transform: Any, load: Callable[[Sequence[str]], Iterable[Any]]) -> Side:
    import torch

    labels = read_spec(model).labels

    @torch.inference_mode()
    def predict(batches: Iterable[Any]) -> list[str]:
        return [labels[n] for images, _ in batches for n in network(images).argmax(1).tolist()]

    return Side(
        lambda path: predict([(transform(_open(path)).unsqueeze(0), None)])[0], lambda paths: predict(load(paths))
    )


def array_side(spec: NetworkSpec, run: Callable[[Any], Any]) -> Side:
    """Wrap a network that maps arrays to arrays, one photo at a time or in batches, whichever is faster; OpenCV
    decodes.
    """
    import numpy as np

    def predict(paths: Sequence[str]) -> list[str]:
        joint = run(np.concatenate([_read_input(path, spec) for path in paths]))
        return [spec.labels[n] for n in joint.argmax(axis=1)]

    def in_batches(paths: Sequence[str], size: int) -> list[str]:
        return list(chain.from_iterable(predict(paths[n : n + size]) for n in range(0, len(paths), size)))

    chosen: list[int] = []

    def many(paths: Sequence[str]) -> list[str]:
        if not chosen:
            seconds = {size: _seconds(in_batches, paths[:TRIED], size) for size in (1, ARRAY_BATCH) * 2}
            chosen.append(min(seconds, key=lambda size: seconds[size]))
        return in_batches(paths, chosen[0])

    return Side(lambda path: predict([path])[0], many)


def _read_input(path: str, spec: NetworkSpec) -> Any:
    """Decode in full, resize by the shorter side, crop and normalize: float32 [1, 3, size, size]."""
    import cv2
    import numpy as np

    photo = cv2.imread(path, cv2.IMREAD_COLOR_RGB)
    assert photo is not None, path
    scale = spec.shorter_side / min(photo.shape[:2])
    width, height = round(photo.shape[1] * scale), round(photo.shape[0] * scale)
    photo = cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    top, left = (height - spec.size) // 2, (width - spec.size) // 2
    photo = photo[top : top + spec.size, left : left + spec.size]
    planes = (photo.astype(np.float32) / 255 - np.array(spec.mean, np.float32)) / np.array(spec.std, np.float32)
    return np.ascontiguousarray(planes.transpose(2, 0, 1)[None])


def first(side: str, model: str, precision: str, photo: str) -> str:
    """Predict the first photo in a new process; the parent process measures the time."""
    return SIDES[side](Path(model), precision).one(photo)


def session(
    side: str, model: str, precision: str, photos: list[str], large: list[str], seconds: float
) -> dict[str, Any]:
    """Measure seconds of all photos (``many``), of single ones (``one``) for about ``seconds``, and of the ``large``
    ones.
    """
    peer = SIDES[side](Path(model), precision)
    peer.many(photos[:WARM_UP])
    start = perf_counter()
    answers = peer.many(photos)
    result = {"answers": answers, "many": perf_counter() - start, "memory": _peak_memory()}
    result["one"] = _latencies(peer, photos, seconds)
    return result | {"large_many": _seconds(peer.many, large), "large_one": _latencies(peer, large, seconds)}


def compare_large(model: str, photos: list[str]) -> dict[str, Any]:
    """Run hierpets on large photos: seconds with reduced and full decoding, and the fraction of equal predictions."""
    from hierpets.data.photos import read_photo

    peer = hierpets_side(Path(model), "auto")
    variants: dict[str, Callable[[str], Any]] = {
        "reduced": peer.one,
        "full": lambda path: peer.one(read_photo(path)),  # type: ignore[arg-type]
    }
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    same = 0
    for predict in variants.values():  # warm-up
        predict(photos[0])
    for path in photos:
        answers = set()
        for name, predict in variants.items():
            start = perf_counter()
            answers.add(predict(path))
            seconds[name].append(perf_counter() - start)
        same += len(answers) == 1
    return {**seconds, "same": same / len(photos)}


def _seconds(work: Callable[..., Any], *arguments: Any) -> float:
    start = perf_counter()
    work(*arguments)
    return perf_counter() - start


def _latencies(peer: Side, photos: Sequence[str], limit: float) -> list[float]:
    peer.one(photos[0])
    seconds: list[float] = []
    for photo in photos:
        if sum(seconds) > limit and len(seconds) >= FEWEST:
            break
        seconds.append(_seconds(peer.one, photo))
    return seconds


def _peak_memory() -> float:
    """Return the peak resident memory of this process in MB, without its worker processes."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM:")).split()[1]) / 1024
