"""Errors as problem details (RFC 9457): one catalog, one exception, one response."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

__all__ = ["CATALOG", "Problem", "install_handlers", "problem_response"]

# kind -> (status, title). The type of a problem is /docs#KIND, where the page of the API explains it.
CATALOG: dict[str, tuple[int, str]] = {
    "malformed": (400, "The request cannot be understood"),
    "cross-origin": (403, "Another web site may not do this"),
    "too-slow": (408, "The upload took too long"),
    "too-large": (413, "The upload is too large"),
    "unsupported-type": (415, "This is not a type of upload that is read here"),
    "unreadable": (422, "The photo cannot be read"),
    "invalid": (422, "A field is missing or wrong"),
    "busy": (429, "Too much to do at the moment"),
    "internal": (500, "Something went wrong in the server"),
    "no-explanation": (501, "This model cannot show where it looked"),
    "unavailable": (503, "The server cannot answer now"),
    "feedback-full": (507, "The folder for feedback is full"),
}


class Problem(Exception):
    """Ends a request with the problem ``kind`` of the catalog. ``more`` are further members of the object."""

    def __init__(self, kind: str, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any):
        super().__init__(detail)
        self.kind, self.detail, self.headers, self.more = kind, detail, dict(headers or {}), more
        self.status, self.title = CATALOG[kind]

    def response(self, path: str) -> JSONResponse:
        body = {"type": f"/docs#{self.kind}", "title": self.title, "status": self.status, "detail": self.detail}
        return problem_response(body | {"instance": path} | self.more, self.headers)


def problem_response(body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse(body, body["status"], dict(headers or {}), media_type="application/problem+json")


def install_handlers(app: FastAPI) -> None:
    """Every error that the app raises becomes a problem."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_invalid)


async def _on_problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)
    return error.response(request.url.path)


async def _on_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    path, phrase = request.url.path, HTTPStatus(error.status_code).phrase
    detail = {404: f"nothing is found at {path}", 405: f"{request.method} is not answered at {path}"}
    body = {"type": "about:blank", "title": phrase, "status": error.status_code, "instance": path}
    return problem_response(body | {"detail": detail.get(error.status_code, str(error.detail))}, error.headers)


async def _on_invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    told = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
    return Problem("invalid", told).response(request.url.path)
