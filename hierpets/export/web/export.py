"""Writes the page of a bundle, and keeps it only if its networks predict as the bundle does."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hierpets.bundle.identity import ModelId, model_id
from hierpets.bundle.layout import released_bundle
from hierpets.bundle.manifest import Manifest, read_manifest
from hierpets.errors import BundleError
from hierpets.export.engines import open_onnx
from hierpets.export.export import check_network, labeled_photos, refuse_drift
from hierpets.export.formats import check_format, write_format
from hierpets.export.parity import Parity
from hierpets.export.web.describe import DETECTOR, describe
from hierpets.export.web.packing import pack_onnx
from hierpets.export.web.runtime import read_runtime
from hierpets.files import check_folder, size_of, whole_folder, write_all
from hierpets.inference.detector.network import ONNX, known_animals
from hierpets.messages.catalogue import LANGUAGES, Language, speaking
from hierpets.model.reader import read_networks
from hierpets.page import ASSETS, STATIC, render_page
from hierpets.progress import Progress, no_progress
from hierpets.recommend.choose import Recommender
from hierpets.registry.loading import Registry, load_registry

__all__ = ["MAX_BYTES", "ExportedPage", "export_page"]

MAX_BYTES = 30 * 10**6
"""Maximum size of a page, which a phone has to load."""
SCRIPTS = Path(__file__).parent / "page"
SHARED = (
    "answer.js",
    "app.js",
    "dropped.js",
    "feedback.js",
    "icon.svg",
    "page.js",
    "style.css",
    "upright.js",
    "views.js",
    "words.js",
)
MODEL, LICENSE = "model", "LICENSE"


@dataclass(frozen=True)
class ExportedPage:
    """The exported folder, its size in bytes, and how closely each of its networks matches torch."""

    path: Path
    size: int
    parities: tuple[Parity, ...]


def export_page(
    bundle: str | os.PathLike[str] | None,
    out: str | os.PathLike[str],
    *,
    data: str | os.PathLike[str] | None = None,
    runtime: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    registry: Registry | str | Path | None = None,
    progress: Progress = no_progress,
) -> ExportedPage:
    """Write a page that predicts photos to the folder ``out``, completely or not at all. Any static server serves it.

    The page contains every network of the bundle, each checked by itself on photos of the folder ``data``, or on
    synthetic images. ``runtime`` is the tarball of ONNX Runtime Web; without it, npm downloads it once.

    :raises ConfigError: ``out`` exists and ``overwrite`` is not given, or contains more than a page; a package or the
        runtime is missing.
    :raises DataError: there are no photos in ``data``.
    :raises BundleError: there is no bundle, the top-1 class differs from torch in float32 on more than 0.5% of photos,
        or the page would be larger than :data:`MAX_BYTES`.
    """
    folder, target = Path(bundle) if bundle is not None else released_bundle(), Path(out)
    check_format("onnx", "f32")
    manifest = read_manifest(folder)
    model = model_id(folder, manifest)
    mark, kind = Path(MODEL, _described("en")), "page that was exported before"
    check_folder(target, overwrite=overwrite, mark=mark, kind=kind, holds=("index*.html", STATIC, MODEL))
    plugins, photos = load_registry(registry), labeled_photos(data, manifest.taxonomy)
    scripts = {**_scripts(), **read_runtime(Path(runtime) if runtime is not None else None)}
    digest = _digest(scripts)
    static = {f"{STATIC}/{digest}/{name}": content for name, content in scripts.items()}
    texts = _texts(manifest, model, Recommender.load(plugins), digest)
    with whole_folder(target, overwrite=overwrite) as made:
        write_all(made, {**static, **_license(folder), **_detector(manifest), **texts})
        parities = _write_networks(made / MODEL, folder, manifest, model, photos, plugins, progress)
        size = size_of(made)
        if size > MAX_BYTES:
            raise BundleError(
                f"web: nothing written: the page would weigh {size / 1e6:.1f} MB, at most {MAX_BYTES / 1e6:.0f} are "
                "allowed; train a bundle with a smaller backbone"
            )
    return ExportedPage(target, size, parities)


def _names(manifest: Manifest, model: ModelId) -> list[str]:
    """File names of the networks, in the order in which they are run. They contain the model's digest, so that a
    browser never uses cached files of another model.
    """
    return [f"{network.graph.stem}-{model.digest}.onnx" for network in manifest.networks]


def _texts(manifest: Manifest, model: ModelId, recommender: Recommender, scripts: str) -> dict[str, bytes]:
    """The page and the description of its model in each language; ``scripts`` is the digest of the page's scripts."""
    texts = {}
    for language in LANGUAGES:
        with speaking(language):
            known = describe(manifest, model, _names(manifest, model), recommender, scripts=scripts)
        texts[f"{MODEL}/{_described(language)}"] = known.model_dump_json()
        page = render_page(language, served=False, assets=f"{STATIC}/{scripts}")
        texts[_index(language)] = page.replace("</head>", _alternates() + "</head>")
    return {place: text.encode() for place, text in texts.items()}


def _described(language: Language) -> str:
    return f"model.{language}.json"


def _index(language: Language) -> str:
    return "index.html" if language == "en" else f"index.{language}.html"


def _alternates() -> str:
    """Links to the page in other languages, for its script and for search engines."""
    links = (f'<link rel="alternate" hreflang="{other}" href="{_index(other)}">' for other in LANGUAGES)
    return "\n".join(links) + "\n"


def _scripts() -> dict[str, bytes]:
    """Style and scripts, except the runtime."""
    shared = {name: ASSETS / name for name in SHARED}
    own = {path.name: path for path in SCRIPTS.iterdir() if path.is_file()}
    return {name: path.read_bytes() for name, path in {**shared, **own}.items()}


def _digest(files: Mapping[str, bytes]) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of files and their names. It names their folder: a browser may
    cache files for long, so those of another version need another name.
    """
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(name.encode() + hashlib.sha256(files[name]).digest())
    return digest.hexdigest()[:16]


def _license(folder: Path) -> dict[str, bytes]:
    """The license of the weights, if the bundle has one."""
    file = folder / LICENSE
    return {f"{MODEL}/{LICENSE}": file.read_bytes()} if file.is_file() else {}


def _detector(manifest: Manifest) -> dict[str, bytes]:
    """The detector and its license, if it knows some of the model's species."""
    if not known_animals(manifest.taxonomy.species):
        return {}
    licence = ONNX.with_name(LICENSE).read_bytes()
    return {f"{MODEL}/{DETECTOR}": ONNX.read_bytes(), f"{MODEL}/detector.{LICENSE}": licence}


def _write_networks(
    folder: Path,
    bundle: Path,
    manifest: Manifest,
    model: ModelId,
    photos: tuple[Sequence[str], Sequence[int]],
    registry: Registry,
    progress: Progress,
) -> tuple[Parity, ...]:
    """Write every network, and check each on ``photos`` with their leaves.

    :raises BundleError: one does not predict as torch does.
    """
    parities = []
    for stage, network in enumerate(read_networks(bundle, manifest, registry)):
        own, path = manifest.alone(stage), folder / _names(manifest, model)[stage]
        write_format("onnx", path, network, own)
        pack_onnx(path)
        threshold = manifest.networks[stage].threshold
        parity = check_network(
            network, open_onnx(path, own.preprocess), own, model, *photos, threshold=threshold, progress=progress
        )
        refuse_drift("web", parity)
        parities.append(parity)
    return tuple(parities)
