"""Reads and checks ``audit.json``."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from hierpets.auditing.findings import Audit
from hierpets.errors import DataError
from hierpets.evaluation.metrics.reading import read_json
from hierpets.validation.problems import find_problems

__all__ = ["read_audit"]


def read_audit(path: Path) -> Audit:
    """Read an ``audit.json``.

    :raises DataError: it cannot be read, is not JSON, is of another version of hierpets, or does not fit the schema.
    """
    content = read_json(path)
    expected, found = Audit.model_fields["schema_version"].default, content.get("schema_version", "none")
    if found != expected:
        raise DataError(f"{path}: expected schema_version {expected}, found {found}; audit again")
    try:
        return Audit.model_validate(content)
    except ValidationError as error:
        problem = find_problems(error, Audit)[0]
        raise DataError(f"{path}: not an audit of hierpets: {problem}; audit again") from error
