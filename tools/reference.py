"""Write the reference pages of docs that are generated from the code, one subcommand a page.

python tools/reference.py settings
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from hierpets.config import TrainConfig
from hierpets.files import write_text
from hierpets.validation.reference import field_table

DOCS = Path(__file__).resolve().parents[1] / "docs"

SETTINGS = """# Settings of training

Written by `python tools/reference.py settings` from the code, where each setting has its description.

`hierpets train --config FILE` reads them as YAML, `--set KEY=VALUE` sets one, and
`hierpets.train(data, KEY=VALUE)` does so in Python; a key with dots is a key inside a group. Every run writes all of
them to `RUN/config.yaml`.

"""


def settings_page() -> str:
    """``docs/settings.md``."""
    return SETTINGS + field_table(TrainConfig, defaults=True)


PAGES: dict[str, Callable[[], str]] = {"settings": settings_page}


def main() -> None:
    """Write the pages that are named, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="*", choices=[*PAGES, []], metavar="PAGE", help=f"one of {', '.join(PAGES)}")
    for page in parser.parse_args().pages or PAGES:
        write_text(DOCS / f"{page}.md", PAGES[page]())


if __name__ == "__main__":
    main()
