"""Write the reference pages of docs that are generated from the code, one subcommand a page.

python tools/reference.py output
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from hierpets.files import write_text  # noqa: E402
from tools.reference_output import output_page  # noqa: E402

DOCS = ROOT / "docs"

PAGES: dict[str, Callable[[], str]] = {"output": output_page}


def main() -> None:
    """Write the pages that are named, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="*", choices=[*PAGES, []], metavar="PAGE", help=f"one of {', '.join(PAGES)}")
    for page in parser.parse_args().pages or PAGES:
        write_text(DOCS / f"{page}.md", PAGES[page]())


if __name__ == "__main__":
    main()
