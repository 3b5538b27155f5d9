"""``hierpets predict``."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from hierpets.cli.options import engine_options, model_option, registry_option
from hierpets.errors import ConfigError

if TYPE_CHECKING:
    from hierpets.inference.predictor import Prediction

__all__ = ["command"]

SOME_FAILED = 3
Format = Literal["text", "json", "jsonl", "csv"]
CSV_COLUMNS = [
    "path",
    "level",
    "species",
    "species_probability",
    "breed",
    "breed_probability",
    "source",
    "product",
    "error",
]


@click.command("predict")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@model_option
@click.option(
    "--format", "form", type=click.Choice(["text", "json", "jsonl", "csv"]), default="text", show_default=True
)
@click.option("--top-k", type=click.IntRange(min=1), default=3, show_default=True, help="Candidates in each answer.")
@click.option(
    "--alpha", type=click.FloatRange(0, 1, min_open=True, max_open=True), help="Accepted share of wrong answers."
)
@click.option("--only", multiple=True, metavar="NAME|FILE", help="Restrict to a species, a breed, or a file of them.")
@click.option("--max-level", type=click.Choice(["breed", "species"]), default="breed", show_default=True)
@click.option("--explain", is_flag=True, help="Show what each shampoo rule did (json and jsonl).")
@engine_options
@registry_option
def command(
    paths: tuple[str, ...],
    model: Path | None,
    form: Format,
    top_k: int,
    alpha: float | None,
    only: tuple[str, ...],
    max_level: Any,
    explain: bool,
    engine: dict[str, Any],
    registry: Path | None,
) -> int:
    """Tell species and breed of photos.

    A PATH is a photo, a folder, or - for paths on standard input. Answers come in the order of the paths. A photo that
    cannot be read gets an error in its answer; the others get theirs, and the exit code is 3.
    """
    from hierpets.hierarchy.decision import Asked
    from hierpets.inference.predictor import load
    from hierpets.inference.restriction import allowed_leaves
    from hierpets.registry.loading import load_registry

    predictor = load(model, **engine, registry=load_registry(registry))
    failed = False
    answers = predictor.predict(
        expand(paths),
        asked=Asked(alpha=alpha, max_level=max_level),
        only=allowed_leaves(only, predictor.manifest.taxonomy) if only else None,
        top_k=top_k,
        explain=explain,
    )
    for text, prediction in render(answers, form):
        click.echo(text, nl=False)
        failed |= prediction is not None and prediction.error is not None
    return SOME_FAILED if failed else 0


def expand(paths: Iterable[str]) -> Iterator[str]:
    """Photos of folders in sorted order, lines of standard input for ``-``, all else as it is."""
    from hierpets.data.index import find_photos

    for path in paths:
        if path == "-":
            yield from (line for line in map(str.strip, sys.stdin) if line)
        elif Path(path).is_dir():
            photos = [str(photo) for photo in find_photos(Path(path))]
            if not photos:
                raise ConfigError(f"{path}: no photos in this folder")
            yield from photos
        else:
            yield path


def render(answers: Iterable[Prediction], form: Format) -> Iterator[tuple[str, Prediction | None]]:
    """Pieces of output, each with the answer that it shows."""
    if form == "json":
        separator = "[\n"
        for answer in answers:
            yield separator + json.dumps(answer.to_json()), answer
            separator = ",\n"
        yield ("[]\n" if separator == "[\n" else "\n]\n"), None
        return
    if form == "csv":
        yield _csv_line(CSV_COLUMNS), None
    as_text = {
        "text": _text,
        "jsonl": lambda a: json.dumps(a.to_json()) + "\n",
        "csv": lambda a: _csv_line(_csv_row(a)),
    }
    for answer in answers:
        yield as_text[form](answer), answer


def _text(answer: Prediction) -> str:
    if answer.error is not None:
        return f"{answer.path}: error: {answer.error}\n"
    d = answer.decision
    assert d is not None
    match d.level:
        case "breed":
            told = f"{d.species} {d.species_probability:.1%}, {d.breed} {d.breed_probability:.1%}"
        case "species":
            rivals = ", ".join(f"{leaf.breed} {p:.0%}" for leaf, p in d.top if leaf.breed and leaf.species == d.species)
            doubt = "of no breed that I know, nearest" if _unfamiliar(answer) else "breed unsure:"
            told = f"{d.species} {d.species_probability:.1%}" + (f", {doubt} {rivals}" if rivals else "")
        case _:
            told = f"unknown: {d.reason}"
    product = (answer.recommendation or {}).get("product")
    return f"{answer.path}: {told}" + (f"; shampoo: {product}" if product else "") + "\n"


def _unfamiliar(answer: Prediction) -> bool:
    least = answer.thresholds.known
    return answer.scores is not None and least is not None and answer.scores.known < least


def _csv_row(answer: Prediction) -> list[Any]:
    record = answer.to_json()
    species, breed = record["species"] or {}, record["breed"] or {}
    return [
        record["path"],
        record["level"],
        species.get("label"),
        species.get("probability"),
        breed.get("label"),
        breed.get("probability"),
        record["source"],
        (record["recommendation"] or {}).get("product"),
        (record["error"] or {}).get("message"),
    ]


def _csv_line(cells: list[Any]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()
