"""Reads what is uploaded, into memory alone, within bytes and seconds."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import anyio
from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from hierpets.inference.predictor import Photo
from hierpets.serve.problems import Problem
from hierpets.serve.settings import MB, ServeSettings

__all__ = ["Upload", "UploadReader"]

MAX_NAME = 120
MAX_FIELDS = 16
DRAIN_SECONDS = 5.0
DRAIN_FACTOR = 4
CLOSE = {"connection": "close"}


@dataclass(frozen=True)
class Upload:
    """The photos of a request, in order, and its other fields."""

    photos: list[Photo]
    fields: dict[str, str] = field(default_factory=dict)


class InMemoryParser(MultiPartParser):
    """Starlette's parser, which would write a part above 1 MB to a file; the length of the body is bounded here."""

    spool_max_size = 2**62


class UploadReader:
    """Reads bodies. All that are being answered share one budget of bytes, so memory stays bounded."""

    def __init__(self, settings: ServeSettings):
        self._settings = settings
        self._budget = Budget(int(settings.max_uploads_mb * MB))

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[Upload]:
        """The upload of a request: a multipart form, or the bare bytes of one photo. Its bytes count until the end.

        :raises Problem: too large, too slow, too many, malformed, or of a type that is not read.
        """
        taken = Account(self._budget)
        try:
            try:
                with anyio.fail_after(self._settings.upload_seconds):
                    upload = await self._parse(request, taken)
            except TimeoutError:
                limit = self._settings.upload_seconds
                raise Problem("too-slow", f"the upload was not whole after {limit:g} s", headers=CLOSE) from None
            yield upload
        finally:
            taken.give_back()

    async def _parse(self, request: Request, taken: Account) -> Upload:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "multipart/form-data":
            return await self._parse_form(request, taken)
        if kind.startswith("image/") or kind == "application/octet-stream":
            limit = self._settings.max_photo_mb
            body = b"".join([chunk async for chunk in self._chunks(request, taken, limit)])
            return Upload([Photo("photo-1", body)])
        raise Problem(
            "unsupported-type",
            f"expected multipart/form-data or a photo as image/*, got {kind[:80] or 'no Content-Type'}",
            headers={"accept-post": "multipart/form-data, image/*"} | CLOSE,
        )

    async def _parse_form(self, request: Request, taken: Account) -> Upload:
        limits = self._settings
        chunks = self._chunks(request, taken, limits.max_request_mb)
        parser = InMemoryParser(request.headers, chunks, max_files=limits.max_photos, max_fields=MAX_FIELDS)
        try:
            form = await parser.parse()
        except MultiPartException as error:
            await _drain(request)
            if error.message.startswith("Too many files"):
                raise Problem("too-large", f"more than {limits.max_photos} photos in one request") from error
            raise Problem("malformed", f"the form cannot be read: {error.message}") from error
        items = form.multi_items()
        files = [value for _, value in items if isinstance(value, UploadFile)]
        photos = [Photo(_spoken_name(f.filename, n), await f.read()) for n, f in enumerate(files, 1)]
        await form.close()
        return Upload(photos, {key: value for key, value in items if isinstance(value, str)})

    async def _chunks(self, request: Request, taken: Account, limit_mb: float) -> AsyncGenerator[bytes, None]:
        limit, seen = int(limit_mb * MB), 0
        declared = request.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > limit:
            # A client that asks before it sends, or would send for ever, is told at once; another first sends in vain.
            if "expect" not in request.headers and int(declared) <= DRAIN_FACTOR * limit:
                await _drain(request)
            raise _too_large(int(declared), limit)
        async for chunk in request.stream():
            seen += len(chunk)
            if seen > limit:
                await _drain(request)
                raise _too_large(seen, limit)
            if not taken.take(len(chunk)):
                await _drain(request)
                raise Problem("busy", "too many uploads at once", headers={"retry-after": "1"} | CLOSE)
            yield chunk


@dataclass
class Budget:
    """Bytes that may still be taken, by all requests together."""

    free: int


class Account:
    """What one request holds of the budget."""

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


async def _drain(request: Request) -> None:
    """Read on for a while and forget it: a client still sending when the connection closes may never see the answer."""
    with anyio.move_on_after(DRAIN_SECONDS):
        while (message := await request.receive())["type"] == "http.request" and message.get("more_body"):
            pass


def _too_large(size: int, limit: int) -> Problem:
    told = f"{size / MB:.1f} MB, more than the limit of {limit / MB:.1f} MB"
    return Problem("too-large", told, headers=CLOSE, max_bytes=limit)


def _spoken_name(filename: str | None, number: int) -> str:
    """A file's own name, without folders and control characters, for the answer to go by."""
    name = PurePosixPath((filename or "").replace("\\", "/")).name
    return re.sub(r"[\x00-\x1f\x7f]", "", name)[:MAX_NAME] or f"photo-{number}"
