"""From a bundle folder to a predictor, without waiting for what can be done at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from hierpets.inference.engine import (
    Device,
    Engine,
    EngineName,
    Precision,
    choose_device,
    choose_engine,
    choose_precision,
)
from hierpets.model.layout import GRAPH, released_bundle

if TYPE_CHECKING:
    from hierpets.inference.predictor import Predictor
    from hierpets.registry.loading import Registry

__all__ = ["load"]


def load(
    bundle: str | Path | None = None,
    *,
    engine: EngineName = "auto",
    device: Device = "auto",
    precision: Precision = "auto",
    compile: bool = False,
    streams: int = 1,
    threads: int | None = None,
    registry: Registry | str | Path | None = None,
    recommend: bool = True,
) -> Predictor:
    """Load a bundle folder; the released one when none is given. ``compile`` has torch compile the network.

    ``streams`` photos are worked on at a time by OpenVINO: 1 answers one photo soonest, :func:`hierpets.workers.cores`
    answers a folder soonest. ``threads`` are the most that it takes for the network; None: one a core. ``registry``:
    one that is read, a ``registry.yaml``, or None for the one that :func:`hierpets.registry.loading.find_registry`
    finds.

    :raises BundleError: no bundle there, or a damaged one.
    :raises RegistryError: no registry there, or one with problems.
    :raises DeviceError: the device, engine or precision that was asked for is not there.
    """
    folder = Path(bundle) if bundle is not None else released_bundle()
    chosen_device = choose_device(device)
    chosen_engine = choose_engine(engine, chosen_device, compile=compile)
    # Compiling the graph takes one core as long as all the rest takes the other, imports included.
    with ThreadPoolExecutor(1, thread_name_prefix="engine") as beside:
        if chosen_engine == "openvino":
            opening = beside.submit(_open_graph, folder / GRAPH, precision, streams=streams, threads=threads)
        from hierpets.inference.predictor import Predictor
        from hierpets.model.bundle import read_manifest
        from hierpets.recommend.choose import Recommender
        from hierpets.registry.loading import Registry, load_registry

        manifest = read_manifest(folder)
        plugins = registry if isinstance(registry, Registry) else load_registry(registry)
        recommender = Recommender.load(plugins) if recommend else None
        if chosen_engine == "openvino":
            return Predictor(manifest, opening.result(), recommender)

    from hierpets.inference.torch_engine import TorchEngine
    from hierpets.model.bundle import read_network

    chosen_precision = choose_precision(precision, chosen_engine, chosen_device)
    network = read_network(folder, manifest, plugins)
    runner = TorchEngine(network, chosen_device, chosen_precision, compile=compile)
    return Predictor(manifest, runner, recommender)


def _open_graph(graph: Path, precision: Precision, *, streams: int, threads: int | None) -> Engine:
    from hierpets.inference.openvino_engine import OpenVinoEngine, capabilities, is_quantised

    chosen = choose_precision(
        precision, "openvino", "cpu", quantised=is_quantised(graph), has_bf16="BF16" in capabilities()
    )
    return OpenVinoEngine(graph, chosen, streams=streams, threads=threads)
