"""Reads uploads into memory, never to disk, within limits of size and time."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import anyio
from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from hierpets.data.photos import NamedPhoto, too_large
from hierpets.serve.problems import Problem
from hierpets.serve.settings import MB, ServeSettings

__all__ = ["Upload", "UploadReader"]

MAX_NAME = 120
MAX_FIELDS = 16
DRAIN_SECONDS = 5.0
MAX_DRAIN = 512 * MB
CLOSE = {"connection": "close"}
# No form uses the other codecs of Python, and some could take minutes: punycode decodes in quadratic time.
CHARSETS = frozenset({"utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "latin-1", "windows-1252", "cp1252"})


@dataclass(frozen=True)
class Upload:
    """The photos of a request, in order, and its other fields. ``bare`` means that the body was a photo, not a form."""

    photos: list[NamedPhoto]
    fields: dict[str, str] = field(default_factory=dict)
    bare: bool = False


class InMemoryParser(MultiPartParser):
    """Starlette's parser, but without writing parts above 1 MB to files: :class:`Body` limits the size already."""

    spool_max_size = 2**62
    is_complete = False
    """Whether the last boundary has been read; the parser drops a part that is cut off before it."""

    def on_end(self) -> None:
        """Called at the last boundary."""
        super().on_end()
        self.is_complete = True


class UploadReader:
    """Reads bodies. All requests in progress share one budget of bytes, so memory stays bounded."""

    def __init__(self, settings: ServeSettings):
        self._settings = settings
        self._budget = Budget(int(settings.max_uploads_mb * MB))

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[Upload]:
        """Read the upload of a request: a multipart form, or the bare bytes of one photo. Its bytes count against the
        budget until the context ends.

        :raises Problem: the upload is too large, too slow, malformed or of an unsupported type, or has too many photos
            or a field twice; or too many uploads are in progress.
        """
        account = Account(self._budget)
        try:
            yield await self._read_in_time(request, account)
        finally:
            account.give_back()

    async def _read_in_time(self, request: Request, account: Account) -> Upload:
        body, seconds = Body(request, account), self._settings.upload_seconds
        try:
            with anyio.fail_after(seconds):
                return await self._read(request, body)
        except TimeoutError:
            raise Problem("too-slow", f"the upload was not complete after {seconds:g} s", headers=CLOSE) from None
        except Problem as problem:
            problem.__traceback__ = problem.__context__ = problem.__cause__ = None  # their frames hold the bytes read
            refused = problem
        account.give_back()  # before draining, so that other uploads are not refused meanwhile
        await body.drain()
        raise refused

    async def _read(self, request: Request, body: Body) -> Upload:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "multipart/form-data":
            return await self._read_form(request, body)
        if kind.startswith("image/") or kind == "application/octet-stream":
            limit = int(self._settings.max_photo_mb * MB)
            photo = b"".join([chunk async for chunk in body.chunks(limit)])
            return Upload([NamedPhoto("photo-1", photo)], bare=True)
        raise Problem(
            "unsupported-type",
            f"expected multipart/form-data or a photo as image/*, got {kind[:80] or 'no Content-Type'}",
            headers={"accept-post": "multipart/form-data, image/*"} | CLOSE,
        )

    async def _read_form(self, request: Request, body: Body) -> Upload:
        limits = self._settings
        _check_charset(request.headers["content-type"])
        chunks = body.chunks(int(limits.max_request_mb * MB))
        parser = InMemoryParser(request.headers, chunks, max_files=limits.max_photos, max_fields=MAX_FIELDS)
        try:
            form = await parser.parse()
        except MultiPartException as error:
            if error.message.startswith("Too many files"):
                message = f"more than {limits.max_photos} photos in one request"
                raise Problem("too-large", message, headers=CLOSE) from error
            raise Problem("malformed", f"the form cannot be parsed: {error.message}", headers=CLOSE) from error
        if not parser.is_complete:
            await form.close()
            raise Problem("malformed", "the form cannot be parsed: it ends before its last boundary", headers=CLOSE)
        items = form.multi_items()
        files = [value for _, value in items if isinstance(value, UploadFile)]
        photos = [NamedPhoto(_safe_name(f.filename, n), await f.read()) for n, f in enumerate(files, 1)]
        await form.close()
        return Upload(photos, _one_of_each((key, value) for key, value in items if isinstance(value, str)))


class Body:
    """The body of a request as it comes in."""

    def __init__(self, request: Request, account: Account):
        self._receive, self._account = request.receive, account
        declared = request.headers.get("content-length", "")
        self._declared = int(declared) if declared.isdigit() else 0
        # With "Expect: 100-continue", the client sends its body only once it is read: until then, nothing to drain.
        self._waits_for_consent = "expect" in request.headers
        self._more = True

    async def chunks(self, limit: int) -> AsyncGenerator[bytes, None]:
        """Yield the body in chunks, charged to the account.

        :raises Problem: it has more than ``limit`` bytes, or the budget is used up.
        """
        if self._declared > limit:
            raise _too_large(self._declared, limit)
        self._waits_for_consent, seen = False, 0
        while self._more:
            chunk = await self._next()
            seen += len(chunk)
            if seen > limit:
                raise _too_large(seen, limit)
            if not self._account.take(len(chunk)):
                raise Problem("busy", "too many uploads in progress", headers={"retry-after": "1"} | CLOSE)
            yield chunk

    async def drain(self) -> None:
        """Read and discard the rest for a while: some clients read the response only after sending everything."""
        if not self._waits_for_consent and self._declared <= MAX_DRAIN:
            with anyio.move_on_after(DRAIN_SECONDS), suppress(ClientDisconnect):
                while self._more:
                    await self._next()

    async def _next(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._more = False
            raise ClientDisconnect
        self._more = message.get("more_body", False)
        return message.get("body", b"")


@dataclass
class Budget:
    """The number of bytes that all requests together may still take."""

    free: int


class Account:
    """The part of the budget that one request holds."""

    def __init__(self, budget: Budget):
        self._budget, self._held = budget, 0

    def take(self, count: int) -> bool:
        if count > self._budget.free:
            return False
        self._budget.free -= count
        self._held += count
        return True

    def give_back(self) -> None:
        self._budget.free += self._held
        self._held = 0


def _too_large(size: int, limit: int) -> Problem:
    return Problem("too-large", too_large(size, limit), headers=CLOSE, max_bytes=limit)


def _check_charset(content_type: str) -> None:
    charset = parse_options_header(content_type)[1].get(b"charset", b"utf-8").decode("latin-1")
    if charset.lower() not in CHARSETS:
        message = f"the form cannot be parsed: expected charset UTF-8, got {charset[:40]!r}; leave it out for UTF-8"
        raise Problem("malformed", message, headers=CLOSE)


def _one_of_each(items: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the fields as a dict.

    :raises Problem: a field is given twice, so that one value would be lost.
    """
    fields: dict[str, str] = {}
    for name, value in items:
        if name in fields:
            raise Problem("invalid", f"form field {name!r}: expected one value, got several")
        fields[name] = value
    return fields


def _safe_name(filename: str | None, number: int) -> str:
    """Return a file's name without folders and control characters, to be the path in its record."""
    name = PurePosixPath((filename or "").replace("\\", "/")).name
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", "", name)[:MAX_NAME] or f"photo-{number}"
