"""Reads and checks the ``metrics.json`` of an evaluation or of a training run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hierpets.errors import DataError, reason_of
from hierpets.evaluation.metrics.schema import Metrics
from hierpets.validation.problems import find_problems

__all__ = ["parse_metrics", "read_json", "read_metrics", "read_run_metrics"]


def read_metrics(path: Path) -> Metrics:
    """Read the ``metrics.json`` of one evaluation.

    :raises DataError: it cannot be read, is not JSON, or does not fit the schema.
    """
    return parse_metrics(read_json(path), path)


def read_run_metrics(path: Path) -> dict[str, Metrics]:
    """Read the ``metrics.json`` of a training run: metrics by how their photos were held out, such as ``validation``.

    :raises DataError: it cannot be read, is not JSON, does not fit the schema, or belongs to an evaluation.
    """
    content = read_json(path)
    if "schema_version" in content:
        raise DataError(
            f"{path}: expected the metrics of a training run, found those of an evaluation; train again, and "
            f"evaluate with --out {path.parent / 'evaluation'}"
        )
    return {name: parse_metrics(metrics, f"{path}: {name}") for name, metrics in content.items()}


def parse_metrics(content: Any, where: object) -> Metrics:
    """Parse the metrics of one evaluation from JSON values.

    :raises DataError: they do not fit the schema; the message names the first problem.
    """
    try:
        return Metrics.model_validate(content)
    except ValidationError as error:
        raise DataError(f"{where}: not the metrics of an evaluation: {find_problems(error, Metrics)[0]}") from error


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file that contains an object.

    :raises DataError: it cannot be read, is not JSON, or contains something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {reason_of(error)}") from error
    except ValueError as error:
        raise DataError(f"{path}: not JSON: {error}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected keys and values, got {type(content).__name__}")
    return content
