"""The result of an evaluation: metrics, a summary in words, and the predictions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path

from hierpets.evaluation.metrics.schema import Metrics
from hierpets.evaluation.predictions import OODPredictions, Predictions
from hierpets.evaluation.report.headline import Headline, headline
from hierpets.inference.prediction import Prediction
from hierpets.text import counted, percent

__all__ = ["Evaluation"]


@dataclass(frozen=True, repr=False, eq=False)
class Evaluation:
    """The result of :func:`hierpets.evaluate`.

    ``metrics`` is the content of ``metrics.json`` (``docs/metrics.md``). ``predictions`` are those of the readable
    photos, with their labels; ``ood`` those of the out-of-distribution photos, if given. ``unreadable`` has a
    prediction with an ``error`` for each photo that could not be read. ``report`` is the path of the report, if
    written.
    """

    metrics: Metrics
    predictions: Predictions
    ood: OODPredictions | None = None
    unreadable: tuple[Prediction, ...] = ()
    report: Path | None = None

    @cached_property
    def headline(self) -> Headline:
        """The metrics summarized in words: a verdict, strengths, weaknesses, caveats."""
        return headline(self.metrics)

    def __repr__(self) -> str:
        scores = ", ".join(f"{name} {percent(level.accuracy)}" for name, level in self.metrics.by_level.items())
        model = f" of {self.metrics.model}" if self.metrics.model else ""
        return f"<Evaluation{model}: {counted(self.metrics.n, 'photo')}, accuracy: {scores}>"

    def _repr_html_(self) -> str:
        """The headline, for notebooks."""
        headline = self.headline
        lists = {"Strengths": headline.strengths, "Weaknesses": headline.weaknesses, "Caveats": headline.caveats}
        parts = [f"<p><b>{escape(headline.verdict)}</b></p>"]
        for title, sentences in lists.items():
            if sentences:
                items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
                parts.append(f"<div>{title}</div><ul>{items}</ul>")
        if self.report:
            parts.append(f"<p><code>{escape(str(self.report))}</code></p>")
        return f'<div style="max-width:48em">{"".join(parts)}</div>'
