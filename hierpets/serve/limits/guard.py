"""The outermost middleware: security headers on every response, no traceback in any, and metrics of each."""

from __future__ import annotations

import asyncio
import logging
import re
import time

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hierpets.serve.metrics import ServerMetrics
from hierpets.serve.problems import Problem, stopping

__all__ = ["SECURITY_HEADERS", "Guard"]

log = logging.getLogger("hierpets.serve")

CLIENT_CLOSED = 499  # nginx's status for a client that disconnected
ABSOLUTE = re.compile(r"https?://(?P<host>[^/]*)(?P<path>/.*)?", re.IGNORECASE | re.DOTALL)
METHODS = frozenset(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])

SECURITY_HEADERS = {
    # Only the page's own files and pictures that its script holds in memory: nothing inline, nothing from other hosts.
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=(), payment=(), usb=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_HEADERS = [(name.encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]


class Guard:
    """ASGI middleware around the whole app."""

    def __init__(self, app: ASGIApp, metrics: ServerMetrics):
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        scope = _in_origin_form(scope)
        start, status = time.perf_counter(), 0
        # HEAD is routed as GET, as routes have no HEAD; the server leaves out the body (RFC 9110, 9.3.2).
        asked = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope

        async def guarded_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *_HEADERS, _cache_control(scope["path"])]
            await send(message)

        try:
            await self._app(asked, receive, guarded_send)
        except ClientDisconnect:
            status = status or CLIENT_CLOSED
        except asyncio.CancelledError:  # the server is stopping and no longer waits
            if status:
                raise
            problem = stopping(connection="close")
            await problem.response(scope["path"])(scope, receive, guarded_send)
        except Exception:
            # Only the log gets the traceback.
            log.exception("%s %s failed", scope["method"], scope["path"])
            if status:  # half a response has been sent: end the connection
                raise
            problem = Problem("internal", "see the server's log", headers={"connection": "close"})
            await problem.response(scope["path"])(scope, receive, guarded_send)
        finally:
            method = scope["method"] if scope["method"] in METHODS else "other"
            seconds = time.perf_counter() - start
            self._metrics.count_request(method, _route(asked), status=status or 500, seconds=seconds)


def _in_origin_form(scope: Scope) -> Scope:
    """Rewrite a request for an absolute URL as one for its path at the URL's host (RFC 9112, 3.2.2)."""
    url = ABSOLUTE.fullmatch(scope["path"])
    if url is None:
        return scope
    path, headers = url["path"] or "/", [header for header in scope["headers"] if header[0] != b"host"]
    return {**scope, "path": path, "raw_path": path.encode(), "headers": [*headers, (b"host", url["host"].encode())]}


def _cache_control(path: str) -> tuple[bytes, bytes]:
    """Cache-Control of a path: browsers must revalidate files (and get a 304), and not store responses of the API."""
    return b"cache-control", b"no-store" if path.startswith("/v1/") else b"no-cache"


def _route(scope: Scope) -> str:
    """The route's pattern, never the path itself, whose many values could fill the memory with labels."""
    return getattr(scope.get("route"), "path", "other")
