"""A model that answers by color, the photos that it knows, and a real server around it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import cv2
import httpx
import numpy as np
from starlette.testclient import TestClient

from hierpets.bundle.identity import ModelId
from hierpets.bundle.manifest import BackboneSpec, Manifest
from hierpets.inference.detector.bystanders import Bystanders
from hierpets.inference.engines.base import RawOutput
from hierpets.inference.predictor import Predictor
from hierpets.plugin import Preprocess
from hierpets.recommend.choose import Recommender, Rule
from hierpets.regions.boxes import Box
from hierpets.regions.candidates import Candidates, Finder
from hierpets.regions.files import FoundBox
from hierpets.registry.loading import Registry, load_registry
from hierpets.serve.app import create_app
from hierpets.serve.run import bind, make_server
from hierpets.serve.settings import ServeSettings
from hierpets.taxonomy import Taxonomy

TAXONOMY = Taxonomy(tree={"cat": ("maine_coon", "siamese"), "dog": ("basset_hound", "beagle", "pug"), "horse": ()})
# One for all threads: to make one costs a third of a second.
CLIENT = httpx.Client(verify=False)
# Asks for a host that the server answers to.
LocalClient = partial(TestClient, base_url="http://localhost")
MODEL = ModelId(digest="0123456789abcdef", version="1.2")
COLORS = {"siamese": (250, 20, 20), "a dog": (20, 250, 20), "nothing": (128, 128, 128)}


class ColorEngine:
    """Red is a Siamese, green a dog of one of three breeds, gray is nothing in particular."""

    name, device, precision = "color", "cpu", "f32"
    workers, batch = 2, 4

    def __init__(self, pause: float = 0.0):
        self.pause = pause
        self.batches: list[int] = []

    def __call__(self, pixels: np.ndarray) -> RawOutput:
        time.sleep(self.pause)
        self.batches.append(len(pixels))
        red, green, blue = (pixels.mean(axis=(1, 2)).T / 127.5 - 1) * 6
        zero = np.zeros_like(red)
        species = np.stack([red, green, zero], 1).astype(np.float32)
        leaf = np.stack([-red, red, zero + 0.3, zero + 0.4, zero - 1, zero], 1).astype(np.float32)
        return RawOutput(np.zeros((len(pixels), 1), np.float32), species, leaf, np.stack([blue, blue], 1))


class BassetEngine(ColorEngine):
    """Sure of what it sees: red is a Siamese, green a Basset Hound."""

    def __call__(self, pixels: np.ndarray) -> RawOutput:
        output = super().__call__(pixels)
        winner = output.species == output.species.max(axis=1, keepdims=True)
        leaf = np.tile(np.array([-30, 30, 30, -30, -30, 0], np.float32), (len(pixels), 1))
        return output._replace(species=30 * winner.astype(np.float32), leaf=leaf)


class PlainFinder(NamedTuple):
    """A function that finds animals, which needs nothing."""

    find: Callable[[np.ndarray], Candidates]

    def check(self) -> None:
        pass

    def __call__(self, pixels: np.ndarray) -> Candidates:
        return self.find(pixels)


def make_predictor(
    engine: ColorEngine | None = None,
    *,
    registry: Registry | None = None,
    finder: Callable[[np.ndarray], Candidates] | None = None,
    rules: Sequence[Rule] | None = None,
    bystanders: Bystanders | None = None,
    **manifest_fields: Any,
) -> Predictor:
    manifest = Manifest(
        taxonomy=TAXONOMY,
        preprocess=Preprocess(size=16, crop=1.0, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
        backbone=BackboneSpec(name="color", feature_dim=1),
        **manifest_fields,
    )
    recommender = Recommender.load(registry or load_registry())
    if rules is not None:
        recommender = Recommender(recommender.catalog, rules)
    found = finder and PlainFinder(finder)
    return Predictor(manifest, engine or ColorEngine(), recommender, finder=found, bystanders=bystanders, model=MODEL)


def find_halves(pixels: np.ndarray) -> Candidates:
    """Two animals, apart, side by side in a photo that is wider than high; none in any other."""
    wide = pixels.shape[1] > pixels.shape[0]
    boxes = tuple(FoundBox(Box(left=left, top=0, width=0.5, height=1), 4.0) for left in (0, 0.5) if wide)
    n = len(boxes)
    return Candidates(boxes, np.ones(n), np.ones(n, bool), np.ones((n, n), bool), np.full(n, Finder.PLACES))


def side_by_side(*colors: str, size: int = 60) -> np.ndarray:
    """Squares of these colors, RGB uint8 [size, N size, 3]."""
    return np.concatenate([np.full((size, size, 3), COLORS[color], np.uint8) for color in colors], axis=1)


def encode(photo: np.ndarray, suffix: str = ".jpg") -> bytes:
    return cv2.imencode(suffix, photo[..., ::-1])[1].tobytes()


def plain(color: str, size: tuple[int, int] = (40, 60)) -> bytes:
    """A JPEG of one color, (height, width)."""
    return encode(np.full((*size, 3), COLORS[color], np.uint8))


def with_exif(jpeg: bytes, orientation: int = 1) -> bytes:
    """The same JPEG with an orientation, a camera's name and a place in its EXIF block."""
    import struct

    camera, place = b"SecretCam\0", struct.pack(">6I", 48, 1, 12, 1, 30, 1)
    entries = [(0x010F, 2, len(camera), 50), (0x0112, 3, 1, orientation << 16), (0x8825, 4, 1, 60)]
    ifd = struct.pack(">H", 3) + b"".join(struct.pack(">HHII", *entry) for entry in entries) + struct.pack(">I", 0)
    gps = struct.pack(">H", 1) + struct.pack(">HHII", 2, 5, 3, 78) + struct.pack(">I", 0)
    tiff = b"MM\0*\0\0\0\x08" + ifd
    block = b"Exif\0\0" + tiff.ljust(50, b"\0") + camera + gps + place
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + jpeg[2:]


@contextmanager
def serving(
    predictor: Predictor,
    settings: ServeSettings | None = None,
    on_stop: Callable[[], None] = lambda: None,
    **more,
) -> Iterator[tuple[str, Callable[[], None]]]:
    """A real server in a thread: its address, and a function that asks it to stop."""
    started = threading.Event()
    settings = settings or ServeSettings(stop_seconds=10)
    app = create_app(predictor, settings, **more)
    server = make_server(app, stop_seconds=min(10, settings.stop_seconds), on_start=started.set, on_stop=on_stop)

    def stop() -> None:
        server.should_exit = True

    with bind("127.0.0.1", 0) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        assert started.wait(10)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}", stop
        finally:
            stop()
            thread.join(15)
            assert not thread.is_alive(), "the server did not stop"


def post(url: str, *photos: bytes, timeout: float = 20) -> httpx.Response:
    """Photos as one form."""
    files = [("photo", (f"{n}.jpg", photo, "image/jpeg")) for n, photo in enumerate(photos)]
    return CLIENT.post(f"{url}/v1/predict", files=files, timeout=timeout)
