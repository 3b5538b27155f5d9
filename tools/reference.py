"""Write the reference pages of docs that are generated from the code, one subcommand a page.

python tools/reference.py [PAGE ...]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from hierpets.config import TrainConfig  # noqa: E402
from hierpets.files import write_text  # noqa: E402
from hierpets.validation.reference import field_table  # noqa: E402
from tools.reference_api import api_page  # noqa: E402
from tools.reference_output import output_page  # noqa: E402

DOCS = ROOT / "docs"

SETTINGS = """# Settings of training

Generated from the code by `python tools/reference.py settings`.

`hierpets train --config FILE` reads them as YAML, `--set KEY=VALUE` sets one, and
`hierpets.train(data, KEY=VALUE)` does so in Python; a key with dots is a key inside a group. Every run writes all of
them to `RUN/config.yaml`.

"""


def settings_page() -> str:
    """``docs/settings.md``."""
    return SETTINGS + field_table(TrainConfig, defaults=True)


PAGES: dict[str, Callable[[], str]] = {"api": api_page, "output": output_page, "settings": settings_page}


def main() -> None:
    """Write the pages that are named, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="*", choices=[*PAGES, []], metavar="PAGE", help=f"one of {', '.join(PAGES)}")
    for page in parser.parse_args().pages or PAGES:
        write_text(DOCS / f"{page}.md", PAGES[page]())


if __name__ == "__main__":
    main()
