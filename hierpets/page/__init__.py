"""The page that shows answers: served beside the API, or exported to answer by itself."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

__all__ = ["ASSETS", "POLICY", "render_index"]

FOLDER = Path(__file__).parent
ASSETS = FOLDER / "static"
"""Style, icon and scripts, as static files. ``backend.js`` asks the server; an exported page brings one of its own."""

POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; connect-src 'self'; "
    "img-src 'self' blob:; style-src 'self'; base-uri 'none'; form-action 'none'"
)
"""What an exported page may load and reach: the folder that it came from, and nothing else."""


def render_index(*, served: bool) -> str:
    """The page, beside an API or without one; its assets are to lie in ``static/`` beside it."""
    environment = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined)
    return environment.get_template("index.html.j2").render(served=served, policy=POLICY)
