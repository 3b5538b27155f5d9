"""The request of a file of predictions, saved beside it so that a run is resumed only with the same request."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

import hierpets
from hierpets.bundle.identity import ModelId
from hierpets.errors import ConfigError, reason_of
from hierpets.inference.options import PredictOptions
from hierpets.inference.predictor import Predictor
from hierpets.recommend.digest import rules_digest
from hierpets.regions.files import BoxFile
from hierpets.registry.loading import Registry
from hierpets.validation.problems import problem_lines
from hierpets.validation.strict import StrictModel

__all__ = ["RunRequest", "RunTotals", "run_file"]


class RunTotals(StrictModel):
    """How many records there are, and how many of them hold an error."""

    photos: int = Field(default=0, description="photos that have their record")
    unreadable: int = Field(default=0, description="photos that could not be read")
    failed_recommendations: int = Field(default=0, description="photos without a shampoo because a rule failed")


class RunRequest(StrictModel):
    """``FILE.run.json``: everything that the records depend on and, once complete, their totals."""

    hierpets: str = Field(default=hierpets.__version__, description="version of hierpets")
    paths: tuple[str, ...] = Field(description="the paths as given")
    model: ModelId = Field(description="the model that makes the predictions")
    registry: str = Field(description="the registry.yaml with the shampoo rules")
    shampoo_rules: str = Field(
        description="first 16 hexadecimal digits of the SHA-256 of these rules, their code and the catalog"
    )
    options: PredictOptions = Field(description="the options of every prediction")
    boxes: str | None = Field(default=None, description="SHA-256 of the file of boxes, if one was given")
    engine: str = Field(description="the engine that runs the network")
    device: str = Field(description="the device that the network runs on")
    precision: str = Field(description="the number format of the network")
    format: str = Field(description="jsonl, csv or parquet")
    result: RunTotals | None = Field(default=None, description="absent until the file is complete")

    @classmethod
    def of(
        cls,
        predictor: Predictor,
        paths: Sequence[str],
        options: PredictOptions,
        *,
        boxes: BoxFile | None = None,
        registry: Registry,
        form: str,
    ) -> RunRequest:
        """The request to a predictor."""
        engine = predictor.engine
        return cls(
            paths=tuple(paths),
            model=predictor.model,
            registry=str(registry.path.resolve()),
            shampoo_rules=rules_digest(registry),
            options=options,
            boxes=boxes.sha256 if boxes else None,
            engine=engine.name,
            device=engine.device,
            precision=engine.precision,
            format=form,
        )

    def text(self, result: RunTotals | None = None) -> str:
        """The content of the file."""
        request = self.model_copy(update={"result": result})
        return request.model_dump_json(indent=2, exclude=None if result else {"result"}) + "\n"

    def check_same(self, before: RunRequest, path: Path) -> None:
        """:raises ConfigError: it differs from ``before``, the request that ``path`` was begun with."""
        now, then = (_flat(request.model_dump(mode="json", exclude={"result"})) for request in (self, before))
        for key in now:
            if then[key] != now[key]:
                was, is_now = json.dumps(then[key]), json.dumps(now[key])
                raise ConfigError(
                    f"{path}: started with {key} {was}, now {is_now}; use the same options, or delete it to start over"
                )

    @classmethod
    def read(cls, target: Path) -> RunRequest:
        """The request beside a file. :raises ConfigError: there is none, or not one of this version."""
        path = run_file(target)
        try:
            return cls.model_validate(json.loads(path.read_text(encoding="utf-8")))
        except ValidationError as error:
            raise ConfigError("\n".join(problem_lines(error, cls, path))) from error
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"{path}: cannot be read, so --resume cannot check the options: {reason_of(error)}; "
                "use --overwrite to start over"
            ) from error


def run_file(target: Path) -> Path:
    """The path of the request of a file of predictions."""
    return target.with_name(target.name + ".run.json")


def _flat(content: dict[str, Any]) -> dict[str, Any]:
    """The content with options at the top level and the model by its digest, as a user would name them."""
    return {**content, "model": content["model"]["digest"], **content["options"], "options": None}
