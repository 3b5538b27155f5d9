"""Ten thousand damaged files through ``hierpets predict`` and ``hierpets serve``, whole processes with a memory.

``HIERPETS_DAMAGED`` says how many. ``pytest -m slow -s`` prints what was measured.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
from fuzz.damaged_files import DAMAGES, FILES, damage, intact, whole_file

from hierpets.data.photos import read_photo
from hierpets.errors import ImageError

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(sys.platform != "linux", reason="system: needs /proc"),
]

COUNT = int(os.environ.get("HIERPETS_DAMAGED", "10000"))
SIDE = 320  # pixels: such a photo is reduced before the network sees it
CRAFTED = {"containers swapped", "bomb", "hidden frame", "doubled tags"}
GIGABYTE = 2**30


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("damaged")
    for number in range(COUNT):
        name, how = named(number)
        data = damage(np.random.default_rng(number), name, how, SIDE)
        (folder / f"{number:05}.jpg").write_bytes(data)
    return folder


def named(number: int) -> tuple[str, str]:
    """Format and damage of a file."""
    return FILES[number % len(FILES)], tuple(DAMAGES)[number // len(FILES) % len(DAMAGES)]


@contextmanager
def peak_memory(process: subprocess.Popen[str]) -> Iterator[list[int]]:
    """The largest resident memory of a process in bytes, looked at ten times a second."""
    seen, stop = [0], threading.Event()

    def watch() -> None:
        while not stop.wait(0.1):
            status = Path(f"/proc/{process.pid}/status")
            found = re.search(r"VmHWM:\s+(\d+)", status.read_text()) if status.exists() else None
            seen[0] = max(seen[0], int(found[1]) * 1024 if found else 0)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        stop.set()
        watcher.join()


def test_predict_gives_a_record_for_each_in_little_memory(folder):
    command = [sys.executable, "-m", "hierpets", "predict", str(folder), "--format", "jsonl"]
    begun = time.monotonic()
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process,
        peak_memory(process) as peak,
    ):
        out, told = process.communicate()
    seconds = time.monotonic() - begun
    records = [json.loads(line) for line in out.splitlines()]
    counts = Counter("error" if r["error"] else "warning" if r["warning"] else r["level"] for r in records)
    silent, broken = silently_broken(folder, records)
    print(f"\n{len(records)} records in {seconds:.0f} s, {dict(counts)}, peak {peak[0] / 2**20:.0f} MB")
    print(f"half of the picture missing: {broken}, silent {sum(silent.values())}: {silent.most_common()}")
    assert [Path(record["path"]).name for record in records] == [f"{n:05}.jpg" for n in range(COUNT)]
    assert {record["error"]["type"] for record in records if record["error"]} == {"ImageError"}
    assert "Traceback" not in told
    assert not re.search("libpng|libjpeg|Corrupt|TIFF", told)
    assert peak[0] < GIGABYTE
    assert sum(silent.values()) <= 0.01 * broken


def silently_broken(folder: Path, records: list[dict]) -> tuple[Counter, int]:
    """Photos answered without a word of which less than half is left, by format and damage; how many are broken."""
    wholes = {name: read_photo(whole_file(name, SIDE)) for name in FILES}
    silent, broken = Counter(), 0
    for number, record in enumerate(records):
        name, how = named(number)
        if how in CRAFTED:
            continue
        try:
            photo = read_photo((folder / f"{number:05}.jpg").read_bytes(), warn=lambda line: None)
        except ImageError:
            broken += 1
            continue
        if intact(photo, wholes[name]) < 0.5:
            broken += 1
            if not record["error"] and not record["warning"]:
                silent[name, how] += 1
    return silent, broken


def test_server_answers_each_in_little_memory(folder):
    command = [sys.executable, "-m", "hierpets", "serve", "--port", "0"]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process,
        peak_memory(process) as peak,
    ):
        try:
            url = re.search(r"http://\S+?(?=,)", process.stdout.readline())[0]
            begun, answers = time.monotonic(), send_all(url, sorted(folder.iterdir()))
            seconds = time.monotonic() - begun
        finally:
            process.terminate()
            _, told = process.communicate()
    print(f"\n{sum(answers.values())} answers in {seconds:.0f} s, {dict(answers)}, peak {peak[0] / 2**20:.0f} MB")
    assert set(answers) <= {200, 422}
    assert sum(answers.values()) == COUNT
    assert "Traceback" not in told
    assert peak[0] < GIGABYTE


def send_all(url: str, files: list[Path]) -> Counter:
    """The statuses of one request a file, four at a time."""
    with httpx.Client(base_url=url, timeout=60) as client, ThreadPoolExecutor(4) as pool:

        def send(file: Path) -> int:
            return client.post(
                "/v1/predict", content=file.read_bytes(), headers={"content-type": "image/jpeg"}
            ).status_code

        return Counter(pool.map(send, files))
