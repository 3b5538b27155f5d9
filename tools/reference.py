"""Write the files that are generated from the code: the given ones, or all.

python tools/reference.py [api] [cli] [metrics] [output] [predict] [settings]

`predict` is requirements/predict.txt, the others are pages of docs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from hierpets.files import write_file  # noqa: E402
from tools.pages.api import api_page  # noqa: E402
from tools.pages.cli import cli_page  # noqa: E402
from tools.pages.metrics import metrics_page  # noqa: E402
from tools.pages.output import output_page  # noqa: E402
from tools.pages.predict import requirements_page  # noqa: E402
from tools.pages.settings import settings_page  # noqa: E402

PAGES: dict[str, Callable[[], str]] = {
    "api": api_page,
    "cli": cli_page,
    "metrics": metrics_page,
    "output": output_page,
    "predict": requirements_page,
    "settings": settings_page,
}


def path_of(name: str) -> Path:
    """Return the path of a file by its name."""
    return ROOT / ("requirements/predict.txt" if name == "predict" else f"docs/{name}.md")


def main() -> None:
    """Write the given files, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="name of a file; default: all")
    names = parser.parse_args().names
    if unknown := [name for name in names if name not in PAGES]:
        parser.error(f"unknown name {', '.join(unknown)}; known: {', '.join(PAGES)}")
    for name in names or PAGES:
        write_file(path_of(name), PAGES[name]())


if __name__ == "__main__":
    main()
