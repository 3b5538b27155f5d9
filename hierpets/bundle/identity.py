"""The identity of the model in a bundle."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from pydantic import Field

from hierpets.bundle.layout import MANIFEST, incomplete_bundle
from hierpets.bundle.manifest import Manifest, NetworkSpec, read_manifest
from hierpets.errors import BundleError, reason_of
from hierpets.validation.strict import StrictModel

__all__ = ["ModelId", "model_id"]

DIGEST_LENGTH = 16  # hexadecimal digits, enough to tell all models of an organization apart


class ModelId(StrictModel):
    """Identifies the model that made a prediction."""

    digest: str = Field(description="first 16 hexadecimal digits of the SHA-256 of manifest and weights")
    version: str | None = Field(default=None, description="version of the model, if it has one")

    def __str__(self) -> str:
        return f"{self.version} ({self.digest})" if self.version else self.digest


def model_id(folder: Path, manifest: Manifest | None = None) -> ModelId:
    """The identity of a bundle: bundles with the same digest hold the same model.

    ``manifest`` is that of the bundle, if it has been read already. An OpenVINO export without the weights file is
    identified by the weights of its graph.

    :raises BundleError: a missing or damaged bundle.
    """
    manifest = manifest or read_manifest(folder)
    digest = hashlib.sha256((folder / MANIFEST).read_bytes())
    for network in manifest.networks:
        for chunk in _read_weights(folder, network):
            digest.update(chunk)
    return ModelId(digest=digest.hexdigest()[:DIGEST_LENGTH], version=manifest.version)


def _read_weights(folder: Path, network: NetworkSpec) -> Iterator[bytes]:
    files = (folder / network.weights, folder / network.graph.with_suffix(".bin"))
    weights = next((file for file in files if file.is_file()), None)
    if weights is None:
        raise incomplete_bundle(folder, f"neither {network.weights} nor {network.graph} in this bundle")
    try:
        with weights.open("rb") as content:
            while chunk := content.read(1 << 20):
                yield chunk
    except OSError as error:
        raise BundleError(f"{weights}: cannot be read: {reason_of(error)}") from error
