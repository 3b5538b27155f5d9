"""Load-test a server on this machine with many clients, some of which send broken, large or slow requests.

    python tools/load_test.py [--model BUNDLE] [--clients 50] [--seconds 60] [--rounds 5] [--write docs/serve.md]

Every request must get a complete response with the status that is expected for its kind, unless the client disconnects;
no response may be a 5xx. Otherwise the exit code is 1. Afterwards, the clients send only small photos, in turns with
the bulk path on the same photos.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import re
import statistics
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hierpets.bench.numbers import percentiles
from hierpets.bundle.layout import released_bundle
from hierpets.data.demo import render
from hierpets.thumbnails import encode_jpeg
from tools.errors import in_one_line
from tools.load.side_by_side import Cost, Round, bulk_side, rows
from tools.pages.marks import publish

MB = 2**20
UPLOAD_SECONDS = 3
ROUND_SECONDS, ROUND_PHOTOS = 10, 560
NAMES = ("cat/siamese", "cat/ginger", "cat/tuxedo", "dog/beagle", "dog/pug", "dog/poodle", "rabbit/-")


@dataclass
class Seen:
    """The results of the clients, by kind of request."""

    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    photos: int = 0
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Photos:
    """JPEGs to send: small ones, as messengers send them, large ones of a camera, and broken ones."""

    small: list[bytes]
    camera: list[bytes]
    broken: list[bytes]

    @classmethod
    def draw(cls) -> Photos:
        drawn = [render(f"demo:{name}/{n}") for name in NAMES for n in (900, 901)]
        small = [_jpeg(photo, 1024, 768) for photo in drawn]
        camera = [_jpeg(photo, 4000, 3000) for photo in drawn[:3]]
        return cls(small, camera, [small[0][:2000], b"no photo at all", small[1][: len(small[1]) // 2], b""])


def _jpeg(photo: np.ndarray, width: int, height: int) -> bytes:
    return encode_jpeg(cv2.resize(photo, (width, height), interpolation=cv2.INTER_CUBIC), 90)


class Client:
    """A client that sends one request after another, each on a new connection."""

    def __init__(self, port: int, photos: Photos, seen: Seen, seed: int, *, small: bool = False):
        self._port, self._photos, self._seen, self._rng = port, photos, seen, random.Random(seed)
        kinds: list[tuple[Callable[[], Awaitable[None]], int]] = [
            (self.one_photo, 60),
            (self.several_photos, 14),
            (self.camera_photo, 8),
            (self.broken_in_a_form, 6),
            (self.broken_alone, 4),
            (self.too_large, 2),
            (self.too_slow, 2),
            (self.no_form, 2),
            (self.leaves, 2),
        ]
        self._kinds, self._shares = zip(*kinds[:1] if small else kinds, strict=True)

    async def run(self, until: float) -> None:
        while time.monotonic() < until:
            act = self._rng.choices(self._kinds, self._shares)[0]
            try:
                await asyncio.wait_for(act(), 60)
            except (OSError, EOFError, ValueError, asyncio.TimeoutError) as error:
                self._seen.faults.append(f"{act.__name__}: no complete response: {type(error).__name__}: {error}")

    async def one_photo(self) -> None:
        await self._good("one photo", [self._rng.choice(self._photos.small)])

    async def several_photos(self) -> None:
        await self._good("2 to 6 photos", self._rng.choices(self._photos.small, k=self._rng.randint(2, 6)))

    async def camera_photo(self) -> None:
        await self._good("12 megapixels", [self._rng.choice(self._photos.camera)])

    async def broken_in_a_form(self) -> None:
        await self._good(
            "a broken photo among others", [*self._photos.small[:2], self._rng.choice(self._photos.broken)]
        )

    async def broken_alone(self) -> None:
        await self._bad("a broken photo alone", 422, _post(self._rng.choice(self._photos.broken), "image/jpeg"))

    async def too_large(self) -> None:
        await self._bad("21 MB", 413, _post(bytes(21 * MB), "image/jpeg"))

    async def no_form(self) -> None:
        await self._bad("not a form", 400, _post(b"x" * 500, "multipart/form-data; boundary=b"))

    async def too_slow(self) -> None:
        await self._bad("one byte now and then", 408, _post(bytes(5000), "image/jpeg"), slow=True)

    async def leaves(self) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(_post(self._photos.small[0], "image/jpeg")[:5000])
        await writer.drain()
        writer.close()
        self._seen.answers["disconnects halfway", 0] += 1

    async def _good(self, kind: str, photos: list[bytes]) -> None:
        start = time.monotonic()
        while True:
            status, headers, body = await self._exchange(_form(photos))
            self._count(kind, status, {200, 429})
            if status != 429:
                break
            await asyncio.sleep(float(headers["retry-after"]))
        if status == 200:
            records = json.loads(body)
            if [record["path"] for record in records] != [f"{n}.jpg" for n in range(len(photos))]:
                self._seen.faults.append(f"{kind}: {len(photos)} photos, but {len(records)} records")
            self._seen.photos += len(records)
            self._seen.seconds.append(time.monotonic() - start)

    async def _bad(self, kind: str, expected: int, request: bytes, *, slow: bool = False) -> None:
        status, headers, body = await self._exchange(request, slow=slow)
        self._count(kind, status, {expected, 429})
        if headers.get("content-type") != "application/problem+json" or json.loads(body)["status"] != status:
            self._seen.faults.append(f"{kind}: {status} is not a problem")

    def _count(self, kind: str, status: int, expected: set[int]) -> None:
        self._seen.answers[kind, status] += 1
        if status not in expected:
            self._seen.faults.append(f"{kind}: {status}")

    async def _exchange(self, request: bytes, *, slow: bool = False) -> tuple[int, dict[str, str], bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            if slow:
                writer.write(request[:300])
                drip = asyncio.ensure_future(_drip(writer))
                try:
                    return await _read_answer(reader)
                finally:
                    drip.cancel()
            writer.write(request)
            await writer.drain()
            return await _read_answer(reader)
        finally:
            writer.close()


async def _drip(writer: asyncio.StreamWriter) -> None:
    while True:
        await asyncio.sleep(0.5)
        writer.write(b"\0")


async def _read_answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
    return int(head[0].split()[1]), headers, await reader.readexactly(int(headers["content-length"]))


def _post(body: bytes, kind: str) -> bytes:
    head = (
        f"POST /v1/predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _form(photos: list[bytes]) -> bytes:
    part = '--limit\r\ncontent-disposition: form-data; name="photo"; filename="{}.jpg"\r\n\r\n'
    body = b"".join(part.format(n).encode() + photo + b"\r\n" for n, photo in enumerate(photos)) + b"--limit--\r\n"
    return _post(body, "multipart/form-data; boundary=limit")


class Sample(NamedTuple):
    """What the server reports at one moment: resident memory in MB and processor time in seconds."""

    memory: float
    processor: float


async def load(port: int, *, clients: int, seconds: float) -> tuple[Seen, list[Sample]]:
    """Run the clients; return their results, and the samples of the server, one per second."""
    photos, seen, samples = Photos.draw(), Seen(), []
    until = time.monotonic() + seconds
    running = asyncio.gather(*(Client(port, photos, seen, seed).run(until) for seed in range(clients)))
    while not running.done():
        samples.append(await asyncio.to_thread(sample, port))
        await asyncio.wait([running], timeout=1)
    await running
    samples.append(await asyncio.to_thread(sample, port))
    return seen, samples


def side_by_side(port: int, bundle: str, *, clients: int, rounds: int) -> list[Round]:
    """Measure rounds of small photos, by the clients and by the bulk path in turns."""
    photos = Photos.draw()
    with TemporaryDirectory() as scratch:
        for n in range(ROUND_PHOTOS):
            (Path(scratch) / f"{n:03}.jpg").write_bytes(photos.small[n % len(photos.small)])
        with bulk_side(bundle, Path(scratch)) as bulk:
            return [Round(cost, bulk(), late) for cost, late in _served(port, photos, clients, rounds)]


def _served(port: int, photos: Photos, clients: int, rounds: int) -> Iterator[tuple[Cost, list[float]]]:
    """Yield the cost of each round for the server, and its latencies."""
    for _ in range(rounds):
        seen, before, start = Seen(), sample(port), time.monotonic()
        asyncio.run(_send_small(port, photos, seen, clients))
        if seen.faults:
            sys.exit(f"small photos alone: {seen.faults[0]}")
        seconds, processor = time.monotonic() - start, sample(port).processor - before.processor
        yield Cost(seen.photos, seconds, processor), seen.seconds


async def _send_small(port: int, photos: Photos, seen: Seen, clients: int) -> None:
    until = time.monotonic() + ROUND_SECONDS
    await asyncio.gather(*(Client(port, photos, seen, n, small=True).run(until) for n in range(clients)))


def sample(port: int) -> Sample:
    """Read memory and processor time of the server from its metrics."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        metrics = dict(line.rsplit(" ", 1) for line in answer.read().decode().splitlines() if line[0] != "#")
    return Sample(float(metrics["process_resident_memory_bytes"]) / MB, float(metrics["process_cpu_seconds_total"]))


def report(seen: Seen, samples: list[Sample], rounds: Sequence[Round], *, clients: int, seconds: float) -> str:
    """Format the measurements as Markdown."""
    took = percentiles(seen.seconds)
    memory, used = [s.memory for s in samples], samples[-1].processor - samples[0].processor
    third = max(1, len(memory) // 3)
    lines = [
        f"{clients} clients on loopback for {seconds:.0f} s, on {_machine()}, which also ran the clients.",
        "",
        "| | |",
        "|---|---|",
        f"| requests | {sum(seen.answers.values()):,} |",
        f"| photos predicted | {seen.photos:,} ({seen.photos / seconds:.0f} per second) |",
        f"| latency of a request for photos | p50 {1000 * took['p50']:.0f} ms, p95 {1000 * took['p95']:.0f} ms, "
        f"longest {1000 * max(seen.seconds):.0f} ms |",
        f"| processor time | {1000 * used / seen.photos:.0f} ms per photo, on {used / seconds:.1f} cores |",
        f"| responses lost, wrong or 5xx | {len(seen.faults)} |",
        f"| memory, median of the first, second and last third | "
        f"{', '.join(f'{statistics.median(part):.0f} MB' for part in _thirds(memory, third))} |",
        "",
        "| kind of request | status | responses |",
        "|---|---|---|",
        *(f"| {kind} | {status or 'none expected'} | {n:,} |" for (kind, status), n in sorted(seen.answers.items())),
        "",
        f"The same clients, each request one photo of 1024 x 768 pixels, in {len(rounds)} rounds of {ROUND_SECONDS} s, "
        "and between them the bulk path on the same photos:",
        "",
        "| side | median of the rounds |",
        "|---|---|",
        *rows(rounds),
    ]
    return "\n".join(lines) + "\n"


def _thirds(values: list[float], third: int) -> list[list[float]]:
    return [values[:third], values[third : 2 * third] or values, values[2 * third :] or values]


def _machine() -> str:
    model = "unknown processor"
    if Path("/proc/cpuinfo").exists():
        found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        model = found[1] if found else platform.machine()
    return f"{os.cpu_count()} cores ({model}, Python {platform.python_version()})"


@in_one_line
def main() -> int:
    """Load-test a server and print or write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=str(released_bundle()))
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", type=Path, metavar="PAGE")
    given = parser.parse_args()
    command = [sys.executable, "-m", "hierpets", "serve", "--model", given.model, "--port", "0"]
    server = subprocess.Popen([*command, "--upload-seconds", str(UPLOAD_SECONDS)], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        found = re.search(r"127\.0\.0\.1:(\d+)", server.stdout.readline())
        if found is None:
            return 1
        port = int(found[1])
        seen, samples = asyncio.run(load(port, clients=given.clients, seconds=given.seconds))
        rounds = side_by_side(port, given.model, clients=given.clients, rounds=given.rounds)
    finally:
        server.terminate()
        server.wait(60)
    text = report(seen, samples, rounds, clients=given.clients, seconds=given.seconds)
    print(text)
    for fault, n in Counter(seen.faults).most_common(20):
        print(f"{n} x {fault}", file=sys.stderr)
    if given.write:
        publish(text, given.write, __file__)
    return 1 if seen.faults else 0


if __name__ == "__main__":
    sys.exit(main())
