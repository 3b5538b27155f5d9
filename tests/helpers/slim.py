"""Python that sees the libraries of requirements/predict.txt alone, as a slim installation would."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, distributions, requires
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "requirements" / "predict.txt"

MODULES = (".py", ".so", ".pyd")

HIDING = """
import sys
from importlib.machinery import PathFinder
HIDDEN = set({hidden!r})

class Finder(PathFinder):
    @staticmethod
    def find_spec(name, path=None, target=None):
        return None if name.partition(".")[0] in HIDDEN else PathFinder.find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Finder
sys.argv = ["hierpets", *sys.argv[1:]]
from hierpets.cli import main
main()
"""


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def installed_by(lines: list[str]) -> set[str]:
    """The distributions that these requirements bring, with those that they require themselves."""
    found: set[str] = set()
    waiting = [Requirement(line) for line in lines]
    while waiting:
        need = waiting.pop()
        name = canonical(need.name)
        if name not in found and (need.marker is None or need.marker.evaluate({"extra": ""})):
            found.add(name)
            try:
                waiting += map(Requirement, requires(name) or ())
            except PackageNotFoundError:  # of another platform
                found.discard(name)
    return found


def kept_distributions() -> set[str]:
    """What is there where only requirements/predict.txt was installed."""
    lines = [line for line in REQUIREMENTS.read_text().splitlines() if line and not line.startswith("#")]
    return installed_by(lines) | {"hierpets"}


@cache
def owners() -> dict[str, set[str]]:
    """The distributions that hold each module: ``packages_distributions`` of Python 3.10 knows half of them."""
    found: dict[str, set[str]] = {}
    for distribution in distributions():
        name = canonical(distribution.metadata["Name"])  # read anew each time
        modules = {file.parts[0].partition(".")[0] for file in distribution.files or () if file.suffix in MODULES}
        for module in modules:
            found.setdefault(module, set()).add(name)
    return found


@cache
def hidden_modules() -> list[str]:
    """What can be imported here, and not there."""
    kept = kept_distributions()
    return sorted(name for name, found in owners().items() if name.isidentifier() and not kept & found)


def command(*arguments: str) -> list[str]:
    """``hierpets ARGUMENTS`` in a slim installation."""
    return [sys.executable, "-c", HIDING.format(hidden=hidden_modules()), *arguments]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The same, run to its end."""
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False, cwd=ROOT)
