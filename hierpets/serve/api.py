"""The routes of the API."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import anyio.to_thread
from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response
from pydantic import TypeAdapter

import hierpets
from hierpets.data.photos import NamedPhoto
from hierpets.errors import DataError, ImageError
from hierpets.inference.options import PredictOptions
from hierpets.inference.record import PredictionRecord
from hierpets.messages.catalogue import Language
from hierpets.serve.feedback import FeedbackFull
from hierpets.serve.limits.uploads import Upload
from hierpets.serve.metrics import CONTENT_TYPE
from hierpets.serve.problems import CATALOG, Problem
from hierpets.serve.schemas import Capabilities, FeedbackSaved, ModelInfo, ProblemDetails
from hierpets.serve.service import SHOWN_OPTIONS, Service

__all__ = ["language_headers", "make_router"]

BINARY = {"type": "string", "format": "binary"}
RECORDS = TypeAdapter(list[PredictionRecord])
Responses = dict[int | str, dict[str, Any]]


def _body(form: dict[str, Any], required: list[str], *, raw: bool) -> dict[str, Any]:
    """OpenAPI description of a request body that the route parses itself."""
    content: dict[str, Any] = {
        "multipart/form-data": {"schema": {"type": "object", "properties": form, "required": required}}
    }
    if raw:
        content["image/*"] = {"schema": BINARY}
    return {"requestBody": {"required": True, "content": content}}


def _query(defaults: PredictOptions, names: Collection[str] = tuple(PredictOptions.model_fields)) -> dict[str, Any]:
    """OpenAPI description of the options in the URL, with the defaults of this server."""
    schemas = PredictOptions.model_json_schema()["properties"]
    return {
        "parameters": [
            {
                "name": name,
                "in": "query",
                "description": schemas[name]["description"],
                "schema": schemas[name] | {"default": value},
            }
            for name, value in defaults.model_dump(mode="json", include=set(names)).items()
        ]
    }


def _problems(*kinds: str) -> Responses:
    """OpenAPI description of the problems that a route may respond with, one entry per status."""
    entries: Responses = {}
    for status, title in (CATALOG[kind] for kind in kinds):
        before = entries[status]["description"] + "; or: " if status in entries else ""
        content = {"application/problem+json": {"schema": ProblemDetails.model_json_schema()}}
        entries[status] = {"description": before + title, "content": content}
    return entries


RECORD_LIST: Responses = {200: {"description": "One record per photo", "model": list[PredictionRecord]}}
PICTURE: Responses = {200: {"description": "A PNG", "content": {"image/png": {"schema": BINARY}}}}
EVERYWHERE = _problems("unknown-host", "internal")
UPLOAD = _problems("malformed", "too-slow", "too-large", "unsupported-type", "unreadable", "invalid", "busy")


def make_router(service: Service) -> APIRouter:
    """Make the routes of ``service``, without those for features that it lacks."""
    router = APIRouter(responses=EVERYWHERE)
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
        summary="Predict species and breed of one or more photos",
        responses=RECORD_LIST | UPLOAD | _problems("unavailable"),
        openapi_extra=_body(form, ["photo"], raw=True) | _query(service.settings.options),
    )
    async def predict(request: Request) -> Response:
        """Send a multipart form in which each file is a photo, or the bytes of one photo as `image/*`.

        The response is the array of `hierpets predict --format json`: one record per photo, in the order of the
        photos. In a form, a photo that cannot be read has an `error` in its record; one sent alone is a problem.
        Sentences are in the `language` of the URL, or that of `Accept-Language`; keys and labels never change.
        """
        # In a thread: it looks up names in every language, and the first one with regions loads the detector's graph.
        accepted = request.headers.get("accept-language")
        options = await anyio.to_thread.run_sync(service.read_options, request.query_params, accepted)
        async with service.uploads.read(request) as upload:
            _check_form(upload)
            predictions = await service.predict(upload.photos, options, request.receive)
        if upload.bare and (error := predictions[0].error):
            raise Problem("unreadable" if isinstance(error, ImageError) else "internal", str(error))
        content = RECORDS.dump_json([prediction.record() for prediction in predictions])
        return Response(content, media_type="application/json", headers=language_headers(options.language))


def language_headers(language: Language) -> dict[str, str]:
    """Headers of a response in ``language``, which differs by the request's ``Accept-Language``."""
    return {"content-language": language, "vary": "accept-language"}


def _add_explain(router: APIRouter, service: Service) -> None:
    @router.post(
        "/v1/explain",
        tags=["photos"],
        summary="Show where in a photo the model looked",
        response_class=Response,
        responses=PICTURE | UPLOAD | _problems("no-explanation", "unavailable"),
        openapi_extra=_body({"photo": BINARY}, ["photo"], raw=True) | _query(service.settings.options, SHOWN_OPTIONS),
    )
    async def explain(request: Request) -> Response:
        """The photo as a PNG, at most 1,600 pixels long, with a Grad-CAM heat map over it: the warmer a place, the more
        it counted: for the breed where the prediction with these options names one, else for the species.

        This takes about a second. The header `hierpets-model` holds the digest of the model.
        """
        options = service.read_shown_options(request.query_params)
        async with service.uploads.read(request) as upload:
            _check_form(upload)
            picture = await service.explain(_only_photo(upload), options)
        return Response(picture, media_type="image/png", headers={"hierpets-model": service.predictor.model.digest})


def _add_feedback(router: APIRouter, service: Service) -> None:
    text = {"type": "string", "maxLength": 60}
    form = {"species": text, "breed": text, "consent": {"const": "yes"}, "photo": BINARY}

    @router.post(
        "/v1/feedback",
        tags=["photos"],
        summary="Save a photo with its correct label",
        status_code=201,
        response_model=FeedbackSaved,
        responses=UPLOAD | _problems("cross-origin", "unreadable", "invalid", "invalid-name", "feedback-full"),
        openapi_extra=_body(form, ["photo", "species", "consent"], raw=False),
    )
    async def feedback(request: Request) -> FeedbackSaved:
        """The photo is encoded anew, without EXIF and GPS, in a local folder that `train` and `audit` can read.

        `consent` must be `yes`. Leave `breed` out if it is not known. A label that the model does not know becomes a
        new one, unless it is almost one that is known, or a breed of another species.
        """
        _refuse_other_sites(request)
        async with service.uploads.read(request) as upload:
            for field in upload.fields.keys() - form:  # such as "bread", whose label would be lost
                raise Problem("invalid", f"form field {field!r}: expected one of {', '.join(form)}")
            if upload.fields.get("consent") != "yes":
                raise Problem("invalid", "consent: expected yes; without the owner's consent no photo is saved")
            species, breed = (upload.fields.get(key, "") for key in ("species", "breed"))
            try:
                return FeedbackSaved(path=await service.save_feedback(_only_photo(upload), species, breed))
            except DataError as error:
                raise Problem("invalid-name", str(error)) from None
            except FeedbackFull:
                raise Problem("feedback-full", "no space for another photo") from None


def _add_model(router: APIRouter, service: Service) -> None:
    info = _model_info(service)

    @router.get("/v1/model", tags=["server"], summary="Which model this is, and what the server allows")
    async def model() -> ModelInfo:
        return info


def _model_info(service: Service) -> ModelInfo:
    predictor, settings = service.predictor, service.settings
    manifest, engine, options = predictor.manifest, predictor.engine, settings.options
    return ModelInfo(
        hierpets_version=hierpets.__version__,
        model=predictor.model,
        taxonomy={species: list(breeds) for species, breeds in manifest.taxonomy.tree.items()},
        thresholds={
            name: manifest.policy.thresholds(name, options.alpha, options.max_set)._asdict()
            for name in manifest.taxonomy.species
        },
        combiner=manifest.combiner,
        backbone=manifest.backbone.name,
        input_size=manifest.preprocess.size,
        engine=engine.name,
        device=engine.device,
        precision=engine.precision,
        options=options,
        training=manifest.training,
        capabilities=Capabilities(
            explain=service.explainer is not None,
            feedback=service.feedback is not None,
            regions=predictor.finds_regions,
            recommend=predictor.recommends,
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
    @router.get("/healthz", tags=["server"], summary="Whether the process is alive", response_class=PlainTextResponse)
    async def healthz() -> str:
        return "ok\n"

    @router.get(
        "/readyz",
        tags=["server"],
        summary="Whether the model can predict",
        response_class=PlainTextResponse,
        responses=_problems("unavailable"),
    )
    async def readyz() -> str:
        if not service.batcher.ready:
            raise Problem("unavailable", "the model is not running")
        return "ready\n"

    @router.get("/metrics", tags=["server"], summary="Counters for Prometheus", response_class=PlainTextResponse)
    async def metrics() -> Response:
        return Response(service.metrics.text(), headers={"content-type": CONTENT_TYPE})


def _check_form(upload: Upload) -> None:
    if not upload.photos:
        raise Problem("invalid", "expected at least one file in the form: a part with a `filename`")
    if upload.fields:
        field = next(iter(upload.fields))
        raise Problem(
            "invalid", f"form field {field!r}: expected only photos; pass options in the URL, such as ?alpha=0.01"
        )


def _only_photo(upload: Upload) -> NamedPhoto:
    if len(upload.photos) != 1:
        raise Problem("invalid", f"photo: expected one, got {len(upload.photos)}")
    return upload.photos[0]


def _refuse_other_sites(request: Request) -> None:
    """Refuse requests from other web sites: a form on any site can post to a server on this machine, but the browser
    then sends that site's origin or says that the request is cross-site.
    """
    origin, fetched_from = request.headers.get("origin"), request.headers.get("sec-fetch-site", "none")
    other_origin = origin is not None and origin.partition("://")[2] != request.headers.get("host")
    if other_origin or fetched_from not in ("same-origin", "none"):
        raise Problem("cross-origin", "feedback is accepted only from this server's own page")
