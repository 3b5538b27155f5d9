"""``hierpets serve``."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from hierpets.cli.options import engine_options, model_option, registry_option, setting_options
from hierpets.cli.output import keep_output
from hierpets.inference.engines.base import EngineOptions
from hierpets.inference.options import PredictOptions
from hierpets.serve.settings import ServeSettings, make_settings

__all__ = ["command"]

LOOPBACK = ("127.0.0.1", "::1", "localhost")
DEFAULTS = ("alpha", "top_k", "max_level", "max_set")  # options of predictions whose defaults the server sets
SETTINGS = tuple(name for name in ServeSettings.model_fields if name not in ("options", "allowed_host"))


def _address(_context: click.Context, _option: click.Parameter, given: str) -> str:
    """An address to listen on, without the brackets that an IPv6 address has in a URL."""
    address = given.removeprefix("[").removesuffix("]")
    if not address:
        raise click.BadParameter("expected an address, such as 0.0.0.0 for all interfaces, got an empty text")
    return address


@click.command("serve")
@model_option
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    callback=_address,
    help="Address to listen on; 0.0.0.0 for all interfaces.",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="Port; 0 for any free one."
)
@click.option(
    "--allowed-host",
    multiple=True,
    metavar="NAME",
    help="Host name that requests may ask for, beside IP addresses; * for all. Always allowed: localhost and --host.",
)
@setting_options(PredictOptions, *DEFAULTS)
@setting_options(ServeSettings, *SETTINGS)
@engine_options
@registry_option
def command(
    model: Path | None,
    host: str,
    port: int,
    allowed_host: tuple[str, ...],
    engine: EngineOptions,
    registry: Path | None,
    **given: Any,
) -> None:
    """Serve a bundle: a page to drop photos on, and an HTTP API.

    Only this machine can reach the server unless --host says otherwise. It has no password and no TLS.
    """
    output = keep_output()  # whoever starts it reads the address from its first line, and may read no more
    options = PredictOptions.of(None, {name: given.pop(name) for name in DEFAULTS})
    settings = make_settings({"options": options, "allowed_host": ("localhost", host, *allowed_host), **given})
    from hierpets.bundle.layout import released_bundle
    from hierpets.bundle.manifest import read_manifest
    from hierpets.inference.loading import load
    from hierpets.registry.loading import load_registry
    from hierpets.serve.app import create_app
    from hierpets.serve.explaining import lazy_explainer
    from hierpets.serve.feedback import check_folder
    from hierpets.serve.limits.connections import raise_file_limit
    from hierpets.serve.limits.memory import limit_malloc_arenas
    from hierpets.serve.run import bind, make_server
    from hierpets.workers import cores

    bundle = model or released_bundle()
    read_manifest(bundle)
    if settings.feedback is not None:
        check_folder(settings.feedback)
    with bind(host, port) as listening:
        limit_malloc_arenas()
        raise_file_limit()
        plugins = load_registry(registry)
        predictor = load(bundle, **asdict(engine), workers=cores(), together=False, registry=plugins)
        explainer = lazy_explainer(bundle, plugins)
        app = create_app(predictor, settings, explainer=explainer)
        url = f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"

        def announce() -> None:
            with suppress(OSError):  # a service may have no standard output
                click.echo(f"serving on {url}, the API on {url}/docs; press Ctrl-C to stop", file=output)
            run = predictor.engine
            click.echo(f"model {predictor.model}, {run.name} {run.precision} on {run.device}", err=True)
            if host not in LOOPBACK:
                click.echo(
                    "warning: no password and no TLS; anyone who can reach this address can use the server", err=True
                )

        def conclude() -> None:
            if explainer is not None:
                explainer.stop()
            click.echo("stopped", err=True)

        server = make_server(app, stop_seconds=settings.stop_seconds, on_start=announce, on_stop=conclude)
        with suppress(KeyboardInterrupt):  # the usual way to stop a server
            server.run(sockets=[listening])
