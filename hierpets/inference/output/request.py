"""What a file of predictions was asked for: kept beside it, so that a run goes on only with the same question."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field, ValidationError

import hierpets
from hierpets.errors import ConfigError
from hierpets.inference.options import PredictOptions
from hierpets.inference.predictor import Predictor
from hierpets.model.manifest import ModelId
from hierpets.validation.problems import problem_lines
from hierpets.validation.strict import StrictModel

__all__ = ["RunRequest", "RunTotals", "run_file"]


class RunTotals(NamedTuple):
    """Photos that have their record, how many of them could not be read, and recommendations that failed."""

    photos: int
    unreadable: int
    failed_recommendations: int = 0


class RunRequest(StrictModel):
    """``FILE.run.json``: all that decides the records, and in the end how many there are."""

    hierpets: str = Field(default=hierpets.__version__, description="version of hierpets")
    paths: tuple[str, ...] = Field(description="the paths as they were given")
    model: ModelId = Field(description="which model answers")
    registry: str = Field(description="the registry.yaml that the shampoo rules come from")
    options: PredictOptions = Field(description="the options of every prediction")
    engine: str = Field(description="what runs the network")
    device: str = Field(description="where it runs")
    precision: str = Field(description="what it computes in")
    format: str = Field(description="jsonl, csv or parquet")
    result: RunTotals | None = Field(default=None, description="set when the file is whole")

    @classmethod
    def of(
        cls, predictor: Predictor, paths: Sequence[str], options: PredictOptions, *, registry: Path, form: str
    ) -> RunRequest:
        """What is asked of a predictor."""
        engine = predictor.engine
        return cls(
            paths=tuple(paths),
            model=predictor.model,
            registry=str(registry.resolve()),
            options=options,
            engine=engine.name,
            device=engine.device,
            precision=engine.precision,
            format=form,
        )

    def text(self, result: RunTotals | None = None) -> str:
        """As the file holds it."""
        content = self.model_dump(mode="json", exclude={"result"})
        return json.dumps(content | ({"result": result._asdict()} if result else {}), indent=2) + "\n"

    def check_same(self, before: RunRequest, path: Path) -> None:
        """:raises ConfigError: naming what differs from ``before``, which ``path`` was begun with."""
        now, then = (_flat(request.model_dump(mode="json", exclude={"result"})) for request in (self, before))
        for key in now:
            if then[key] != now[key]:
                was, is_now = json.dumps(then[key]), json.dumps(now[key])
                raise ConfigError(
                    f"{path}: begun with {key} {was}, now {is_now}; use the same options, or delete it to start over"
                )

    @classmethod
    def read(cls, target: Path) -> RunRequest:
        """The request beside a file. :raises ConfigError: there is none, or not one of this version."""
        path = run_file(target)
        try:
            return cls.model_validate(_from_json(path.read_text(encoding="utf-8")))
        except ValidationError as error:
            raise ConfigError("\n".join(problem_lines(error, cls, path))) from error
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"{path}: cannot be read, so --resume cannot tell what was asked before: {error}"
            ) from error


def run_file(target: Path) -> Path:
    """Where the request of a file of predictions lies."""
    return target.with_name(target.name + ".run.json")


def _from_json(text: str) -> Any:
    content = json.loads(text)
    if isinstance(content, dict) and isinstance(content.get("result"), dict):
        content["result"] = tuple(content["result"].values())
    return content


def _flat(content: dict[str, Any]) -> dict[str, Any]:
    """Options beside the other keys, the model by its digest: what a user would call them."""
    return {**content, "model": content["model"]["digest"], **content["options"], "options": None}
