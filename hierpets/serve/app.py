"""The application: API and web page around one model, behind their middleware."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio.to_thread
from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, HTMLResponse
from starlette.staticfiles import StaticFiles

import hierpets
from hierpets.inference.predictor import Predictor
from hierpets.messages.catalogue import choose_language
from hierpets.page import ASSETS, render_page
from hierpets.serve.api import language_headers, make_router
from hierpets.serve.limits.guard import Guard
from hierpets.serve.limits.hosts import HostGuard
from hierpets.serve.problems import install_handlers
from hierpets.serve.service import Explainer, Service
from hierpets.serve.settings import ServeSettings

__all__ = ["create_app"]

ABOUT = "Species and breed of a pet from a photo, with calibrated probabilities and a safe shampoo."


def create_app(
    predictor: Predictor, settings: ServeSettings | None = None, *, explainer: Explainer | None = None
) -> FastAPI:
    """Create an ASGI app around a loaded bundle. The model runs until shutdown, which finishes open requests first.

    ``explainer`` adds ``/v1/explain``; ``settings.feedback`` adds ``/v1/feedback``.

    :raises ConfigError: the feedback folder cannot be used.
    :raises HierpetsError: the model fails on a blank photo.
    """
    service = Service(predictor, settings or ServeSettings(), explainer)
    service.warm_up()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await anyio.to_thread.run_sync(service.batcher.close)

    app = FastAPI(
        title="hierpets",
        version=hierpets.__version__,
        description=ABOUT,
        lifespan=lifespan,
        # FastAPI's own pages load scripts from another host; /docs is our own page.
        docs_url=None,
        redoc_url=None,
        # A redirect states scheme, host and path as this server sees them, which lead astray behind a proxy.
        redirect_slashes=False,
    )
    app.add_middleware(HostGuard, allowed=service.settings.allowed_host)
    app.add_middleware(Guard, metrics=service.metrics)
    install_handlers(app)
    app.include_router(make_router(service))
    _add_pages(app)
    return app


def _add_pages(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    async def index(request: Request) -> HTMLResponse:
        asked = request.query_params.get("language") or request.headers.get("accept-language", "")
        language = choose_language(asked)
        return HTMLResponse(render_page(language, served=True), headers=language_headers(language))

    @app.get("/docs", include_in_schema=False)
    async def docs() -> FileResponse:
        return FileResponse(ASSETS / "docs.html")

    app.mount("/static", StaticFiles(directory=ASSETS), name="static")
