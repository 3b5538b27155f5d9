"""Compare JPEG decoding on the GPU (torchvision's nvJPEG), overlapped with the network, with hierpets' own pipeline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch

from hierpets.data.photos import read_photo
from hierpets.data.transforms import center_square
from hierpets.inference.predictor import Predictor
from hierpets.model.reader import read_networks
from hierpets.plugin import Preprocess
from hierpets.registry.loading import load_registry
from hierpets.thumbnails import encode_jpeg
from tools.gpu.engines import ROUNDS, timed

__all__ = ["Decoding", "measure_decoding"]

BATCH, WORKERS = 64, 4


@dataclass(frozen=True)
class Decoding:
    """Photos per second: decoded by nvJPEG alone; with the network after it; by hierpets, which decodes on the CPU.
    ``same`` of ``photos`` have the same most probable leaf in both pipelines.
    """

    nvjpeg: float
    with_network: float
    hierpets: float
    same: int
    photos: int


def measure_decoding(predictor: Predictor, photos: Sequence[str]) -> Decoding:
    """Measure on the JPEG bytes of ``photos``. ``predictor`` runs on the GPU."""
    data = [encode_jpeg(read_photo(photo), quality=90) for photo in photos] * ROUNDS
    encoded = [torch.frombuffer(bytearray(one), dtype=torch.uint8) for one in data]
    preprocess = predictor.manifest.preprocess
    assert predictor.bundle is not None  # it was loaded from one
    network = read_networks(predictor.bundle, predictor.manifest, load_registry(None))[-1].to("cuda").eval()
    list(_decoded(encoded[:BATCH], preprocess))
    _, decoding = timed(lambda: _finished(_decoded(encoded, preprocess)))
    _leaves(network, encoded[:BATCH], preprocess)
    theirs, together = timed(lambda: _leaves(network, encoded, preprocess))
    predictor.predict(data[: len(photos)])
    ours, seconds = timed(lambda: predictor.predict(data))
    same = sum(int(leaf) == int(p.joint.argmax()) for leaf, p in zip(theirs, ours, strict=True) if p.joint is not None)
    count = len(data)
    return Decoding(count / decoding, count / together, count / seconds, same, count)


def _decoded(encoded: Sequence[torch.Tensor], preprocess: Preprocess) -> Iterator[torch.Tensor]:
    """Yield batches float32 [B, 3, size, size] on the GPU; the next few are decoded while one is used."""
    parts = [encoded[i : i + BATCH] for i in range(0, len(encoded), BATCH)]
    with ThreadPoolExecutor(WORKERS) as threads:
        yield from threads.map(lambda part: _decode(part, preprocess), parts)


def _decode(part: Sequence[torch.Tensor], preprocess: Preprocess) -> torch.Tensor:
    from torchvision.io import ImageReadMode, decode_jpeg

    photos = decode_jpeg(list(part), mode=ImageReadMode.RGB, device="cuda")
    batch = torch.cat([_squared(photo, preprocess) for photo in photos]) / 255
    mean, std = (torch.tensor(v, device="cuda").view(1, 3, 1, 1) for v in (preprocess.mean, preprocess.std))
    ready = ((batch - mean) / std).contiguous(memory_format=torch.channels_last)
    torch.cuda.current_stream().synchronize()
    return ready


def _squared(photo: torch.Tensor, preprocess: Preprocess) -> torch.Tensor:
    """Crop uint8 [3, H, W] as :func:`hierpets.data.transforms.apply` does, to float32 [1, 3, size, size]."""
    top, left, side = center_square(preprocess, *photo.shape[1:])
    square = photo[None, :, top : top + side, left : left + side].float()
    size = (preprocess.size, preprocess.size)
    mode = "bilinear" if side >= preprocess.size else "bicubic"
    return torch.nn.functional.interpolate(square, size, mode=mode, antialias=side >= 2 * preprocess.size).clamp(0, 255)


@torch.inference_mode()
def _leaves(network: torch.nn.Module, encoded: Sequence[torch.Tensor], preprocess: Preprocess) -> torch.Tensor:
    """Return the index of the largest leaf logit of each photo, int64 [N], on the CPU."""
    found = []
    for batch in _decoded(encoded, preprocess):
        with torch.autocast("cuda", torch.float16):
            found.append(network(batch)[2].argmax(1))
    return torch.cat(found).cpu()


def _finished(batches: Iterator[torch.Tensor]) -> None:
    for _ in batches:
        pass
    torch.cuda.synchronize()
