"""Render predictions for printing, as text, JSON, JSON lines or CSV."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING

from hierpets.messages.catalogue import number, say
from hierpets.text import escaped

if TYPE_CHECKING:  # the command imports this while its model loads
    from hierpets.inference.prediction import Prediction
    from hierpets.recommend.result import RecommendationRecord

__all__ = ["render"]


def render(predictions: Iterable[Prediction], form: str) -> Iterator[tuple[str, Prediction | None]]:
    """Yield pieces of output, each with the prediction that it shows; ``form`` is text, json, jsonl or csv."""
    if form == "json":
        return _render_array(predictions)
    from hierpets.inference.record import CSV_COLUMNS, csv_line, csv_row

    as_text = {
        "text": _text,
        "jsonl": lambda p: p.json_text() + "\n",
        "csv": lambda p: csv_line(csv_row(p.to_json())),
    }
    head: list[tuple[str, Prediction | None]] = [(csv_line(CSV_COLUMNS), None)] if form == "csv" else []
    return chain(head, ((as_text[form](prediction), prediction) for prediction in predictions))


def _render_array(predictions: Iterable[Prediction]) -> Iterator[tuple[str, Prediction | None]]:
    separator = "[\n"
    for prediction in predictions:
        yield separator + prediction.json_text(), prediction
        separator = ",\n"
    yield ("[]\n" if separator == "[\n" else "\n]\n"), None


def _text(prediction: Prediction) -> str:
    """A line for the photo, with its warning and advice below; then the same for each region."""
    path = escaped(prediction.path)  # a line break in it would look like another photo
    if prediction.error is not None:
        return f"{path}: {prediction}\n"
    lines = [f"{path}: {prediction}"]
    if prediction.warning is not None:
        lines.append(say("  warning: {what}", what=prediction.warning))
    lines += _advice(prediction.recommendation)
    for region in prediction.regions or ():
        lines += [f"  {region}", *(f"  {line}" for line in _advice(region.prediction.recommendation))]
    return "\n".join(lines) + "\n"


def _advice(recommendation: RecommendationRecord | None) -> Iterator[str]:
    """Why recommending failed, if it did, and with ``--explain`` the advice of each rule."""
    if recommendation is None:
        return
    if recommendation.error:
        yield say("  no shampoo: {why}", why=recommendation.error)
    for step in recommendation.explain or ():
        yield say("  {rule}: {product} leads", rule=step.rule, product=step.leader or say("no product"))
        for word in step.advice:
            effect = say("veto") if word.veto else number(f"{word.score:+.3f}")
            yield say("    {product} {effect}: {why}", product=word.product, effect=effect, why=word.reason)
