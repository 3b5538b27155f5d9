"""``report.html``: one page that shows and says what a model is worth, with no need of a network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import jinja2

from hierpets.evaluation.report import figures
from hierpets.evaluation.report.drawing import Drawing
from hierpets.evaluation.report.gallery import Mistake
from hierpets.evaluation.report.words import headline, percent, pretty

__all__ = ["figure_sections", "render_report"]


def figure_sections(metrics: Mapping[str, Any]) -> dict[str, tuple[Drawing, ...]]:
    """All figures by the section of the page that shows them."""
    breed = metrics["breed"] is not None
    levels = ("species", "breed") if breed else ("species",)
    kinds = [figures.curves(metrics, level, kind) for level in levels for kind in ("roc", "pr")]
    return {
        "confusions": (
            figures.species_confusion(metrics),
            *(figures.breed_confusions(metrics) if breed else ()),
        ),
        "breeds": tuple(figures.breed_bars(metrics)) if breed else (),
        "trust": (
            *(figures.reliability(metrics, level) for level in levels),
            figures.risk_against_coverage(metrics),
            figures.answers(metrics),
        ),
        "curves": tuple(drawing for drawing in kinds if drawing),
    }


def render_report(
    metrics: Mapping[str, Any], sections: Mapping[str, tuple[Drawing, ...]], mistakes: list[Mistake]
) -> str:
    """The page. Names of classes and photos are escaped; the page forbids itself scripts and any request."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("hierpets.evaluation.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "pretty": pretty, "number": _number, "interval": _interval}
    return environment.get_template("report.html.j2").render(
        m=metrics,
        headline=headline(metrics),
        sections=sections,
        mistakes=mistakes,
        glance=list(_glance(metrics)),
        levels=_levels(metrics),
    )


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _interval(bounds: tuple[float, float]) -> str:
    """Of shares, in percent: "95.3 – 97.8"."""
    return " – ".join(f"{100 * bound:.1f}" for bound in bounds)


def _levels(metrics: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    names = {"species": "species", "breed": "breed", "breed_given_species": "breed, species given"}
    return [(shown, metrics[name]) for name, shown in names.items() if metrics[name]]


# (row, key, is it a share of photos); support first, accuracy last.
_ROWS = (
    ("macro recall", "macro_recall", True),
    ("macro precision", "macro_precision", True),
    ("macro F1", "macro_f1", True),
    ("balanced accuracy", "balanced_accuracy", True),
    ("Matthews correlation", "mcc", False),
    ("mean ROC-AUC", "macro_roc_auc", False),
    ("mean PR-AUC", "macro_pr_auc", False),
    ("log loss", "log_loss", False),
    ("Brier score", "brier", False),
    ("calibration error", "ece", True),
    ("among the top 3", "top3_accuracy", True),
    ("accuracy", "accuracy", True),
)


def _glance(metrics: Mapping[str, Any]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Rows of (name, [(value, interval) for each level])."""
    levels = [level for _, level in _levels(metrics)]
    yield "photos", [(f"{level['n']:,}", "") for level in levels]
    supported = [sum(c["support"] > 0 for c in level["per_class"].values()) for level in levels]
    yield "classes with photos", [(str(n), "") for n in supported]
    yield "always the commonest", [(percent(level["majority_class"]["accuracy"]), "") for level in levels]
    for name, key, is_share in _ROWS:
        yield name, [_value(level, key, is_share) for level in levels]


def _value(level: Mapping[str, Any], key: str, is_share: bool) -> tuple[str, str]:
    value, interval = level.get(key), level["intervals"].get(key)
    shown = percent(value) if is_share else _number(value)
    # Resamples that all agree say nothing: the interval would be a point.
    if not interval or None in interval or interval[0] == interval[1]:
        return shown, ""
    return shown, _interval(interval) if is_share else f"{interval[0]:.3f} – {interval[1]:.3f}"
