"""The record of a prediction: JSON, CSV, Parquet, OpenAPI and ``docs/output.md`` derive from this one definition."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from functools import cache
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, Field

from hierpets.bundle.identity import ModelId
from hierpets.bundle.manifest import Origin
from hierpets.hierarchy.decision import Level, Source
from hierpets.plugin.reading import require_pyarrow
from hierpets.recommend.result import RecommendationRecord
from hierpets.regions.boxes import Box
from hierpets.validation.strict import StrictModel, is_model

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "CSV_CELLS",
    "CSV_COLUMNS",
    "AnswerRecord",
    "BreedProbability",
    "LabelProbability",
    "LeafProbability",
    "OODScores",
    "PhotoError",
    "PredictionRecord",
    "RankedLeaf",
    "RegionRecord",
    "ThresholdsRecord",
    "csv_line",
    "csv_row",
    "parquet_row",
    "parquet_schema",
    "printable",
]


class LabelProbability(StrictModel):
    """A species or a breed."""

    label: str = Field(description="the name")
    probability: float = Field(
        ge=0, le=1, description="calibrated; of a breed: that it is right, other breeds than those listed considered"
    )


class BreedProbability(LabelProbability):
    """A breed, and how the model learned it."""

    origin: Origin = Field(
        description="`trained` on photos, `grown` from photos added later, or `pretrained`: known from "
        "pretraining alone"
    )


class LeafProbability(StrictModel):
    """A leaf of the taxonomy: a breed, or a species that has none."""

    species: str = Field(description="the species")
    breed: str | None = Field(description="null for a species without breeds")
    probability: float = Field(ge=0, le=1, description="of this leaf")


class RankedLeaf(LeafProbability):
    """One of the most probable leaves, and how the model learned it."""

    origin: Origin = Field(description="as of a breed")


class ThresholdsRecord(StrictModel):
    """The thresholds of a prediction."""

    alpha: float = Field(description="the target error rate that `probability` is fitted to")
    probability: float = Field(
        description="what the probability of the answer's level must exceed; for a grown breed its own threshold, "
        "where that is higher"
    )
    breed_set: float = Field(description="what the probability of a set of breeds must exceed")
    pet: float | None = Field(
        description="the lowest `pet` score of a pet, less where its breed is sure; null if the bundle has none"
    )


class OODScores(StrictModel):
    """How much the photo is like what the model knows."""

    pet: float = Field(description="an out-of-distribution score: how much it looks like a pet of a known species")
    listed: float = Field(description="the probability that its breed is one of those that the model lists")


class PhotoError(StrictModel):
    """Why a photo could not be read."""

    type: str = Field(description="the class of the error, such as ImageError")
    message: str = Field(description="one line: what is wrong, where, and what to do")


class AnswerRecord(StrictModel):
    """What the model says of a photo, or of one animal in it."""

    level: Level | None = Field(description="the level of the prediction; null if the photo could not be read")
    species: LabelProbability | None = Field(description="the most probable species; null for a photo of no known pet")
    breed: BreedProbability | None = Field(description="the breed; null unless `level` is `breed`")
    breeds: tuple[BreedProbability, ...] = Field(
        description="the breeds that an answer at level `species` leaves open, best first: no single one is sure "
        "enough, but that it is one of them; else empty"
    )
    top: tuple[RankedLeaf, ...] = Field(
        description="the most probable leaves, best first, `--top-k` of them; none without a species; with all others "
        "and with breeds that are not listed, they sum to 1"
    )
    stage: int | None = Field(
        description="number of the network that answered, 0 for the first that is asked; null if the photo could not "
        "be read"
    )
    source: Source | None = Field(description="how the prediction was reached")
    reason: str | None = Field(description="the same in words, with numbers")
    thresholds: ThresholdsRecord = Field(description="the thresholds of this prediction")
    scores: OODScores | None = Field(description="out-of-distribution scores; null if the bundle has none")
    recommendation: RecommendationRecord | None = Field(
        description="the shampoo; null if recommendations are off", json_schema_extra={"x-parquet": "json"}
    )


class _Place(StrictModel):
    box: Box = Field(description="where it is")
    box_score: float | None = Field(
        description="how sure the finder is of the box: what a file says, or the detector; null where neither says it"
    )


class RegionRecord(AnswerRecord, _Place):
    """One animal of a photo, answered as a photo of its own. Every key is always present."""


class _Asked(StrictModel):
    path: str = Field(description="the path as given; `<array>`, `<image>` or `<bytes>` for a photo without one")
    model: ModelId = Field(description="the model that made the prediction")


class PredictionRecord(AnswerRecord, _Asked):
    """The prediction for one photo. Every key is always present."""

    second_look: Box | None = Field(
        description="the part that was looked at again, around an animal that takes little of a photo that left "
        "doubt: the answer is that of both looks; else null"
    )
    regions: tuple[RegionRecord, ...] | None = Field(
        description="the animals in the photo, from left to right, each with an answer of its own; null unless asked "
        "for with `--regions` or `--boxes`"
    )
    warning: str | None = Field(description="what is wrong with a damaged photo that could be read, else null")
    error: PhotoError | None = Field(description="why the photo could not be read, else null")


CSV_CELLS: dict[str, tuple[str, ...]] = {
    "path": ("path",),
    "level": ("level",),
    "species": ("species", "label"),
    "species_probability": ("species", "probability"),
    "breed": ("breed", "label"),
    "breed_probability": ("breed", "probability"),
    "breeds": ("breeds",),
    "regions": ("regions",),
    "source": ("source",),
    "product": ("recommendation", "product"),
    "product_error": ("recommendation", "error"),
    "model": ("model", "digest"),
    "warning": ("warning",),
    "error": ("error", "message"),
}
"""The columns of a CSV file, each with the keys that lead to its value in the record."""
CSV_COLUMNS = tuple(CSV_CELLS)
QUOTE = "'"
FORMULA = ("=", "+", "-", "@", "\t", "\r", QUOTE)
"""Beginnings of texts that a spreadsheet would compute (OWASP, "CSV injection"), or that are quoted already."""


def csv_row(record: Mapping[str, Any]) -> list[Any]:
    """The cells of :data:`CSV_COLUMNS` for a record as JSON, safe to open in a spreadsheet."""
    cells = {name: _inside(record, keys) for name, keys in CSV_CELLS.items()}
    cells["breeds"] = " or ".join(breed["label"] for breed in record["breeds"]) or None
    cells["regions"] = "; ".join(map(_named, record["regions"] or ())) or None
    return [_quoted(cell) for cell in cells.values()]


def csv_text(cell: str) -> str:
    """The original text of a cell that :func:`csv_row` may have quoted."""
    return cell[1:] if cell.startswith(QUOTE) and cell[1:].startswith(FORMULA) else cell


def csv_line(cells: Sequence[Any]) -> str:
    """Cells as a CSV row. A cell with a line break is quoted, so that the row takes several lines."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(
        cells
    )  # line breaks are quoted only if they are part of the terminator
    return f"{line.getvalue()[:-2]}\n"


@cache
def parquet_schema() -> pa.Schema:
    """The Parquet schema of records: nested keys, but ``recommendation`` is JSON text, with ``product`` beside it."""
    pa = require_pyarrow()
    fields = list(_arrow_fields(PredictionRecord, pa))
    fields.insert([field.name for field in fields].index("recommendation") + 1, pa.field("product", pa.string()))
    return pa.schema(fields)


def parquet_row(record: Mapping[str, Any]) -> dict[str, Any]:
    """The row of :func:`parquet_schema` for a record as JSON."""
    error, regions = record["error"], record["regions"]
    return {
        **_with_text_recommendation(record),
        "path": printable(record["path"]),
        "product": _inside(record, ("recommendation", "product")),
        "regions": None if regions is None else [_with_text_recommendation(region) for region in regions],
        "error": {**error, "message": printable(error["message"])} if error else None,
    }


def printable(path: str) -> str:
    """A path as text that every format can hold: bytes that are not valid UTF-8 are written as ``\\udcXX``."""
    return path.encode("utf-8", "backslashreplace").decode()


def _with_text_recommendation(answer: Mapping[str, Any]) -> dict[str, Any]:
    advice = answer["recommendation"]
    return {**answer, "recommendation": json.dumps(advice) if advice else None}


def _named(region: Mapping[str, Any]) -> str:
    """A region in one word: its breed, else its species, else ``unknown``."""
    best = region["breed"] or (region["species"] if region["level"] != "unknown" else None)
    return best["label"] if best else "unknown"


def _quoted(value: Any) -> Any:
    return QUOTE + value if isinstance(value, str) and value.startswith(FORMULA) else value


def _inside(record: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    value: Any = record
    for key in keys:
        value = value[key] if value is not None else None
    return value


def _arrow_fields(model: type[BaseModel], pa: Any) -> list[Any]:
    fields = []
    for name, field in model.model_fields.items():
        extra = field.json_schema_extra
        as_text = isinstance(extra, dict) and extra.get("x-parquet") == "json"
        inner, nullable = _without_none(field.annotation)
        fields.append(pa.field(name, pa.string() if as_text else _arrow_type(inner, pa), nullable=nullable))
    return fields


def _arrow_type(annotation: Any, pa: Any) -> Any:
    if is_model(annotation):
        return pa.struct(_arrow_fields(annotation, pa))
    if get_origin(annotation) is tuple:
        return pa.list_(_arrow_type(get_args(annotation)[0], pa))
    if annotation is str or get_origin(annotation) is Literal:
        return pa.string()
    return {float: pa.float64(), int: pa.int64(), bool: pa.bool_()}[annotation]


def _without_none(annotation: Any) -> tuple[Any, bool]:
    """The annotation without ``None``, and whether it had one."""
    if get_origin(annotation) not in (Union, UnionType):
        return annotation, False
    inner = [part for part in get_args(annotation) if part is not NoneType]
    return inner[0], len(inner) < len(get_args(annotation))
