"""An evaluation on disk: ``metrics.json``, ``predictions.jsonl``, ``report.html`` and ``figures/``."""

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
"""What the folder of an evaluation holds."""
MISTAKES = 12  # in the gallery, at most


def write_evaluation(
    out: Path,
    predictions: Predictions,
    metrics: Metrics,
    *,
    photos: Photos | None = None,
    overlay: Overlay | None = None,
) -> None:
    """Write everything of one evaluation into the folder ``out``, all of it or nothing.

    ``metrics`` is what ``evaluate_predictions`` gave for these predictions. ``photos`` loads the photo of a path for
    the gallery of the worst mistakes, ``overlay`` shows what spoke for the wrong leaf; without them their places
    are left out.
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
        stale.unlink()  # of the evaluation that was here before, of other classes
