"""Measure the size of an installation of hierpets, and how long its first prediction takes (README.md).

python tools/measure/install.py PYTHON...

Each PYTHON belongs to an environment in which hierpets is installed. The size is that of hierpets and its requirements,
including those of the extra `serve` that are installed. The time is that of a process of `hierpets predict` with one
photo, the shortest of three: with an empty cache, and with a cache from an earlier run.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory

ROUNDS = 3
PHOTO = "demo:dog/pug/1"

# Runs in the measured environment, which may have no packages but hierpets and its requirements.
WEIGH = """
import json, re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
waiting, sizes = [("hierpets", "serve")], {}
while waiting:
    name, extra = waiting.pop()
    name = re.sub("[-_.]+", "-", name).lower()
    try:
        found = distribution(name)
    except PackageNotFoundError:
        continue
    if name in sizes:
        continue
    paths = [Path(found.locate_file(file)) for file in found.files or ()]
    sizes[name] = sum(path.stat().st_size for path in paths if path.is_file())
    for need in found.requires or ():
        told = re.search("extra == ['\\"]([^'\\"]+)", need)
        if told is None or told[1] == extra:
            waiting.append((re.match("[A-Za-z0-9._-]+", need)[0], ""))
print(json.dumps(sizes))
"""


def weigh(python: Path) -> dict[str, int]:
    """Return the bytes of each distribution."""
    done = subprocess.run([python, "-c", WEIGH], capture_output=True, text=True, check=True, cwd="/")
    sizes: dict[str, int] = json.loads(done.stdout)
    return sizes


def seconds(python: Path, cache: str) -> float:
    """Return the seconds of a process that predicts one photo."""
    start = time.perf_counter()
    command: list[str | Path] = [python, "-m", "hierpets", "predict", PHOTO]
    subprocess.run(command, capture_output=True, check=True, cwd="/", env={**os.environ, "HIERPETS_CACHE": cache})
    return time.perf_counter() - start


def measure(python: Path) -> str:
    """Measure one environment; return a line of results."""
    sizes, times = weigh(python), []
    seconds(python, os.devnull)  # fills the system's file cache and writes bytecode
    for _ in range(ROUNDS):
        with TemporaryDirectory() as cache:
            times.append((seconds(python, cache), seconds(python, cache)))
    first, second = (min(column) for column in zip(*times, strict=True))
    largest = ", ".join(f"{name} {sizes[name] / 1e6:.0f}" for name in sorted(sizes, key=lambda name: -sizes[name])[:4])
    return (
        f"{python}: {len(sizes)} packages, {sum(sizes.values()) / 1e6:.0f} MB ({largest}); "
        f"first answer after {first:.2f} s, with a cache {second:.2f} s"
    )


def main() -> None:
    """Measure one environment after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pythons", type=Path, nargs="+", metavar="PYTHON", help="the Python of an environment")
    for python in parser.parse_args().pythons:
        print(measure(python.absolute()), flush=True)


if __name__ == "__main__":
    main()
