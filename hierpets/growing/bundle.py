"""A bundle opened for changes: its networks are refitted one by one, and written together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hierpets.bundle.layout import MANIFEST, SEEN
from hierpets.bundle.manifest import Manifest, manifest_text, read_manifest
from hierpets.bundle.seen import SeenPhotos, labeled_digest, read_seen
from hierpets.data.content import content_key
from hierpets.data.records import PhotoRecord
from hierpets.errors import BundleError
from hierpets.files import whole_folder
from hierpets.growing.network import OpenNetwork, open_network
from hierpets.hierarchy.early import ask_in_turn
from hierpets.hierarchy.outputs import Outputs
from hierpets.registry.loading import Registry

__all__ = ["OpenBundle", "joint_and_scores", "open_bundle"]


@dataclass(frozen=True)
class OpenBundle:
    """A bundle opened for changes.

    ``networks`` are in the order of the cascade, the main one last. All know the same leaves, from the same photos.
    ``source`` is the folder that they were read from.
    """

    source: Path
    manifest: Manifest
    networks: tuple[OpenNetwork, ...]

    @property
    def main(self) -> OpenNetwork:
        """The main network."""
        return self.networks[-1]

    def of(self, networks: Sequence[OpenNetwork], **changes: Any) -> OpenBundle:
        """The bundle with changed networks, and ``changes`` of its manifest; the thresholds of early networks stay.

        It is a different model now, and has no version.
        """
        *early, main = (network.manifest for network in networks)
        own = [
            spec.model_copy(update={"ood": one.ood, "temperatures": one.temperatures})
            for spec, one in zip(self.manifest.early, early, strict=True)
        ]
        found = {name: getattr(main, name) for name in ("taxonomy", "origins", "ood", "temperatures")}
        manifest = self.manifest.model_copy(update={**found, "version": None, "early": tuple(own), **changes})
        return replace(self, manifest=manifest, networks=tuple(networks))

    def write(self, folder: Path, learned: Iterable[PhotoRecord] = (), *, overwrite: bool) -> None:
        """Write the bundle whole or not at all.

        ``learned`` are the photos that it was fitted to in addition to those of ``source``.

        :raises ConfigError: the folder exists, and ``overwrite`` is not given.
        """
        seen = read_seen(self.source)
        with whole_folder(folder, overwrite=overwrite) as made:
            pairs = zip(self.networks, self.manifest.networks, strict=True)
            manifest = self.manifest.with_statistics([network.write(made, files) for network, files in pairs])
            if seen is not None:
                (made / SEEN).write_bytes(seen + SeenPhotos.of(_digests(learned)).pack())
            (made / MANIFEST).write_text(manifest_text(manifest), encoding="utf-8", newline="\n")


def _digests(learned: Iterable[PhotoRecord]) -> Iterator[str]:
    for record in learned:
        own = content_key(record.path)
        yield from (own, labeled_digest(own, str(record.label)))


def open_bundle(folder: Path, registry: Registry | None = None) -> OpenBundle:
    """Open a bundle for changes. ``registry`` has the plugins of its backbones; None for the default one.

    :raises BundleError: a missing or damaged bundle, or one that does not keep statistics of each network.
    """
    manifest = read_manifest(folder)
    networks = tuple(open_network(folder, manifest, stage, registry) for stage in range(len(manifest.networks)))
    if any(network.spec.photos != networks[-1].spec.photos for network in networks):
        raise BundleError(f"{folder / MANIFEST}: statistics of other photos for each network; train the bundle again")
    return OpenBundle(folder, manifest, networks)


def joint_and_scores(manifest: Manifest, outputs: Sequence[Outputs]) -> tuple[np.ndarray, np.ndarray]:
    """Calibrated joint probabilities float64 [N, L] and scores [N, 1 + S] of the cascade.

    ``outputs`` are those of every network for all N photos; each photo gets those of the first network that is sure.
    """
    *early, main = outputs
    calibration = manifest.calibration
    found, _ = ask_in_turn(early, main, calibration, asked=manifest.early, learned=manifest.learned)
    return calibration.joint(found), found.scores
