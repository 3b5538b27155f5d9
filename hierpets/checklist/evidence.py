"""What a run folder holds to judge it by: settings, metrics, bundle, and an audit, evaluations, measurements if any."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hierpets.errors import ConfigError
from hierpets.model.layout import GRAPH
from hierpets.model.manifest import Manifest, read_manifest

__all__ = ["MEASURED", "RunEvidence"]

MEASURED = "measured.json"


@dataclass(frozen=True)
class RunEvidence:
    """The content of a run's files, as they are; what is not there is empty or None.

    ``metrics`` maps how the photos were held out (``cross_validation``, ``validation``) to a ``metrics.json``,
    ``evaluations`` the name of a folder in the run to one. ``graph`` is the input shape of the OpenVINO graph.
    """

    folder: Path
    settings: dict[str, Any]
    metrics: dict[str, Any]
    manifest: Manifest
    graph: str | None
    audit: dict[str, Any] | None
    evaluations: dict[str, Any]
    measured: dict[str, Any]

    @classmethod
    def read(cls, folder: Path) -> RunEvidence:
        """Read a run folder. :raises ConfigError: no run there. :raises BundleError: no bundle in it."""
        if not (folder / "config.yaml").is_file() or not (folder / "metrics.json").is_file():
            raise ConfigError(
                f"{folder}: no run here (expected config.yaml and metrics.json); `hierpets train` makes one"
            )
        audits = [path for path in (folder / "audit" / "audit.json", folder / "audit.json") if path.is_file()]
        return cls(
            folder=folder,
            settings=yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8")),
            metrics=_json(folder / "metrics.json"),
            manifest=read_manifest(folder / "bundle"),
            graph=_graph_input(folder / "bundle" / GRAPH),
            audit=_json(audits[0]) if audits else None,
            evaluations=dict(_evaluations(folder)),
            measured=_json(folder / MEASURED) if (folder / MEASURED).is_file() else {},
        )

    @property
    def data(self) -> str:
        """What the run was trained on, as it was named."""
        return str(self.settings["data"])

    @property
    def unseen(self) -> tuple[str, dict[str, Any]]:
        """The metrics on photos that no fit has touched, and how they were held out: validation, else out of fold."""
        for name in ("validation", "cross_validation"):
            if name in self.metrics:
                return name, self.metrics[name]
        raise ConfigError(f"{self.folder / 'metrics.json'}: neither validation nor cross_validation in it")

    @property
    def own_audit(self) -> dict[str, Any] | None:
        """The audit, if it is of the data that the run was trained on."""
        return self.audit if self.audit and _same_place(self.audit["data"], self.data) else None

    @property
    def elsewhere(self) -> dict[str, Any]:
        """The evaluations on other data than the run's own."""
        return {
            name: metrics
            for name, metrics in self.evaluations.items()
            if not _same_place(str(metrics["about"].get("data", self.data)), self.data)
        }


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not JSON: {error}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected keys and values, got {type(content).__name__}")
    return content


def _evaluations(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The folders of the run that `hierpets evaluate` wrote."""
    for path in sorted(folder.glob("*/metrics.json")):
        metrics = _json(path)
        if "about" in metrics:
            yield path.parent.name, metrics


def _graph_input(path: Path) -> str | None:
    """The shape of the graph's first input, ``1,3,224,224``, as the file writes it."""
    from xml.etree import ElementTree

    if not path.is_file():
        return None
    # The file is the run's own; a bundle from elsewhere is opened by OpenVINO, not here.
    for layer in ElementTree.parse(path).iter("layer"):  # noqa: S314
        data = layer.find("data")
        if layer.get("type") == "Parameter" and data is not None:
            return data.get("shape")
    return None


def _same_place(one: str, other: str) -> bool:
    return one == other or Path(one).resolve() == Path(other).resolve()
