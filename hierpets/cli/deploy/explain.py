"""``hierpets explain``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from hierpets.cli.options import engine_options, model_option, registry_option
from hierpets.inference.engines.base import EngineOptions

__all__ = ["command"]


@click.command("explain")
@click.argument("photo")
@model_option
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("explanation.png"),
    show_default=True,
    metavar="PNG",
    help="Where to write the picture.",
)
@click.option("--top-k", type=click.IntRange(min=1), default=3, show_default=True, help="Answers to name.")
@engine_options
@registry_option
def command(
    photo: str,
    model: Path | None,
    out: Path,
    top_k: int,
    engine: EngineOptions,
    registry: Path | None,
) -> None:
    """Show where the network looked for species and breed.

    Grad-CAM for the likeliest species, against the other species, and for its likeliest breed, against the other
    breeds of that species, side by side. What the network does not see is dimmed. The engine gives the answer; Grad-CAM
    is always torch in f32 on the CPU.
    """
    from hierpets.explain.explainer import Explainer
    from hierpets.explain.panel import render_panel
    from hierpets.files import write_all
    from hierpets.registry.loading import load_registry

    plugins = load_registry(registry)
    explainer = Explainer.load(model, registry=plugins, **asdict(engine))
    explanation = explainer.explain(photo, top_k=top_k)
    write_all(out.parent, {out.name: render_panel(explanation)})
    decision = explanation.prediction.decision
    assert decision is not None
    click.echo(f"{photo}: {decision.level}: {decision.reason}")
    for leaf, probability in decision.top:
        click.echo(f"  {probability:6.1%}  {leaf}")
    click.echo(f"picture in {out}")
