"""Errors as problem details (RFC 9457): one catalog, one exception, one response."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

__all__ = ["CATALOG", "Problem", "install_handlers", "problem_response", "stopping"]

# kind -> (status, title). The type of a problem is /docs#KIND, where the page of the API explains it.
CATALOG: dict[str, tuple[int, str]] = {
    "malformed": (400, "The request cannot be parsed"),
    "cross-origin": (403, "Feedback from another website is not accepted"),
    "too-slow": (408, "The upload took too long"),
    "too-large": (413, "The upload is too large"),
    "unsupported-type": (415, "The content type is not supported"),
    "unknown-host": (421, "The server is not called by this name"),
    "unreadable": (422, "The photo cannot be read"),
    "invalid": (422, "A field or an option is missing or wrong"),
    "invalid-name": (
        422,
        "A name has up to 60 letters, digits, spaces, hyphens and apostrophes, is not reserved or misspelled, "
        "and is of the species",
    ),
    "busy": (429, "The server is busy"),
    "internal": (500, "Internal server error"),
    "no-explanation": (501, "This model cannot show where it looked"),
    "unavailable": (503, "The server is unavailable"),
    "feedback-full": (507, "The feedback folder is full"),
}


class Problem(Exception):
    """Ends a request with the problem ``kind`` of the catalog. ``more`` are further members of the object."""

    def __init__(self, kind: str, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any):
        super().__init__(detail)
        self.kind, self.detail, self.headers, self.more = kind, detail, dict(headers or {}), more
        self.status, self.title = CATALOG[kind]

    def response(self, path: str) -> JSONResponse:
        """The response to a request for ``path``."""
        body = {"type": f"/docs#{self.kind}", "title": self.title, "status": self.status, "detail": self.detail}
        return problem_response(body | {"instance": path} | self.more, self.headers)


def stopping(**headers: str) -> Problem:
    """The problem of a server that is stopping; ``headers`` are added to ``Retry-After``."""
    return Problem("unavailable", "the server is stopping", headers={"retry-after": "5", **headers})


def problem_response(body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Make a response with the status that its body states."""
    return JSONResponse(body, body["status"], dict(headers or {}), media_type="application/problem+json")


def install_handlers(app: FastAPI) -> None:
    """Turn every HTTP error and :class:`Problem` that the app raises into a problem response."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(HTTPException, _on_http)


async def _on_problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)
    return error.response(request.url.path)


async def _on_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    path, phrase = request.url.path, HTTPStatus(error.status_code).phrase
    detail = {404: f"nothing at {path}", 405: f"{request.method} is not allowed at {path}"}
    body = {"type": "about:blank", "title": phrase, "status": error.status_code, "instance": path}
    return problem_response(body | {"detail": detail.get(error.status_code, str(error.detail))}, error.headers)
