"""Refuses requests for unknown host names, against DNS rebinding.

A site can point its own name at this machine; the browser then takes the server for a part of that site, and lets the
site read all responses. Such a request is recognized by the site's name in its ``Host`` header. IP addresses are safe:
nobody can point one elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from hierpets.serve.problems import Problem

__all__ = ["HostGuard", "is_allowed"]

HOST = re.compile(r"(?:\[(?P<v6>[^\]]*)\]|(?P<name>[^:]*))(?::\d*)?")
ANY = "*"


class HostGuard:
    """ASGI middleware that refuses requests for other hosts than ``allowed``."""

    def __init__(self, app: ASGIApp, allowed: Collection[str]):
        self._app, self._allowed = app, frozenset(name.lower() for name in allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = Headers(scope=scope).get("host") if scope["type"] == "http" else None
        app = self._app
        if host is not None and not is_allowed(host, self._allowed):  # every browser sends Host
            message = f"the server does not answer to the host {host[:80]!r}; allow it with --allowed-host"
            app = Problem("unknown-host", message).response(scope["path"])
        await app(scope, receive, send)


def is_allowed(host: str, allowed: Collection[str]) -> bool:
    """Whether a ``Host`` header is an IP address or one of the allowed names, given in lower case; ``*`` allows all."""
    parts = HOST.fullmatch(host)
    if parts is None:
        return ANY in allowed
    name = (parts["v6"] or parts["name"] or "").lower()
    return ANY in allowed or name in allowed or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
