"""``hierpets predict``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from hierpets.cli.options import engine_options, model_option, registry_option

if TYPE_CHECKING:
    from hierpets.inference.predictor import Prediction

__all__ = ["command"]

SOME_FAILED = 3
MANY = 32  # photos from which on a core a photo is sooner done than all cores for each
Format = Literal["text", "json", "jsonl", "csv", "parquet"]
SUFFIXES: dict[str, Format] = {".jsonl": "jsonl", ".csv": "csv", ".parquet": "parquet"}


@click.command("predict")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@model_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "jsonl", "csv", "parquet"]),
    help="By default that of --out's ending, else text.",
)
@click.option(
    "--out",
    metavar="FILE",
    help="Write jsonl, csv or parquet there as it comes: any number of photos, and a kill loses none.",
)
@click.option("--resume", is_flag=True, help="Go on with an --out that was stopped.")
@click.option(
    "--cluster",
    metavar="ADDRESS",
    help="Answer on a Ray cluster, ray://HOST:PORT, or on a Ray started here, local; --out is then a folder.",
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
    form: Format | None,
    out: str | None,
    resume: bool,
    cluster: str | None,
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
    cannot be read gets an error in its answer; the others get theirs, and the exit code is 3. With --cluster, a PATH
    may be s3://BUCKET/FOLDER and the like, and so may --out.
    """
    from hierpets.cli.bulk import Settings, answer_file, answer_folder
    from hierpets.data.listing import STANDARD_INPUT, check_folders, list_photos
    from hierpets.inference.loading import load
    from hierpets.workers import cores

    settings = Settings(paths, model, registry, engine, top_k, alpha, only, max_level, explain)
    form = _checked_format(form, out, paths, resume=resume, cluster=cluster)
    if cluster is not None:
        assert out is not None
        return answer_folder(out, settings, cluster)
    check_folders(paths)
    photos, many = _look_ahead(list_photos(paths, sys.stdin), unknown=STANDARD_INPUT in paths)
    predictor = load(model, **engine, streams=cores() if many else 1, registry=registry)
    question = settings.question(predictor.manifest)
    if out is None:
        return _print(predictor.predict(photos, **question), form)
    return answer_file(Path(out), form, settings, predictor, photos=photos, resume=resume)


def _checked_format(
    form: Format | None, out: str | None, paths: tuple[str, ...], *, resume: bool, cluster: str | None
) -> Format:
    """The format; what was asked for together must make sense together."""
    if cluster is not None:
        if out is None or resume or "-" in paths or form not in (None, "parquet"):
            raise click.UsageError("--cluster takes folders, and --out DIR for Parquet; neither - nor --resume.")
        return "parquet"
    if out is None:
        if resume:
            raise click.UsageError("--resume goes on with a file; name it with --out.")
        if form == "parquet":
            raise click.UsageError("--format parquet is no text; name a file with --out.")
        return form or "text"
    form = form or SUFFIXES.get(Path(out).suffix.lower())
    if form is None or form not in SUFFIXES.values():
        raise click.UsageError(f"--out {out}: choose --format jsonl, csv or parquet.")
    return form


def _look_ahead(photos: Iterator[str], *, unknown: bool) -> tuple[Iterator[str], bool]:
    """The photos, and whether they are many; ``unknown`` ones may be slow to come, and are not waited for."""
    if unknown:
        return photos, True
    first = list(islice(photos, MANY))
    return chain(first, photos), len(first) == MANY


def _print(answers: Iterable[Prediction], form: Format) -> int:
    failed = False
    for text, prediction in render(answers, form):
        click.echo(text, nl=False)
        failed |= prediction is not None and prediction.error is not None
    return SOME_FAILED if failed else 0


def render(answers: Iterable[Prediction], form: Format) -> Iterator[tuple[str, Prediction | None]]:
    """Pieces of output, each with the answer that it shows."""
    if form == "json":
        separator = "[\n"
        for answer in answers:
            yield separator + json.dumps(answer.to_json()), answer
            separator = ",\n"
        yield ("[]\n" if separator == "[\n" else "\n]\n"), None
        return
    from hierpets.inference.columns import CSV_COLUMNS, csv_line, csv_row

    if form == "csv":
        yield csv_line(CSV_COLUMNS), None
    as_text = {
        "text": _text,
        "jsonl": lambda a: json.dumps(a.to_json()) + "\n",
        "csv": lambda a: csv_line(csv_row(a.to_json())),
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
