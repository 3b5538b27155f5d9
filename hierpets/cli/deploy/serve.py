"""``hierpets serve``."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from hierpets.cli.options import engine_options, model_option, registry_option
from hierpets.errors import ConfigError
from hierpets.inference.engines.base import EngineOptions

__all__ = ["command"]

LOOPBACK = ("127.0.0.1", "::1", "localhost")


@click.command("serve")
@model_option
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on; 0.0.0.0 for all.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes a free one.")
@engine_options
@click.option("--feedback", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Keep feedback here.")
@click.option("--feedback-mb", type=float, help="Size at which that folder is full.")
@click.option("--alpha", type=float, help="Accepted share of wrong answers; that of the bundle when left out.")
@click.option("--top-k", type=int, help="Candidates in each answer.")
@click.option("--max-photo-mb", type=float, help="Size of one photo.")
@click.option("--max-megapixels", type=float, help="Pixels of one photo.")
@click.option("--max-photos", type=int, help="Photos in one request.")
@click.option("--queue", type=int, help="Photos that may wait before others are told to come again.")
@click.option("--upload-seconds", type=float, help="Time for one upload.")
@click.option("--batch-size", type=int, help="Photos that the model answers at once.")
@click.option("--batch-wait-ms", type=float, help="Time that a photo waits for others.")
@registry_option
def command(
    model: Path | None,
    host: str,
    port: int,
    engine: EngineOptions,
    registry: Path | None,
    **options: Any,
) -> None:
    """Serve a bundle: a page to drop photos on, and an HTTP API.

    Only this machine can reach it unless --host says otherwise. Limits that are not given are those of docs/serve.md.
    """
    try:
        from hierpets.serve.app import create_app
        from hierpets.serve.run import bind, make_server
    except ModuleNotFoundError as error:
        raise ConfigError(f"serve needs its extra: pip install 'hierpets[serve]' (no module {error.name!r})") from None
    from hierpets.inference.loading import load
    from hierpets.model.layout import released_bundle
    from hierpets.registry.loading import load_registry
    from hierpets.serve.explaining import lazy_explainer
    from hierpets.serve.limits.memory import limit_malloc_arenas
    from hierpets.serve.settings import make_settings

    limit_malloc_arenas()
    settings = make_settings(options)
    plugins = load_registry(registry)
    predictor = load(model, **asdict(engine), registry=plugins)
    app = create_app(predictor, settings, explainer=lazy_explainer(model or released_bundle(), plugins))
    with bind(host, port) as listening:
        url = f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"
        server = make_server(app, stop_seconds=settings.stop_seconds, on_start=lambda: _tell(url, host))
        with suppress(KeyboardInterrupt):  # how a server is stopped, and no failure
            server.run(sockets=[listening])


def _tell(url: str, host: str) -> None:
    click.echo(f"serving on {url}, the API on {url}/docs; Ctrl-C stops")
    if host not in LOOPBACK:
        click.echo("anyone who can reach this address can use it: there is no password and no TLS here", err=True)
