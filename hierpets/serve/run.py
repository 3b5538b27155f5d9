"""Runs an app under uvicorn: its socket, time limits for slow clients, and a clean shutdown."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from types import FrameType

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.flow_control import CLOSE_HEADER
from uvicorn.protocols.http.h11_impl import H11Protocol

from hierpets.errors import ConfigError, reason_of
from hierpets.serve.limits.connections import connection_limit
from hierpets.serve.settings import MB

__all__ = ["bind", "make_server"]

HEADER_SECONDS = 10.0
UNREAD_SECONDS = 60.0
BACKLOG = 64
"""Connections that may wait to be accepted; as many are accepted at a time, before any of them is counted."""
READ_SECONDS = 60.0
"""Time limit for a client to read up to a megabyte of a response: what a slow mobile network needs."""


class PatientProtocol(H11Protocol):
    """Closes the connections of slow clients, where uvicorn would wait forever: those that do not send the headers of a
    request in time, do not send the rest of a body that was answered before it was read, or do not read the response.
    Connections beyond the limit are closed at once.
    """

    _allowed: float | None = None
    _send_timer: asyncio.TimerHandle | None = None
    _read_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > connection_limit():
            transport.abort()
        else:
            self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def shutdown(self) -> None:
        """Finish the open request, as uvicorn does, and say in its response that the connection ends: a client that
        does not know sends its next request into a closed connection.
        """
        super().shutdown()
        if self.cycle is not None:
            # As if the client had asked for it.
            self.cycle.scope["headers"] = [*self.cycle.scope["headers"], CLOSE_HEADER]

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._send_timer, self._read_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        unread = self.transport.get_write_buffer_size()
        self._read_timer = self.loop.call_later(READ_SECONDS * max(1, unread / MB), self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._read_timer is not None:
            self._read_timer.cancel()
            self._read_timer = None

    def _watch(self) -> None:
        allowed = self._seconds_allowed()
        if allowed == self._allowed:
            return  # still in the same state: further bytes do not restart the timer
        if self._send_timer is not None:
            self._send_timer.cancel()
        self._allowed = allowed
        self._send_timer = None if allowed is None else self.loop.call_later(allowed, self.transport.close)

    def _seconds_allowed(self) -> float | None:
        """Time limit for what the client is sending now; None while the app reads it, which has its own limit."""
        if self.conn.their_state is h11.IDLE:
            return HEADER_SECONDS
        unread = self.conn.their_state is h11.SEND_BODY and self.conn.our_state is h11.DONE
        return UNREAD_SECONDS if unread else None


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 picks a free port.

    :raises ConfigError: the port is in use, or the address is not one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, OverflowError, TypeError, ValueError) as error:  # the last two for impossible host names
        reason = reason_of(error).partition(" (while attempting")[0]  # the rest repeats the address
        raise ConfigError(
            f"cannot listen on {host} port {port}: {reason}; choose another with --host or --port"
        ) from None


def make_server(
    app: ASGIApp,
    *,
    stop_seconds: int,
    on_start: Callable[[], None] = lambda: None,
    on_stop: Callable[[], None] = lambda: None,
) -> uvicorn.Server:
    """Make a server: ``server.run(sockets=[...])`` serves an app until SIGINT or SIGTERM, then finishes open requests.

    It waits for them at most ``stop_seconds``, or until a second signal. ``on_start`` is called when the server
    listens, ``on_stop`` when it no longer waits for requests.
    """
    # It logs a warning for every malformed form, of which any client can send thousands.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    config = uvicorn.Config(
        app,
        http=PatientProtocol,
        ws="none",
        lifespan="on",
        log_level="error",
        access_log=False,
        server_header=False,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=stop_seconds,
        backlog=BACKLOG,
        h11_max_incomplete_event_size=64 * 1024,
    )
    return Server(config, on_start, on_stop)


class Server(uvicorn.Server):
    """Calls ``on_start`` when it listens, and ``on_stop`` on shutdown: after :meth:`run`, SIGTERM ends the process."""

    def __init__(self, config: uvicorn.Config, on_start: Callable[[], None], on_stop: Callable[[], None]):
        super().__init__(config)
        self._on_start, self._on_stop = on_start, on_stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        if self.force_exit:  # then uvicorn skips the lifespan's shutdown, and running threads would end in a crash
            for task in self.server_state.tasks:
                task.cancel()
            await self.lifespan.shutdown()
        self._on_stop()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit:  # a second signal, which uvicorn would raise again during its own shutdown
            self.force_exit = True
        else:
            super().handle_exit(sig, frame)
