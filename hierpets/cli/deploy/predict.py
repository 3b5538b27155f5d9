"""``hierpets predict``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from hierpets.cli.completion import BREED_NAME
from hierpets.cli.deploy.destination import FORMATS, Destination, Format
from hierpets.cli.deploy.inputs import PipedPaths, read_names
from hierpets.cli.exits import INTERRUPTED, SOME_FAILED
from hierpets.cli.options import GivenPath, engine_options, model_option, overwrite_option, registry_option
from hierpets.cli.output import keep_output
from hierpets.files import is_file, is_photo
from hierpets.inference.many import MANY
from hierpets.messages.catalogue import LANGUAGES, Language, speaking
from hierpets.text import counted

if TYPE_CHECKING:
    from hierpets.inference.engines.base import EngineOptions
    from hierpets.inference.options import PredictOptions
    from hierpets.inference.output.request import RunTotals
    from hierpets.inference.prediction import Prediction
    from hierpets.inference.predictor import Predictor
    from hierpets.regions.files import BoxFile

__all__ = ["command"]


@click.command("predict")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(readable=False))
@model_option
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="Output format; default: from the extension of --out, else text.",
)
@click.option(
    "--out",
    type=click.Path(),
    metavar="FILE",
    help="Write records to a .jsonl, .csv or .parquet file; resumable after a crash.",
)
@click.option("--resume", is_flag=True, help="Continue a run into --out that was interrupted, or has new photos.")
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
    type=GivenPath(),
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
    holds an error, the other photos are predicted, and the exit code is 3. PATH may be a URI such as
    s3://BUCKET/FOLDER; with --cluster, --out may be one too.
    """
    output = keep_output()
    loading = _begin_loading(model, engine, registry) if out is None and _are_few_photos(paths) else None
    from hierpets.inference.options import PredictOptions

    chosen = PredictOptions.of(None, {"only": list(read_names(only)), **options})
    to = Destination.of(form, out, paths, resume=resume, overwrite=overwrite, cluster=cluster)
    if boxes is not None and (cluster is not None or chosen.regions):
        raise click.UsageError("--boxes says where the animals are; leave out --regions and --cluster.")
    if chosen.explain and to.form == "csv":
        choices = "jsonl or parquet" if to.out is not None else "text, json or jsonl"
        raise click.UsageError(f"--explain: CSV has no column for what shampoo rules do; use --format {choices}.")
    if cluster is not None:
        return _predict_on_cluster(paths, to, chosen, model, engine, registry)
    from hierpets.regions.files import read_boxes

    given = read_boxes(boxes) if boxes is not None else None
    if loading is not None:
        return _print(loading.result().stream(paths, chosen, boxes=given), to, chosen.language, output)
    return _predict(paths, to, chosen, given, model, engine, registry, output)


def _predict(
    paths: tuple[str, ...],
    to: Destination,
    options: PredictOptions,
    boxes: BoxFile | None,
    model: Path | None,
    engine: EngineOptions,
    registry: Path | None,
    output: TextIO,
) -> int:
    from hierpets.data.listing import STANDARD_INPUT, list_photos
    from hierpets.inference.loading import load
    from hierpets.registry.loading import load_registry
    from hierpets.workers import cores

    plugins = load_registry(registry)
    piped = PipedPaths()
    photos = list_photos(paths, piped, plugins)
    first = [] if STANDARD_INPUT in paths else list(islice(photos, MANY))  # do not wait for piped paths
    many, photos = len(first) in (0, MANY), chain(first, photos)
    predictor = load(model, **asdict(engine), workers=cores() if many else 1, registry=plugins)
    if to.out is None:
        predictions = predictor.stream(photos, options, boxes=boxes, live=piped.live)
        return _print(predictions, to, options.language, output)

    from hierpets.inference.output.resumable import write_predictions

    write = partial(
        write_predictions,
        Path(to.out),
        predictor,
        paths,
        form=to.form,  # type: ignore[arg-type]  # neither text nor json: Destination
        registry=plugins,
        options=options,
        boxes=boxes,
        photos=photos,
        live=piped.live,
        resume=to.resume,
        overwrite=to.overwrite,
    )
    return _write(Path(to.out), write)


def _are_few_photos(paths: tuple[str, ...]) -> bool:
    """Whether each path is clearly a photo, without asking the readers of the registry."""
    return len(paths) < MANY and all(is_photo(Path(path).name) and is_file(path) for path in paths)


def _begin_loading(model: Path | None, engine: EngineOptions, registry: Path | None) -> Future[Predictor]:
    """Start to load the predictor for a few photos, so that its graph is compiled while the rest is imported."""

    def work() -> Predictor:
        from hierpets.inference.loading import load

        return load(model, **asdict(engine), registry=registry)

    return ThreadPoolExecutor(1, thread_name_prefix="load").submit(work)


def _write(out: Path, write: Callable[..., RunTotals]) -> int:
    """Write the records to a file with ``write``, and show its progress. After Ctrl-C, finished records are kept."""
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
    to: Destination,
    options: PredictOptions,
    model: Path | None,
    engine: EngineOptions,
    registry: Path | None,
) -> int:
    from hierpets.bundle.layout import released_bundle
    from hierpets.inference.output.cluster import ClusterTask, predict_on_cluster
    from hierpets.registry.loading import load_registry

    task = ClusterTask(model or released_bundle(), load_registry(registry).path.resolve(), engine, options)
    assert to.out is not None and to.cluster is not None  # Destination
    return _conclude(to.out, predict_on_cluster(paths, to.out, task, address=to.cluster, resume=to.resume))


def _conclude(out: str | Path, totals: RunTotals) -> int:
    failures = f", {totals.unreadable} could not be read" if totals.unreadable else ""
    failures += f", {totals.failed_recommendations} without a recommendation" if totals.failed_recommendations else ""
    click.echo(f"{out}: {counted(totals.photos, 'photo')}{failures}", err=True)
    return SOME_FAILED if totals.unreadable else 0


def _print(predictions: Iterable[Prediction], to: Destination, language: Language, output: TextIO) -> int:
    from hierpets.inference.output.printing import render

    failed = False
    with speaking(language):
        for text, prediction in render(predictions, to.form):
            # As bytes: a pipe's encoding may lack characters of a name, and Windows would convert line ends.
            click.echo(text.encode("utf-8", "surrogateescape"), nl=False, file=output)
            failed |= prediction is not None and prediction.error is not None
    return SOME_FAILED if failed else 0
