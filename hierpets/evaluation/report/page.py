"""``report.html``: one self-contained page that shows how good a model is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import jinja2
from pydantic import BaseModel

from hierpets.evaluation.metrics.promise import promised_share
from hierpets.evaluation.metrics.schema import (
    ClassScores,
    LevelMetrics,
    MajorityClass,
    Metrics,
    OODScoreMetrics,
    SelectiveLevel,
)
from hierpets.evaluation.report import figures
from hierpets.evaluation.report.confusion import breed_confusions, species_confusion
from hierpets.evaluation.report.drawing import Drawing
from hierpets.evaluation.report.gallery import Mistake
from hierpets.evaluation.report.headline import headline
from hierpets.evaluation.report.stress import stress_figure
from hierpets.text import percent, pretty

__all__ = ["figure_sections", "page_environment", "render_report"]


def figure_sections(metrics: Metrics) -> dict[str, tuple[Drawing, ...]]:
    """Draw all figures, by the section of the page that shows them."""
    levels, breed, tree = metrics.by_level, metrics.breed, metrics.taxonomy
    curves = [figures.curves(level, name, kind) for name, level in levels.items() for kind in ("roc", "pr")]
    return {
        "confusions": (species_confusion(metrics), *(breed_confusions(breed, tree) if breed else ())),
        "breeds": tuple(figures.breed_bars(breed, tree)) if breed else (),
        "trust": (
            *(figures.reliability_diagram(level, name) for name, level in levels.items()),
            figures.risk_coverage_curve(metrics.selective),
            figures.answer_levels(metrics.selective),
        ),
        "stress": (stress_figure(metrics.stress),) if metrics.stress else (),
        "curves": tuple(drawing for drawing in curves if drawing),
    }


def render_report(metrics: Metrics, sections: Mapping[str, tuple[Drawing, ...]], mistakes: list[Mistake]) -> str:
    """Render the page. Names of classes and photos are escaped; the page's policy forbids scripts and any request."""
    environment = page_environment()
    environment.filters |= {"percent": percent, "pretty": pretty, "number": _number, "interval": _interval}
    environment.filters["promised"] = promised_share
    return environment.get_template("report.html.j2").render(
        m=metrics,
        headline=headline(metrics),
        sections=sections,
        mistakes=mistakes,
        glance=list(_glance(metrics)),
        levels=_levels(metrics),
        terms={term: model.model_fields[field].description for term, model, field in _TERMS},
    )


def page_environment(*packages: str) -> jinja2.Environment:
    """Make an environment with the templates of ``packages`` and those of the report, which define the common style."""
    folders = [jinja2.PackageLoader(package) for package in (*packages, "hierpets.evaluation.report")]
    return jinja2.Environment(
        loader=jinja2.ChoiceLoader(folders),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _interval(bounds: Sequence[float]) -> str:
    """Format an interval of shares in percent: "95.3 – 97.8"."""
    return " – ".join(f"{100 * bound:.1f}" for bound in bounds)


def _levels(metrics: Metrics) -> dict[str, LevelMetrics]:
    given = {"breed given true species": metrics.breed_given_species} if metrics.breed_given_species else {}
    return metrics.by_level | given


class _Row(NamedTuple):
    """A row of the table: its name, the field of :class:`LevelMetrics`, and whether to show it in percent."""

    name: str
    field: str
    is_share: bool


# Accuracy is last, since it hides too much to be read first.
_ROWS = (
    _Row("macro recall", "macro_recall", True),
    _Row("macro precision", "macro_precision", True),
    _Row("macro F1", "macro_f1", True),
    _Row("balanced accuracy", "balanced_accuracy", True),
    _Row("Matthews correlation", "mcc", False),
    _Row("mean ROC-AUC", "macro_roc_auc", False),
    _Row("mean PR-AUC", "macro_pr_auc", False),
    _Row("log loss", "log_loss", False),
    _Row("Brier score", "brier", False),
    _Row("calibration error (ECE)", "ece", True),
    _Row("top-3 accuracy", "top3_accuracy", True),
    _Row("accuracy", "accuracy", True),
)

# Terms of the tables, each with the field of the schema whose description explains it.
_TERMS: tuple[tuple[str, type[BaseModel], str], ...] = (
    ("recall of a class", ClassScores, "recall"),
    ("precision of a class", ClassScores, "precision"),
    ("F1 of a class", ClassScores, "f1"),
    ("ROC-AUC of a class", ClassScores, "roc_auc"),
    ("PR-AUC of a class", ClassScores, "pr_auc"),
    ("majority-class baseline", MajorityClass, "accuracy"),
    *((row.name, LevelMetrics, row.field) for row in _ROWS),
    ("AURC", SelectiveLevel, "aurc"),
    ("AUROC", OODScoreMetrics, "auroc"),
    ("FPR at 95% TPR", OODScoreMetrics, "fpr_at_95_tpr"),
)


def _glance(metrics: Metrics) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield the rows of the summary table: name and (value, interval) for each level."""
    levels = _levels(metrics).values()
    yield "photos", [(f"{level.n:,}", "") for level in levels]
    supported = [sum(c.support > 0 for c in level.per_class.values()) for level in levels]
    yield "classes with photos", [(str(n), "") for n in supported]
    yield "majority-class baseline", [(percent(level.majority_class.accuracy), "") for level in levels]
    for row in _ROWS:
        yield row.name, [_value(level, row) for level in levels]


def _value(level: LevelMetrics, row: _Row) -> tuple[str, str]:
    value, interval = getattr(level, row.field), level.intervals.get(row.field)
    shown = percent(value) if row.is_share else _number(value)
    bounds = [bound for bound in interval or () if bound is not None]
    # If all resamples agree, the interval is a single point, which says nothing.
    if len(set(bounds)) < 2:
        return shown, ""
    return shown, _interval(bounds) if row.is_share else " – ".join(map(_number, bounds))
