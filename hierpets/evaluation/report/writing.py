"""Writes an evaluation: ``metrics.json``, ``predictions.jsonl``, ``report.html`` and ``figures/``."""

from __future__ import annotations

from pathlib import Path

from hierpets.evaluation.metrics.compute import metrics_json
from hierpets.evaluation.metrics.schema import METRICS_FILE, Metrics
from hierpets.evaluation.predictions import Predictions
from hierpets.evaluation.records import RECORDS_FILE, records_of
from hierpets.evaluation.report.gallery import Overlay, Photos, worst_mistakes
from hierpets.evaluation.report.page import figure_sections, render_report
from hierpets.files import write_all

__all__ = ["EVALUATION", "REPORT_FILE", "write_evaluation"]

REPORT_FILE = "report.html"
EVALUATION = (METRICS_FILE, RECORDS_FILE, REPORT_FILE, "figures")
"""Names of the files and folders in the folder of an evaluation."""
MISTAKES = 12  # maximum number in the gallery


def write_evaluation(
    out: Path,
    predictions: Predictions,
    metrics: Metrics,
    *,
    photos: Photos | None = None,
    overlay: Overlay | None = None,
) -> None:
    """Write all files of an evaluation into the folder ``out``, or none if that fails.

    ``metrics`` are those that ``evaluate_predictions`` computed from the predictions. ``photos`` reads photos for the
    gallery of the worst mistakes, ``overlay`` shows the evidence for the wrong leaf; without them, the gallery has no
    such pictures.
    """
    worst = worst_mistakes(predictions, count=MISTAKES, photos=photos, overlay=overlay)
    sections = figure_sections(metrics)
    lines = [record.model_dump_json() + "\n" for record in records_of(predictions)]
    drawings = [drawing for drawn in sections.values() for drawing in drawn]
    contents: dict[str, str | bytes] = {f"figures/{drawing.name}.png": drawing.png for drawing in drawings}
    contents |= {
        RECORDS_FILE: "".join(lines),
        REPORT_FILE: render_report(metrics, sections, worst),
        METRICS_FILE: metrics_json(metrics),
    }
    write_all(out, contents)
    for stale in set((out / "figures").glob("*.png")) - {out / name for name in contents}:
        stale.unlink()  # left from an earlier evaluation with other classes
