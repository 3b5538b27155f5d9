"""The routes of the API."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

import hierpets
from hierpets.data.photos import NamedPhoto
from hierpets.errors import DataError
from hierpets.serve.feedback import FeedbackFull
from hierpets.serve.limits.uploads import Upload
from hierpets.serve.metrics import CONTENT_TYPE
from hierpets.serve.problems import CATALOG, Problem
from hierpets.serve.schemas import Capabilities, FeedbackSaved, ModelInfo, ProblemDetails, Record
from hierpets.serve.service import Service

__all__ = ["make_router"]

BINARY = {"type": "string", "format": "binary"}


def _body(form: dict[str, Any], required: list[str], *, raw: bool) -> dict[str, Any]:
    """The description of a request body that the route reads by itself."""
    content: dict[str, Any] = {
        "multipart/form-data": {"schema": {"type": "object", "properties": form, "required": required}}
    }
    if raw:
        content["image/*"] = {"schema": BINARY}
    return {"requestBody": {"required": True, "content": content}}


Responses = dict[int | str, dict[str, Any]]


def _problems(*kinds: str) -> Responses:
    """The problems that a route may answer with, one entry a status."""
    entries: Responses = {}
    for status, title in (CATALOG[kind] for kind in kinds):
        told = entries[status]["description"] + "; or: " if status in entries else ""
        content = {"application/problem+json": {"schema": ProblemDetails.model_json_schema()}}
        entries[status] = {"description": told + title, "content": content}
    return entries


ANSWERS: Responses = {200: {"description": "One record a photo", "model": list[Record]}}
PICTURE: Responses = {200: {"description": "A PNG", "content": {"image/png": {"schema": BINARY}}}}
UPLOAD = _problems("malformed", "too-slow", "too-large", "unsupported-type", "unreadable", "busy", "unavailable")


def make_router(service: Service) -> APIRouter:
    """The routes that answer for ``service``; those that it cannot serve are left out."""
    router = APIRouter()
    _add_predict(router, service)
    _add_model(router, service)
    _add_health(router, service)
    if service.explainer is not None:
        _add_explain(router, service)
    if service.feedback is not None:
        _add_feedback(router, service)
    return router


def _add_predict(router: APIRouter, service: Service) -> None:
    form = {"photo": {"type": "array", "items": BINARY}}

    @router.post(
        "/v1/predict",
        tags=["photos"],
        summary="Tell species and breed of one or many photos",
        responses=ANSWERS | UPLOAD,
        openapi_extra=_body(form, ["photo"], raw=True),
    )
    async def predict(request: Request) -> JSONResponse:
        """Send a multipart form, each file of it a photo, or the bare bytes of one photo as `image/*`.

        The answer is the array that `hierpets predict --format json` gives: one record a photo, in their order. A
        photo of a form that cannot be read has an `error` in its record; a bare one is answered with a problem.
        """
        async with service.uploads.read(request) as upload:
            if not upload.photos:
                raise Problem("invalid", "expected at least one file in the form")
            answers = await service.predict(upload.photos)
        if upload.bare and answers[0].error:
            raise Problem("unreadable", str(answers[0].error))
        return JSONResponse([answer.to_json() for answer in answers])


def _add_explain(router: APIRouter, service: Service) -> None:
    @router.post(
        "/v1/explain",
        tags=["photos"],
        summary="Show where in the photo the model looked",
        response_class=Response,
        responses=PICTURE | UPLOAD | _problems("no-explanation"),
        openapi_extra=_body({"photo": BINARY}, ["photo"], raw=True),
    )
    async def explain(request: Request) -> Response:
        """Grad-CAM of the answer, laid over the photo: a PNG, warm where it counted. It takes a second or so."""
        async with service.uploads.read(request) as upload:
            return Response(await service.explain(_only_photo(upload)), media_type="image/png")


def _add_feedback(router: APIRouter, service: Service) -> None:
    text = {"type": "string", "maxLength": 60}
    form = {"photo": BINARY, "species": text, "breed": text, "consent": {"const": "yes"}}

    @router.post(
        "/v1/feedback",
        tags=["photos"],
        summary="Keep a photo with its right label",
        status_code=201,
        response_model=FeedbackSaved,
        responses=UPLOAD | _problems("cross-origin", "unreadable", "invalid", "feedback-full"),
        openapi_extra=_body(form, ["photo", "species", "consent"], raw=False),
    )
    async def feedback(request: Request) -> FeedbackSaved:
        """The photo is written anew, without EXIF and GPS, to a local folder that `train` and `audit` can read.

        `consent` must be `yes`. Leave `breed` out when it is not known. A label that the model does not know is kept
        as well, as a new one.
        """
        _refuse_other_sites(request)
        async with service.uploads.read(request) as upload:
            if upload.fields.get("consent") != "yes":
                raise Problem("invalid", "consent: expected yes, for without the owner's consent no photo is kept")
            species, breed = (upload.fields.get(key, "") for key in ("species", "breed"))
            try:
                return FeedbackSaved(path=await service.keep(_only_photo(upload), species, breed))
            except DataError as error:
                raise Problem("invalid", str(error)) from None
            except FeedbackFull:
                raise Problem("feedback-full", "no room for another photo") from None


def _add_model(router: APIRouter, service: Service) -> None:
    manifest, engine, settings = service.predictor.manifest, service.predictor.engine, service.settings

    @router.get("/v1/model", tags=["server"], summary="What the model knows, and what the server allows")
    async def model() -> ModelInfo:
        return ModelInfo(
            hierpets_version=hierpets.__version__,
            taxonomy={species: list(breeds) for species, breeds in manifest.taxonomy.tree.items()},
            thresholds={
                name: manifest.policy.thresholds(name, settings.alpha)._asdict() for name in manifest.taxonomy.species
            },
            combiner=manifest.combiner,
            backbone=manifest.backbone.name,
            input_size=manifest.preprocess.size,
            engine=engine.name,
            device=engine.device,
            training=manifest.training,
            capabilities=Capabilities(
                explain=service.explainer is not None,
                feedback=service.feedback is not None,
                recommend=service.predictor.recommends,
            ),
            limits={
                "photo_mb": settings.max_photo_mb,
                "request_mb": settings.max_request_mb,
                "megapixels": settings.max_megapixels,
                "photos": settings.max_photos,
                "upload_seconds": settings.upload_seconds,
            },
        )


def _add_health(router: APIRouter, service: Service) -> None:
    @router.get("/healthz", tags=["server"], summary="Is the process alive", response_class=PlainTextResponse)
    async def healthz() -> str:
        return "ok\n"

    @router.get(
        "/readyz",
        tags=["server"],
        summary="Can it answer photos",
        response_class=PlainTextResponse,
        responses=_problems("unavailable"),
    )
    async def readyz() -> str:
        if not service.batcher.ready:
            raise Problem("unavailable", "the model is not there to answer")
        return "ready\n"

    @router.get("/metrics", tags=["server"], summary="Counters for Prometheus", response_class=PlainTextResponse)
    async def metrics() -> Response:
        return Response(service.metrics.text(), headers={"content-type": CONTENT_TYPE})


def _only_photo(upload: Upload) -> NamedPhoto:
    if len(upload.photos) != 1:
        raise Problem("invalid", f"photo: expected one, got {len(upload.photos)}")
    return upload.photos[0]


def _refuse_other_sites(request: Request) -> None:
    """A form on any web site can post to a server on this machine; a browser then names that site."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise Problem("cross-origin", "feedback is taken from this server's own page alone")
