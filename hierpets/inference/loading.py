"""Load a bundle folder as a predictor; graphs are compiled while everything else is imported and read."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from itertools import count, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hierpets.bundle.layout import GRAPH, MANIFEST, early_files, incomplete_bundle, is_quantized, released_bundle
from hierpets.environment import prepare_environment
from hierpets.errors import DeviceError, check_count, check_path, check_type
from hierpets.inference.engines.base import (
    Device,
    EngineName,
    Precision,
    check_choices,
    choose_device,
    choose_engine,
    choose_precision,
)
from hierpets.libraries import needed_for
from hierpets.workers import cores

if TYPE_CHECKING:
    from hierpets.bundle.manifest import Manifest
    from hierpets.inference.detector.bystanders import Bystanders
    from hierpets.inference.detector.second_look import SecondLook
    from hierpets.inference.engines.base import Engine
    from hierpets.inference.engines.openvino import OpenVinoEngine
    from hierpets.inference.predictor import Predictor
    from hierpets.inference.regions import RegionFinder
    from hierpets.registry.loading import Registry

__all__ = ["load"]


def load(
    bundle: str | os.PathLike[str] | None = None,
    *,
    engine: EngineName = "auto",
    device: Device = "auto",
    precision: Precision = "auto",
    compile: bool = False,
    workers: int | None = None,
    threads: int | None = None,
    together: bool = True,
    registry: Registry | str | os.PathLike[str] | None = None,
    recommend: bool = True,
) -> Predictor:
    """Load a bundle folder; by default, the released one.

    ``compile`` compiles the network with torch. ``registry`` is a loaded registry or the path of a ``registry.yaml``;
    None: that of ``HIERPETS_REGISTRY``, else the built-in one. Without ``recommend``, predictions have no
    recommendation.

    ``workers``, ``threads`` and ``together`` are for OpenVINO; torch decides for itself. ``workers`` is the number of
    photos that are computed at a time, each on its share of the ``threads`` (None: one per core). One worker is fastest
    for one photo, a worker per thread for many. With ``workers`` None, each photo gets all threads until a call has
    more than a few photos; then the graph is compiled once more, for many. With ``together``, each of several workers
    may compute a few photos at once, which is faster and takes more memory for another graph; pass False for a server,
    whose photos arrive one by one. No prediction depends on it.

    :raises ConfigError: an engine, device or precision that does not exist, or an argument of the wrong type.
    :raises BundleError: a missing or damaged bundle.
    :raises RegistryError: a missing or invalid registry.
    :raises DeviceError: the device, engine or precision is not available, or the GPU has too little memory.
    """
    check_choices(engine=engine, precision=precision)
    check_path("bundle", bundle)
    _check_switches(compile=compile, recommend=recommend, together=together)
    _check_counts(workers=workers, threads=threads)
    folder = Path(bundle) if bundle is not None else released_bundle()
    with needed_for(f"device {device!r}", DeviceError):
        chosen_device = choose_device(device)
    chosen_engine = choose_engine(engine, chosen_device, compile=compile)
    how = Compute(precision, workers or 1, threads, together)
    prepare_environment()
    # Compiling the graph takes one core about as long as everything else takes another. OpenVINO is imported before the
    # thread starts: in parallel with other imports, it takes twice as long.
    with ThreadPoolExecutor(1, thread_name_prefix="engine") as beside:
        if chosen_engine == "openvino":
            import_module("hierpets.inference.engines.openvino")
            opening = beside.submit(_open_graphs, folder, how)
        from hierpets.bundle.identity import model_id
        from hierpets.bundle.manifest import read_manifest
        from hierpets.inference.predictor import Predictor
        from hierpets.recommend.choose import Recommender
        from hierpets.registry.loading import load_registry

        manifest = read_manifest(folder)
        model = model_id(folder, manifest)
        plugins = load_registry(registry)
        recommender = Recommender.load(plugins) if recommend else None
        engines: Sequence[Engine]  # in the order of the cascade
        if chosen_engine == "openvino":
            engines = _checked(folder, opening.result(), manifest)
        else:
            engines = _read_networks(folder, manifest, plugins, chosen_device, precision, compile=compile)
            how = how._replace(precision="auto")  # of the finder and the detector, which OpenVINO runs all the same
    *early, last = engines
    finder, second_look, bystanders = _looks(folder, manifest, how)
    return Predictor(
        manifest,
        last,
        recommender,
        early=early,
        finder=finder,
        second_look=second_look,
        bystanders=bystanders,
        model=model,
        bundle=folder,
        for_many=_for_many(folder, how, plugins) if workers is None and chosen_engine == "openvino" else None,
    )


class Compute(NamedTuple):
    """How OpenVINO computes; the fields are arguments of :func:`load`."""

    precision: Precision
    workers: int
    threads: int | None
    together: bool


def _check_switches(**switches: bool) -> None:
    """:raises ConfigError: one is neither true nor false."""
    for name, switch in switches.items():
        check_type(name, switch, bool, "true or false")


def _check_counts(**counts: int | None) -> None:
    """:raises ConfigError: one is neither None nor a whole number of at least 1."""
    for name, number in counts.items():
        if number is not None:
            check_count(name, number)


def _for_many(folder: Path, how: Compute, registry: Registry) -> Callable[[], Predictor] | None:
    """A function that loads the same bundle with a worker per thread; None if there is only one thread."""
    threads = how.threads or cores()
    if threads == 1:
        return None
    many = how._replace(workers=threads)._asdict()
    return partial(load, folder.absolute(), engine="openvino", device="cpu", registry=registry, recommend=False, **many)


def _read_networks(
    folder: Path, manifest: Manifest, registry: Registry, device: str, precision: Precision, *, compile: bool
) -> Sequence[Engine]:
    """The engines of the networks, run by torch."""
    with needed_for("the engine torch", DeviceError):
        from hierpets.inference.engines.gathering import GatheringEngine
        from hierpets.inference.engines.torch import TorchEngine
        from hierpets.model.reader import guards_of, read_networks

    chosen = choose_precision(precision, "torch", device)
    networks = read_networks(folder, manifest, registry)
    first, *others = (
        TorchEngine(network, spec.preprocess, device, chosen, compile=compile, guard=guard)
        for network, spec, guard in zip(networks, manifest.networks, guards_of(manifest, registry), strict=True)
    )
    # Only the few hard photos of each batch reach the later networks.
    return [first, *(GatheringEngine(engine, first.batch) if device == "cuda" else engine for engine in others)]


def _looks(folder: Path, manifest: Manifest, how: Compute) -> tuple[RegionFinder | None, SecondLook | None, Bystanders]:
    """The region finder and the second look, each None if the model cannot do it, and the search for bystanders.

    They run on the CPU whatever the engine: OpenVINO graphs can be cut at the last feature map.
    """
    from hierpets.inference.detector.bystanders import Bystanders
    from hierpets.inference.detector.network import Detector
    from hierpets.inference.detector.second_look import SecondLook
    from hierpets.inference.engines.places import PlaceEngine
    from hierpets.inference.regions import RegionFinder, finder_sizes

    species = manifest.taxonomy.species
    detector = Detector(workers=how.workers, threads=how.threads)
    second_look, bystanders = SecondLook.of(manifest, detector), Bystanders(detector, species)
    if manifest.policy.pet is None:  # the score by which animals are found
        return None, second_look, bystanders
    first, closer = (
        PlaceEngine(folder / GRAPH, how.precision, size, workers=how.workers, threads=how.threads)
        for size in finder_sizes(manifest.preprocess)
    )
    finder = RegionFinder((first, closer), manifest.policy.pet, detector=detector, species=species)
    return finder, second_look, bystanders


def _checked(folder: Path, graphs: Sequence[OpenVinoEngine], manifest: Manifest) -> Sequence[Engine]:
    """The graphs, after checking that they fit the manifest.

    :raises BundleError: one is missing, or has other shapes.
    """
    if len(graphs) != len(manifest.networks):
        raise incomplete_bundle(
            folder, f"expected {len(manifest.networks)} OpenVINO graphs, as {MANIFEST} says, found {len(graphs)}"
        )
    taxonomy = manifest.taxonomy
    for graph, network in zip(graphs, manifest.networks, strict=True):
        features = network.backbone.feature_dim
        graph.check_shapes(network.preprocess.size, features, len(taxonomy.species), len(taxonomy.leaves))
    return graphs


def _open_graphs(folder: Path, how: Compute) -> list[OpenVinoEngine]:
    """The graphs in the bundle folder, in the order of the cascade, found by name: the manifest is read meanwhile."""
    from hierpets.inference.engines.openvino import OpenVinoEngine, capabilities

    has_bf16 = "BF16" in capabilities()
    early = takewhile(Path.is_file, (folder / early_files(number)[1] for number in count()))
    return [
        OpenVinoEngine(
            graph,
            choose_precision(how.precision, "openvino", "cpu", quantized=is_quantized(graph), has_bf16=has_bf16),
            workers=how.workers,
            threads=how.threads,
            together=how.together,
        )
        for graph in (*early, folder / GRAPH)
    ]
