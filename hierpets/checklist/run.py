"""Judge a run folder by the checklist, after measuring what is missing if asked to."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hierpets.bundle.identity import ModelId
from hierpets.checklist.evidence import RunEvidence
from hierpets.checklist.items import judge_run
from hierpets.checklist.measured import MEASURED_FILE
from hierpets.checklist.verdict import Item
from hierpets.files import write_file
from hierpets.progress import Progress, no_progress
from hierpets.registry.loading import Registry, load_registry
from hierpets.validation.arguments import checked

__all__ = ["Checklist", "check_run"]


@dataclass(frozen=True)
class Checklist:
    """The judged items of a run folder, and the model in it."""

    run: Path
    model: ModelId
    items: tuple[Item, ...]

    @property
    def failed(self) -> bool:
        """Whether any item failed."""
        return any(item.status == "fail" for item in self.items)

    def to_json(self) -> dict[str, Any]:
        """The checklist as JSON values."""
        items = [item.to_json() for item in self.items]
        return {"run": str(self.run), "model": self.model.model_dump(), "items": items}


@checked
def check_run(
    folder: str | os.PathLike[str],
    *,
    measure: bool = False,
    registry: Registry | str | os.PathLike[str] | None = None,
    progress: Progress = no_progress,
) -> Checklist:
    """Check a run as one should before trusting its model; ``docs/checklist.md`` explains each question.

    With ``measure``, first measure what the files do not say and write it to ``RUN/measured.json``.

    :raises ConfigError: no run there.
    :raises DataError: its metrics or its audit are damaged.
    :raises BundleError: no bundle in it.
    """
    run = RunEvidence.read(Path(folder))
    if measure:
        from hierpets.checklist.measure import measure_run

        found = measure_run(run, load_registry(registry or run.config.registry), progress=progress)
        write_file(run.folder / MEASURED_FILE, found.model_dump_json(indent=2) + "\n")
        run = replace(run, measured=found)
    return Checklist(run.folder, run.model, tuple(judge_run(run)))
