"""``hierpets explain``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from hierpets.cli.options import GivenPath, engine_options, model_option, overwrite_option, registry_option
from hierpets.inference.engines.base import EngineOptions

__all__ = ["command"]


@click.command("explain")
@click.argument("photo", type=click.Path(path_type=str))
@model_option
@click.option(
    "--out",
    type=GivenPath(dir_okay=False),
    default=Path("explanation.png"),
    show_default=True,
    metavar="PNG",
    help="Image file to write.",
)
@overwrite_option
@click.option("--top-k", type=click.IntRange(min=1), default=3, show_default=True, help="Candidates to list.")
@engine_options
@registry_option
def command(
    photo: str,
    model: Path | None,
    out: Path,
    overwrite: bool,
    top_k: int,
    engine: EngineOptions,
    registry: Path | None,
) -> None:
    """Show where the network looked for species and breed.

    Grad-CAM for the most probable species, against the other species, and for its most probable breed, against the
    other breeds of that species, side by side. What the network does not see is dimmed. The engine makes the
    prediction; Grad-CAM always runs in torch, in f32 on the CPU.
    """
    from hierpets.explain.run import explain_photo

    explanation = explain_photo(
        photo, bundle=model, out=out, overwrite=overwrite, top_k=top_k, registry=registry, **asdict(engine)
    )
    decision = explanation.prediction.decision
    assert decision is not None  # the photo has been read
    click.echo(f"{photo}: {decision.level}: {decision.reason}")
    click.echo(f"answered by {explanation.network}")
    for leaf, probability in decision.top:
        click.echo(f"  {probability:6.1%}  {leaf}")
    click.echo(f"wrote {out}")
