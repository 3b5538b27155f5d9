"""Runs an app under uvicorn: the socket, the limits for slow clients, the stop."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from types import FrameType

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from hierpets.errors import ConfigError, reason_of
from hierpets.serve.limits.connections import connection_limit
from hierpets.serve.settings import MB

__all__ = ["bind", "make_server"]

HEADER_SECONDS = 10.0
UNREAD_SECONDS = 60.0
BACKLOG = 64
"""Connections that wait to be taken; as many are taken at a time, before any of them is counted."""
READ_SECONDS = 60.0
"""To read a megabyte of a response, or what is less: as long as it takes over a slow mobile network."""


class PatientProtocol(H11Protocol):
    """Closes a connection that does not send its request's headers in time, or the rest of a body that was answered
    before it was read, or does not read the response in time; uvicorn would wait forever. One beyond the limit of
    connections is closed at once.
    """

    _allowed: float | None = None
    _sent_due: asyncio.TimerHandle | None = None
    _read_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > connection_limit():
            transport.abort()
        else:
            self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._sent_due, self._read_due):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        unread = self.transport.get_write_buffer_size()
        self._read_due = self.loop.call_later(READ_SECONDS * max(1, unread / MB), self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._read_due is not None:
            self._read_due.cancel()
            self._read_due = None

    def _watch(self) -> None:
        allowed = self._seconds_allowed()
        if allowed == self._allowed:
            return  # a byte more wins no time
        if self._sent_due is not None:
            self._sent_due.cancel()
        self._allowed = allowed
        self._sent_due = None if allowed is None else self.loop.call_later(allowed, self.transport.close)

    def _seconds_allowed(self) -> float | None:
        """For what the client is sending now; None where the app, which reads it, has a limit of its own."""
        if self.conn.their_state is h11.IDLE:
            return HEADER_SECONDS
        unread = self.conn.their_state is h11.SEND_BODY and self.conn.our_state is h11.DONE
        return UNREAD_SECONDS if unread else None


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one.

    :raises ConfigError: the port is in use, or the address is not one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, OverflowError, TypeError, ValueError) as error:  # the last two: a name that no host can have
        reason = reason_of(error).partition(" (while attempting")[0]  # which names the address once more
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
    """A server for an app: ``server.run(sockets=[...])`` serves until SIGINT or SIGTERM and finishes open requests.

    ``stop_seconds`` bounds the wait for them, and a second signal ends it. ``on_start`` is called when the server
    listens, ``on_stop`` when it waits for no request any more.
    """
    # They log a warning for every malformed form or request, which any client can send by the thousand.
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
    """Calls ``on_start`` when it listens and ``on_stop`` at its end: after :meth:`run`, SIGTERM ends the process."""

    def __init__(self, config: uvicorn.Config, on_start: Callable[[], None], on_stop: Callable[[], None]):
        super().__init__(config)
        self._on_start, self._on_stop = on_start, on_stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        if self.force_exit:  # then uvicorn leaves out the rest, whose threads would end in a crash
            for task in self.server_state.tasks:
                task.cancel()
            await self.lifespan.shutdown()
        self._on_stop()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit:  # a second signal, which uvicorn would raise again, in the midst of its own end
            self.force_exit = True
        else:
            super().handle_exit(sig, frame)
