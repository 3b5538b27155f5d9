"""The result of a training."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from hierpets.bundle.manifest import Selection
from hierpets.evaluation.metrics.schema import Metrics
from hierpets.inference.loading import load
from hierpets.inference.predictor import Predictor
from hierpets.text import percent
from hierpets.training.measurement import accuracies

__all__ = ["TrainResult"]


@dataclass(frozen=True)
class TrainResult:
    """The result of a training: a ``bundle`` in the folder of the ``run``, and its metrics.

    ``metrics`` holds the metrics of ``docs/metrics.md`` by how photos were held out (``"cross_validation"``,
    ``"validation"``); ``summary`` describes the model in one line, ``selection`` how recipe ``auto`` chose it.
    """

    bundle: Path
    run: Path
    summary: str
    metrics: dict[str, Metrics] = field(repr=False)
    registry: Path | None = field(default=None, repr=False)
    selection: Selection | None = field(default=None, repr=False)

    def predictor(self, **options: Any) -> Predictor:
        """Load the bundle, ready to predict; ``options`` are those of :func:`hierpets.load`."""
        return load(self.bundle, **{"registry": self.registry, **options})

    def _repr_html_(self) -> str:
        """Show in notebooks what was trained, and how accurate it is."""
        rows = (
            f"<li>{escape(name.replace('_', ' '))}: "
            + ", ".join(f"{level} {percent(score)}" for level, score in accuracies(part).items() if score is not None)
            + "</li>"
            for name, part in self.metrics.items()
        )
        chosen = f"<p>{escape(str(self.selection))}</p>" if self.selection else ""
        return f"<b>{escape(self.summary)}</b>{chosen}<ul>{''.join(rows)}</ul><code>{escape(str(self.bundle))}</code>"
