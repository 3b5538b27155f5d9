"""``hierpets predict --out``: answers into one file here, or into a folder from a cluster."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

if TYPE_CHECKING:
    from hierpets.inference.bulk import Tally
    from hierpets.inference.predictor import Predictor
    from hierpets.model.bundle import Manifest

__all__ = ["Settings", "answer_file", "answer_folder"]

SOME_FAILED, INTERRUPTED = 3, 130


class Settings(NamedTuple):
    """The options of ``predict`` that decide an answer."""

    paths: tuple[str, ...]
    model: Path | None
    registry: Path | None
    engine: dict[str, Any]
    top_k: int
    alpha: float | None
    only: tuple[str, ...]
    max_level: Any
    explain: bool

    def question(self, manifest: Manifest) -> dict[str, Any]:
        """The keywords of :meth:`~hierpets.inference.predictor.Predictor.predict`."""
        from hierpets.data.listing import STANDARD_INPUT
        from hierpets.hierarchy.decision import Asked
        from hierpets.inference.restriction import allowed_leaves

        return {
            "asked": Asked(alpha=self.alpha, max_level=self.max_level),
            "batch_size": 1 if STANDARD_INPUT in self.paths else None,  # what is piped in may come slowly
            "only": allowed_leaves(self.only, manifest.taxonomy) if self.only else None,
            "top_k": self.top_k,
            "explain": self.explain,
        }

    def told(self, manifest: Manifest) -> dict[str, Any]:
        """The same as JSON, with the bundle by its content and the registry by its place."""
        import hierpets
        from hierpets.model.bundle import bundle_digest
        from hierpets.model.layout import released_bundle
        from hierpets.registry.loading import load_registry

        allowed = self.question(manifest)["only"]
        leaves = zip(manifest.taxonomy.leaves, allowed, strict=True) if allowed is not None else ()
        return {
            "hierpets": hierpets.__version__,
            "paths": list(self.paths),
            "model": bundle_digest(self.model or released_bundle()),
            "registry": str(load_registry(self.registry).path.resolve()),
            "only": [str(leaf) for leaf, is_allowed in leaves if is_allowed],
            **{name: getattr(self, name) for name in ("top_k", "alpha", "max_level", "explain")},
        }


def answer_file(
    out: Path, form: Any, settings: Settings, predictor: Predictor, *, photos: Iterable[str], resume: bool
) -> int:
    """Write answers to a file, showing the pace; the exit code."""
    from hierpets.cli.pace import Pace
    from hierpets.data.listing import count_photos
    from hierpets.inference.bulk import answer_into, part_of

    question, engine = settings.question(predictor.manifest), predictor.engine
    asked = {
        **settings.told(predictor.manifest),
        "engine": engine.name,
        "device": engine.device,
        "precision": engine.precision,
        "format": form,
    }
    pace = Pace(lambda: count_photos(settings.paths))
    tally = None
    try:
        tally = answer_into(
            out,
            form,
            photos,
            lambda remaining: predictor.predict(remaining, **question),
            asked=asked,
            resume=resume,
            progress=lambda tally: pace(tally.photos),
        )
    except KeyboardInterrupt:
        pass
    finally:
        pace.close()
    if tally is None:
        told = f"{part_of(out)} keeps what is done; the same command with --resume goes on"
        click.echo(f"interrupted: {told}", err=True)
        return INTERRUPTED
    return _conclude(str(out), tally)


def answer_folder(out: str, settings: Settings, address: str) -> int:
    """Have a cluster write answers to a folder; the exit code."""
    from hierpets.inference.cluster import Work, answer_on_cluster
    from hierpets.model.bundle import read_manifest
    from hierpets.model.layout import released_bundle
    from hierpets.registry.loading import load_registry

    bundle = settings.model or released_bundle()
    manifest = read_manifest(bundle)
    registry = load_registry(settings.registry).path.resolve()
    work = Work(bundle, registry, settings.engine, settings.question(manifest))
    asked = {**settings.told(manifest), **settings.engine}
    return _conclude(out, answer_on_cluster(settings.paths, out, work, address=address, asked=asked))


def _conclude(out: str, tally: Tally) -> int:
    unread = f", {tally.unreadable} of them cannot be read" if tally.unreadable else ""
    click.echo(f"{out}: {tally.photos} photos{unread}", err=True)
    return SOME_FAILED if tally.unreadable else 0
