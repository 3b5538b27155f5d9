"""``hierpets predict``."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from hierpets.cli.completion import BREED_NAME
from hierpets.cli.options import engine_options, model_option, overwrite_option, registry_option
from hierpets.errors import ConfigError
from hierpets.files import is_file, is_photo
from hierpets.messages.catalogue import LANGUAGES, Language, number, say, speaking
from hierpets.text import counted

if TYPE_CHECKING:
    from hierpets.inference.engines.base import EngineOptions
    from hierpets.inference.options import PredictOptions
    from hierpets.inference.output.request import RunTotals
    from hierpets.inference.prediction import Prediction
    from hierpets.inference.predictor import Predictor
    from hierpets.regions.files import BoxFile

__all__ = ["command"]

SOME_FAILED, INTERRUPTED = 3, 130
MANY = 32  # photos from which one core per photo is faster than all cores for each
Format = Literal["text", "json", "jsonl", "csv", "parquet"]
SUFFIXES: dict[str, Format] = {".jsonl": "jsonl", ".csv": "csv", ".parquet": "parquet"}


@click.command("predict")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(readable=False))
@model_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "jsonl", "csv", "parquet"]),
    help="Output format; default: from the extension of --out, else text.",
)
@click.option(
    "--out",
    type=click.Path(),
    metavar="FILE",
    help="Write records to a .jsonl, .csv or .parquet file; resumable after a crash.",
)
@click.option("--resume", is_flag=True, help="Continue an interrupted run into --out.")
@overwrite_option
@click.option(
    "--cluster",
    metavar="ADDRESS",
    help="Ray cluster to run on: ray://HOST:PORT, or local to start Ray here; --out is then a folder.",
)
@click.option("--top-k", type=int, default=3, show_default=True, help="Number of candidates per photo.")
@click.option("--alpha", type=float, help="Target error rate; default: that of the bundle.")
@click.option(
    "--only",
    multiple=True,
    metavar="NAME|FILE",
    type=BREED_NAME,
    help="Species or breed that the pet may be, or a file of names; repeatable.",
)
@click.option(
    "--max-level",
    type=click.Choice(["breed", "species"]),
    default="breed",
    show_default=True,
    help="Finest level to predict.",
)
@click.option(
    "--max-set",
    type=int,
    default=3,
    show_default=True,
    help="Most breeds, up to 3, that an answer may leave open; 1: name a single one or none.",
)
@click.option("--regions", is_flag=True, help="Find the animals in each photo, and answer each by itself.")
@click.option(
    "--boxes",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where the animals are: JSON of MegaDetector or COCO; each is answered by itself.",
)
@click.option("--explain", is_flag=True, help="Show the effect of each shampoo rule (not with csv).")
@click.option(
    "--language",
    type=click.Choice(LANGUAGES),
    default="en",
    show_default=True,
    help="Language of text and sentences; keys and labels of records stay as they are.",
)
@engine_options
@registry_option
def command(
    paths: tuple[str, ...],
    model: Path | None,
    form: Format | None,
    out: str | None,
    resume: bool,
    overwrite: bool,
    cluster: str | None,
    only: tuple[str, ...],
    boxes: Path | None,
    engine: EngineOptions,
    registry: Path | None,
    **options: Any,
) -> int:
    """Predict the species and breed of pets in photos.

    PATH is a photo, a folder, a quoted pattern such as 'pets/*.jpg', another source of docs/data.md, or - to read
    paths from standard input. Predictions are printed in the order of the paths. If a photo cannot be read, its record
    holds an error, the other photos are predicted, and the exit code is 3. With --cluster, PATH and --out may be URLs
    such as s3://BUCKET/FOLDER.
    """
    loading = _begin_loading(model, engine, registry) if out is None and _are_few_photos(paths) else None
    from hierpets.inference.options import PredictOptions

    chosen = PredictOptions.of(None, {"only": list(_names(only)), **options})
    form = _checked_format(form, out, paths, resume=resume, overwrite=overwrite, cluster=cluster)
    if boxes is not None and (cluster is not None or chosen.regions):
        raise click.UsageError("--boxes says where the animals are; leave out --regions and --cluster.")
    if cluster is not None:
        assert out is not None
        return _predict_on_cluster(paths, out, chosen, model, engine, registry, address=cluster, resume=resume)
    from hierpets.regions.files import read_boxes

    given = read_boxes(boxes) if boxes is not None else None
    if loading is not None:
        return _print(loading.result().stream(paths, chosen, boxes=given), form, chosen.language)
    return _predict(
        paths, chosen, given, model, engine, registry, form=form, out=out, resume=resume, overwrite=overwrite
    )


def _predict(
    paths: tuple[str, ...],
    options: PredictOptions,
    boxes: BoxFile | None,
    model: Path | None,
    engine: EngineOptions,
    registry: Path | None,
    *,
    form: Format,
    out: str | None,
    resume: bool,
    overwrite: bool,
) -> int:
    from hierpets.data.listing import STANDARD_INPUT, check_paths, list_photos
    from hierpets.inference.loading import load
    from hierpets.registry.loading import load_registry
    from hierpets.workers import cores

    plugins = load_registry(registry)
    check_paths(paths, plugins)
    lines = _read_paths() if STANDARD_INPUT in paths else ()
    many = STANDARD_INPUT in paths or len(list(islice(list_photos(paths, (), plugins), MANY))) == MANY
    predictor = load(model, **asdict(engine), workers=cores() if many else 1, registry=plugins)
    if out is None:
        batch_size = 1 if STANDARD_INPUT in paths else None  # what is piped in may come slowly
        predictions = predictor.stream(list_photos(paths, lines, plugins), options, boxes=boxes, batch_size=batch_size)
        return _print(predictions, form, options.language)

    from hierpets.inference.output.resumable import write_predictions

    write = partial(
        write_predictions,
        Path(out),
        predictor,
        paths,
        form=form,  # type: ignore[arg-type]  # _checked_format
        registry=plugins,
        options=options,
        boxes=boxes,
        lines=lines,
        resume=resume,
        overwrite=overwrite,
    )
    return _write(Path(out), write)


def _are_few_photos(paths: tuple[str, ...]) -> bool:
    """Whether each path is a photo, which is known without asking the readers of the registry."""
    return len(paths) < MANY and all(is_photo(Path(path).name) and is_file(path) for path in paths)


def _begin_loading(model: Path | None, engine: EngineOptions, registry: Path | None) -> Future[Predictor]:
    """The predictor for a few photos: its graph is compiled while the rest is imported and checked."""

    def work() -> Predictor:
        from hierpets.inference.loading import load

        return load(model, **asdict(engine), registry=registry)

    return ThreadPoolExecutor(1, thread_name_prefix="load").submit(work)


def _write(out: Path, write: Callable[..., RunTotals]) -> int:
    """Let ``write`` write the records to a file, and show its progress; after Ctrl-C, what is finished stays."""
    from hierpets.cli.progress import ProgressDisplay
    from hierpets.inference.output.resumable import partial_path

    try:
        with ProgressDisplay() as progress:
            totals = write(progress=progress)
    except KeyboardInterrupt:
        click.echo(
            f"interrupted: {partial_path(out)} holds the finished records; rerun with --resume to continue", err=True
        )
        return INTERRUPTED
    return _conclude(out, totals)


def _predict_on_cluster(
    paths: tuple[str, ...],
    out: str,
    options: PredictOptions,
    model: Path | None,
    engine: EngineOptions,
    registry: Path | None,
    *,
    address: str,
    resume: bool,
) -> int:
    from hierpets.inference.output.cluster import ClusterTask, predict_on_cluster
    from hierpets.model.layout import released_bundle
    from hierpets.registry.loading import load_registry

    task = ClusterTask(model or released_bundle(), load_registry(registry).path.resolve(), engine, options)
    return _conclude(out, predict_on_cluster(paths, out, task, address=address, resume=resume))


def _conclude(out: str | Path, totals: RunTotals) -> int:
    failures = f", {totals.unreadable} could not be read" if totals.unreadable else ""
    failures += f", {totals.failed_recommendations} without a recommendation" if totals.failed_recommendations else ""
    click.echo(f"{out}: {counted(totals.photos, 'photo')}{failures}", err=True)
    return SOME_FAILED if totals.unreadable else 0


def _names(given: Iterable[str]) -> Iterator[str]:
    """The names of ``--only``, those of files in their place."""
    for name in given:
        if not Path(name).is_file():
            if Path(name).suffix in (".txt", ".csv"):
                raise ConfigError(f"--only {name}: no such file; expected one, or the name of a species or breed")
            yield name
            continue
        try:
            lines = Path(name).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"--only {name}: cannot be read: {error}") from error
        found = [line for line in (line.partition("#")[0].strip() for line in lines) if line]
        if not found:
            raise ConfigError(f"--only {name}: contains no names; expected one species or breed per line")
        yield from found


def _read_paths() -> Iterator[str]:
    """The paths on standard input, one per line; a file name may hold any bytes."""
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")
    for line in map(str.strip, sys.stdin):
        if "\0" in line or (_has_raw_bytes(line) and not os.path.lexists(line)):
            raise ConfigError("standard input: expected one path per line, got binary data; pass the paths of photos")
        yield line


def _has_raw_bytes(text: str) -> bool:
    """Whether bytes in it are no text; Python keeps them as lone surrogates."""
    return any("\udc80" <= letter <= "\udcff" for letter in text)


def _checked_format(
    form: Format | None, out: str | None, paths: tuple[str, ...], *, resume: bool, overwrite: bool, cluster: str | None
) -> Format:
    """The format; what was asked for together must make sense together."""
    if resume and overwrite:
        raise click.UsageError("use either --resume or --overwrite.")
    if cluster is not None:
        if out is None or overwrite or "-" in paths or form not in (None, "parquet"):
            message = "--cluster needs --out DIR for Parquet; it does not take - or --overwrite."
            raise click.UsageError(message)
        return "parquet"
    if out is None:
        if resume or overwrite:
            raise click.UsageError(f"{'--resume' if resume else '--overwrite'} needs a file; set it with --out.")
        if form == "parquet":
            raise click.UsageError("Parquet is binary; it needs --out FILE.")
        return form or "text"
    if "://" in out:
        raise click.UsageError(f"--out {out}: writing to a URL needs --cluster; use --cluster local.")
    form = form or SUFFIXES.get(Path(out).suffix.lower())
    if form is None or form not in SUFFIXES.values():
        raise click.UsageError(f"--out {out}: choose --format jsonl, csv or parquet.")
    return form


def _print(predictions: Iterable[Prediction], form: Format, language: Language) -> int:
    failed = False
    with speaking(language):
        for text, prediction in render(predictions, form):
            # Bytes: the encoding of a pipe may lack letters of a name, and Windows would change the ends of lines.
            click.echo(text.encode("utf-8", "surrogateescape"), nl=False)
            failed |= prediction is not None and prediction.error is not None
    return SOME_FAILED if failed else 0


def render(predictions: Iterable[Prediction], form: Format) -> Iterator[tuple[str, Prediction | None]]:
    """Pieces of output, each with the prediction that it shows."""
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
    """A line, and below it one for each region, and the advice of each shampoo rule, with ``--explain``."""
    if prediction.error is not None:
        return f"{prediction.path}: {prediction}\n"
    lines = [f"{prediction.path}: {prediction}", *(f"  {region}" for region in prediction.regions or ())]
    if prediction.warning is not None:
        lines.append(say("  warning: {what}", what=prediction.warning))
    advice = prediction.recommendation
    if advice is not None and advice.error:
        lines.append(say("  no shampoo: {why}", why=advice.error))
    for step in (advice.explain if advice else None) or ():
        lines.append(say("  {rule}: {product} in front", rule=step.rule, product=step.leader or say("no product")))
        for word in step.advice:
            effect = say("veto") if word.veto else number(f"{word.score:+.3f}")
            lines.append(f"    {word.product} {effect}: {word.reason}")
    return "\n".join(lines) + "\n"
